//! Runs cases over HTTP: a real server with a store, on a clock that jumps over waits.

use std::collections::HashMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use stepfn::api::Api;
use stepfn::engine::answers::Answering;
use stepfn::engine::answers::Answers;
use stepfn::engine::host::Host;
use stepfn::engine::host::HostOptions;
use stepfn::identity::gate::Gate;
use stepfn::identity::gate::Mode;
use stepfn::identity::gate::Verifiers;
use stepfn::identity::peer::Peer;
use stepfn::identity::policy::Policy;
use stepfn::items::directory::DirectoryBuckets;
use stepfn::kernel::event::StartTask;
use stepfn::model::execution_record::ExecutionFacts;
use stepfn::model::quota::Quotas;
use stepfn::model::timestamp::Timestamp;
use stepfn::sim::driver::Report;
use stepfn::sim::driver::Tasks;
use stepfn::store::Store;
use stepfn::store::memory::MemoryStore;
use stepfn::store::sqlite::SqliteStore;
use stepfn::worker::Site;
use stepfn::worker::action::ActionSite;
use stepfn::worker::lambda::invoke::Lambdas;
use stepfn::worker::mapping::Mappings;
use stepfn::worker::nursery::Nursery;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// The account of the recordings.
pub const ACCOUNT: &str = "111111111111";
/// The region of the recordings.
pub const REGION: &str = "us-east-1";
/// How long a case may take in real time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server of this process.
pub struct Server {
    runtime: Runtime,
    address: SocketAddr,
    scripts: Scripts,
    nursery: Arc<Nursery>,
    directory: Option<PathBuf>,
    n_fresh: AtomicU64,
    // Dropping it stops the server.
    _stop: watch::Sender<bool>,
}

/// The answers of executions by the name of their machine.
type Scripts = Arc<Mutex<HashMap<String, Script>>>;

/// Makes a script's tasks for one more execution.
pub type Script = Box<dyn Fn() -> Box<dyn Tasks + Send> + Send>;

struct Scripted(Box<dyn Tasks + Send>);

impl Answers for Scripted {
    fn answer(&mut self, task: &StartTask) -> Option<Vec<Report>> {
        Some(self.0.answer(task))
    }
}

impl Server {
    /// Starts a server: over SQLite in `directory`, or in memory.
    ///
    /// # Errors
    /// The store or the socket cannot be made.
    pub fn start(directory: Option<&Path>) -> Result<Self, String> {
        Self::open(directory, true, DirectoryBuckets::default(), Mappings::default())
    }

    /// Starts another server with these buckets, over a store of the same kind that is empty; time passes there as
    /// it does.
    ///
    /// # Errors
    /// The store or the socket cannot be made.
    pub fn fresh(&self, buckets: DirectoryBuckets) -> Result<Self, String> {
        let number = self.n_fresh.fetch_add(1, Ordering::Relaxed);
        let directory = self
            .directory
            .as_ref()
            .map(|directory| directory.join(format!("fresh-{number}")));
        Self::open(directory.as_deref(), false, buckets, Mappings::default())
    }

    /// Starts another server with an empty store in memory, where mappings carry out tasks; its clock jumps, too.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn with_mappings(mappings: Mappings) -> Result<Self, String> {
        Self::open(None, true, DirectoryBuckets::default(), mappings)
    }

    fn open(
        directory: Option<&Path>,
        skip_time: bool,
        buckets: DirectoryBuckets,
        mappings: Mappings,
    ) -> Result<Self, String> {
        let store: Arc<dyn Store> = match directory {
            Some(directory) => Arc::new(SqliteStore::open(directory).map_err(|error| error.to_string())?),
            None => Arc::new(MemoryStore::default()),
        };
        let scripts = Scripts::default();
        let nursery = Arc::new(Nursery::default());
        let options = HostOptions {
            site: Arc::new(Site {
                lambdas: Lambdas::new(mappings.functions().clone(), None),
                tokens: None,
                audit: None,
                mappings,
                actions: ActionSite::default(),
                nursery: Arc::clone(&nursery),
                region: REGION.into(),
                account: ACCOUNT.into(),
                has_callbacks: true,
                sfn: OnceLock::new(),
            }),
            quotas: Quotas::Aws,
            answering: Some(answering(Arc::clone(&scripts))),
            skip_time,
            logs: None,
            buckets: Arc::new(buckets),
            wait_scale: 1.0,
        };
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let (stop, stopped) = watch::channel(false);
        let address = runtime.block_on(async {
            let (host, feeds) = Host::open(store, options).map_err(|error| error.to_string())?;
            host.recover().map_err(|error| error.to_string())?;
            let listener = TcpListener::bind("127.0.0.1:0")
                .await
                .map_err(|error| error.to_string())?;
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            host.serve(feeds);
            let api = Arc::new(Api::new(
                host,
                Gate::new(Mode::dev(), Verifiers::default()),
                Policy::built_in(),
            ));
            api.serve_tasks();
            let listener = Arc::new(listener);
            let accept = move || accept(Arc::clone(&listener));
            tokio::spawn(stepfn::api::serve::serve(api, 1_000, accept, stopped));
            Ok::<_, String>(address)
        })?;
        Ok(Self {
            runtime,
            address,
            scripts,
            nursery,
            directory: directory.map(Path::to_path_buf),
            n_fresh: AtomicU64::new(0),
            _stop: stop,
        })
    }

    /// Lets a script answer the tasks of a machine's executions.
    pub fn script(&self, machine: &str, script: Script) {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        scripts.insert(machine.to_owned(), script);
    }

    /// Connects a client.
    ///
    /// # Errors
    /// There is no connection.
    pub fn client(&self) -> Result<Client, String> {
        let stream = TcpStream::connect(self.address).map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .map_err(|error| error.to_string())?;
        Ok(Client {
            stream: BufReader::new(stream),
        })
    }

    /// Ends the server and every process of its tasks.
    pub fn stop(self) {
        self.runtime.block_on(self.nursery.end_all());
        self.runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

async fn accept(
    listener: Arc<TcpListener>,
) -> std::io::Result<(std::future::Ready<std::io::Result<tokio::net::TcpStream>>, Peer)> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let peer = Peer::of_tcp(&stream)?;
    Ok((std::future::ready(Ok(stream)), peer))
}

