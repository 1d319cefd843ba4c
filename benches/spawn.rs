//! What a task's process costs: `cargo bench --bench spawn` prints the table.
//!
//! Each row is `/bin/true` through a whole Task state of an execution in an engine of this process, also while this
//! process holds a gigabyte: a fork of it would copy the page tables of all that.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;
use stepfn::asl::load::compile;
use stepfn::engine::host::Host;
use stepfn::engine::host::HostOptions;
use stepfn::engine::start::Begin;
use stepfn::engine::start::Begun;
use stepfn::items::directory::DirectoryBuckets;
use stepfn::model::execution_record::ExecutionFacts;
use stepfn::model::execution_record::ExecutionStatus;
use stepfn::model::execution_record::MachineType;
use stepfn::model::payload::Payload;
use stepfn::model::quota::Quotas;
use stepfn::model::timestamp::Timestamp;
use stepfn::store::memory::MemoryStore;
use stepfn::worker::Site;
use stepfn::worker::action::ActionSite;
use stepfn::worker::nursery::Nursery;
use stepfn::worker::nursery::Options;
use stepfn::worker::spawn::identity::Identities;
use stepfn::worker::spawn::rung::Isolation;

/// How long each row is measured.
const SPAN: Duration = Duration::from_secs(4);
const GIGABYTE: usize = 1 << 30;
const PAGE: usize = 4096;

struct Engine {
    host: Arc<Host>,
    nursery: Arc<Nursery>,
    begin: Begin,
}

impl Engine {
    fn new(isolation: Isolation) -> Self {
        let nursery = Arc::new(Nursery::new(Options {
            isolation,
            identities: Identities::Nobody,
            lock: None,
            socket: None,
        }));
        let mut site = Site::of_actions(ActionSite::default());
        site.nursery = Arc::clone(&nursery);
        let options = HostOptions {
            site: Arc::new(site),
            quotas: Quotas::Aws,
            answering: None,
            skip_time: false,
            wait_scale: 1.0,
            logs: None,
            buckets: Arc::new(DirectoryBuckets::default()),
        };
        let (host, feeds) = Host::open(Arc::new(MemoryStore::default()), options).expect("an engine in memory");
        host.serve(feeds);
        let machine = json!({ "StartAt": "T", "States": { "T": {
            "Type": "Task",
            "Resource": "arn:aws:states:::debian:shell.run",
            "Parameters": { "Command": ["/bin/true"] },
            "End": true,
        } } });
        let definition = compile(&machine.to_string(), &stepfn::asl::load::Options::default());
        let facts = ExecutionFacts {
            arn: "arn:aws:states:us-east-1:123456789012:express:M:E:1".into(),
            name: "E".into(),
            machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:M".into(),
            machine_type: MachineType::Express,
            version_arn: None,
            alias_arn: None,
            revision_id: None,
            revision_date: Timestamp(0),
            definition: "hash".into(),
            role_arn: "arn:aws:iam::123456789012:role/R".into(),
            child_of: None,
            trace_header: None,
            mock_case: None,
            started_by: None,
            started: Timestamp(0),
        };
        let begin = Begin {
            facts,
            machine_name: "M".into(),
            definition: Arc::new(definition.expect("a valid definition")),
            input: Payload::new(json!({})),
            is_named: false,
            is_synchronous: true,
            decision: None,
        };
        Self { host, nursery, begin }
    }

    /// One execution from its start to its end.
    async fn run(&self) {
        let begin = Begin {
            facts: self.begin.facts.clone(),
            machine_name: self.begin.machine_name.clone(),
            definition: Arc::clone(&self.begin.definition),
            input: self.begin.input.clone(),
            decision: None,
            ..self.begin
        };
        let (Begun::Fresh(record) | Begun::Known(record)) = self.host.begin(begin).await.expect("it begins");
        assert_eq!(record.status, ExecutionStatus::Succeeded, "{:?}", record.cause);
    }
}

/// Runs executions, so many at a time; returns how many in a second and how long each took.
async fn measure(engine: &Arc<Engine>, n_at_once: usize) -> (f64, Vec<Duration>) {
    let begin = Instant::now();
    let clients: Vec<_> = (0..n_at_once)
        .map(|_| {
            let engine = Arc::clone(engine);
            tokio::spawn(async move {
                let mut took = Vec::new();
                while begin.elapsed() < SPAN {
                    let one = Instant::now();
                    engine.run().await;
                    took.push(one.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for client in clients {
        took.extend(client.await.expect("it runs"));
    }
    let seconds = begin.elapsed().as_secs_f64();
    took.sort_unstable();
    (f64::from(u32::try_from(took.len()).unwrap_or(u32::MAX)) / seconds, took)
}

async fn row(isolation: Isolation, n_at_once: usize, beside: &str) {
    let engine = Arc::new(Engine::new(isolation));
    let ready = match engine.nursery.ready().await {
        Ok(ready) => ready,
        Err(lacks) => return println!("| {} | {n_at_once} | {beside} | | | {lacks} |", isolation.as_str()),
    };
    engine.run().await;
    let (rate, took) = measure(&engine, n_at_once).await;
    let millis = |share: usize| {
        let index = (took.len() * share / 100).min(took.len().saturating_sub(1));
        took.get(index).map_or(0.0, |took| took.as_secs_f64() * 1000.0)
    };
    println!(
        "| {} {} | {n_at_once} | {beside} | {rate:.0}/s | {:.2} ms | {:.2} ms |",
        ready.rung.number(),
        isolation.as_str(),
        millis(50),
        millis(99)
    );
    engine.nursery.end_all().await;
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    println!("| rung | at once | the engine holds | rate | p50 | p99 |");
    println!("|---|---:|---|---:|---:|---:|");
    for beside in ["little", "1 GB"] {
        let mut memory = Vec::new();
        if beside == "1 GB" {
            memory = vec![0_u8; GIGABYTE];
            memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        }
        for isolation in [
            Isolation::Unit,
            Isolation::Cgroup,
            Isolation::Namespace,
            Isolation::Sweep,
        ] {
            for n_at_once in [1, 8] {
                runtime.block_on(row(isolation, n_at_once, beside));
            }
        }
        std::hint::black_box(&memory);
    }
}