fn answering(scripts: Scripts) -> Answering {
    Arc::new(move |facts: &ExecutionFacts| {
        let machine = facts.machine_arn.rsplit(':').next()?;
        let machine = machine.split('/').next()?;
        let scripts = scripts.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = scripts.get(machine)?();
        Some(Box::new(Scripted(tasks)) as Box<dyn Answers>)
    })
}

/// Why an operation gave nothing.
#[derive(Clone, Debug)]
pub struct Fault {
    operation: String,
    /// AWS's exception name; empty when the connection broke.
    pub code: String,
    /// Its message.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.operation, self.code, self.message)
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}

/// A connection that speaks the API's protocol.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Calls an operation. Returns AWS's exception name and message as the error.
    ///
    /// # Errors
    /// The operation was refused, or the connection broke.
    pub fn call(&mut self, operation: &str, request: &Value) -> Result<Map<String, Value>, Fault> {
        let body = request.to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSStepFunctions.{operation}\r\n\
             Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let fault = |code: &str, message: String| Fault {
            operation: operation.to_owned(),
            code: code.to_owned(),
            message,
        };
        let broken = |error: std::io::Error| fault("", format!("the connection broke: {error}"));
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).map_err(broken)?;
        stream.write_all(body.as_bytes()).map_err(broken)?;
        let mut status = String::new();
        self.stream.read_line(&mut status).map_err(broken)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).map_err(broken)?;
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).map_err(broken)?;
        let answer: Value = serde_json::from_slice(&body).map_err(|error| fault("", error.to_string()))?;
        let Value::Object(answer) = answer else {
            return Err(fault("", "the answer is no object".to_owned()));
        };
        if status.contains(" 200 ") {
            return Ok(answer);
        }
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = text("__type");
        Err(fault(name.rsplit('#').next().unwrap_or_default(), text("message")))
    }

    /// Creates a state machine and returns its ARN.
    ///
    /// # Errors
    /// It was refused.
    pub fn create(&mut self, machine: &str, definition: &str, machine_type: &str) -> Result<String, String> {
        let created = self.call(
            "CreateStateMachine",
            &json!({
                "name": machine,
                "definition": definition,
                "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/sfn-role"),
                "type": machine_type,
            }),
        )?;
        let arn = created.get("stateMachineArn").and_then(Value::as_str);
        arn.map(ToOwned::to_owned)
            .ok_or_else(|| "the machine has no ARN".to_owned())
    }

    /// Returns the server's time: its clock may be ahead.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn now(&mut self) -> Result<Timestamp, String> {
        let definition = json!({ "StartAt": "A", "States": { "A": { "Type": "Succeed" } } }).to_string();
        let arn = self.create("clock", &definition, "STANDARD")?;
        let started = self.call("StartExecution", &json!({ "stateMachineArn": arn }))?;
        let seconds = started.get("startDate").and_then(Value::as_f64);
        seconds
            .map(|seconds| Timestamp((seconds * 1000.0) as i64))
            .ok_or_else(|| "the start has no date".to_owned())
    }

    /// Runs one execution to its end: its description and its history.
    ///
    /// # Errors
    /// An operation was refused, or it did not end in time.
    pub fn run(
        &mut self,
        machine_arn: &str,
        machine_type: &str,
        input: &str,
    ) -> Result<(Map<String, Value>, Vec<Value>), String> {
        let start = json!({ "stateMachineArn": machine_arn, "input": input });
        if machine_type == "EXPRESS" {
            return Ok((self.call("StartSyncExecution", &start)?, Vec::new()));
        }
        let started = self.call("StartExecution", &start)?;
        let arn = json!({ "executionArn": started.get("executionArn") });
        let deadline = Instant::now() + PATIENCE;
        let described = loop {
            let described = self.call("DescribeExecution", &arn)?;
            if described.get("status") != Some(&json!("RUNNING")) {
                break described;
            }
            if deadline < Instant::now() {
                return Err("the execution did not end in time".to_owned());
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let mut events = Vec::new();
        let mut page = json!({ "executionArn": started.get("executionArn"), "maxResults": 1000 });
        loop {
            let mut answer = self.call("GetExecutionHistory", &page)?;
            if let Some(Value::Array(more)) = answer.remove("events") {
                events.extend(more);
            }
            match answer.remove("nextToken") {
                Some(token) => page["nextToken"] = token,
                None => return Ok((described, events)),
            }
        }
    }
}
