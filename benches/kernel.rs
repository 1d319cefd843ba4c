//! What a transition, a path, a template and a definition cost: `cargo bench`.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use serde_json::Value;
use serde_json::json;
use stepfn::asl::definition::Definition;
use stepfn::asl::load::Options;
use stepfn::asl::load::compile;
use stepfn::kernel::event::Command;
use stepfn::kernel::event::Event;
use stepfn::kernel::event::EventKind;
use stepfn::kernel::event::Outbox;
use stepfn::kernel::event::Start;
use stepfn::kernel::event::Status;
use stepfn::kernel::execution::Execution;
use stepfn::model::entropy::Entropy;
use stepfn::model::history_event::HistoryEvent;
use stepfn::model::id::BlockId;
use stepfn::model::payload::Payload;
use stepfn::model::quota::Quotas;
use stepfn::model::timestamp::Timestamp;
use stepfn::model::token::TokenKey;
use stepfn::query::env::Context;
use stepfn::query::env::Env;
use stepfn::query::env::NoVariables;
use stepfn::query::jsonata::expression::FieldScope;
use stepfn::query::jsonpath::path::Path;
use stepfn::query::template::Template;

fn main() {
    divan::main();
}

/// Takes everything and keeps nothing but the count.
#[derive(Default)]
struct Count(u64);

impl Outbox for Count {
    fn command(&mut self, command: Command) {
        panic!("a pure machine gives no command: {command:?}");
    }
    fn history(&mut self, event: HistoryEvent) {
        divan::black_box(event);
        self.0 += 1;
    }
}

fn definition(machine: &Value) -> Arc<Definition> {
    match compile(&machine.to_string(), &Options::default()) {
        Ok(definition) => Arc::new(definition),
        Err(diagnostics) => panic!("{diagnostics:?}"),
    }
}

/// Runs a machine of pure states to its end in one `advance`.
fn run(definition: &Arc<Definition>, input: &Payload) -> u64 {
    let mut count = Count::default();
    let mut execution = Execution::new(Arc::clone(definition));
    let start = Event {
        at: Timestamp(0),
        kind: EventKind::Start(Start {
            execution_arn: "arn:aws:states:us-east-1:123456789012:execution:bench:one".into(),
            name: "one".into(),
            state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:bench".into(),
            state_machine_name: "bench".into(),
            role_arn: "arn:aws:iam::123456789012:role/bench".into(),
            input: input.clone(),
            seed: 1,
            quotas: Quotas::Off,
            token_key: TokenKey::from_seed(1),
            wait_scale: 1.0,
            version_arn: None,
            alias_arn: None,
            express: false,
            synchronous: false,
            block: BlockId(0),
        }),
    };
    execution.advance(&start, &mut count).expect("the machine starts");
    assert!(
        matches!(execution.status(), Status::Succeeded(_)),
        "{:?}",
        execution.status()
    );
    count.0
}

const ROUNDS: u64 = 1_000;

fn loop_machine(kind: &str) -> Value {
    match kind {
        "jsonpath" => json!({"StartAt": "More", "States": {
            "More": {"Type": "Choice", "Default": "Add",
                "Choices": [{"Variable": "$.n", "NumericGreaterThanEquals": ROUNDS, "Next": "Done"}]},
            "Add": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "More"},
            "Done": {"Type": "Succeed"}}}),
        "jsonata" => json!({"QueryLanguage": "JSONata", "StartAt": "More", "States": {
            "More": {"Type": "Choice", "Default": "Add",
                "Choices": [{"Condition": format!("{{% $states.input.n >= {ROUNDS} %}}"), "Next": "Done"}]},
            "Add": {"Type": "Pass", "Output": {"n": "{% $states.input.n + 1 %}"}, "Next": "More"},
            "Done": {"Type": "Succeed"}}}),
        _ => json!({"StartAt": "Begin", "States": {
            "Begin": {"Type": "Pass", "Assign": {"n": 0}, "Next": "More"},
            "More": {"Type": "Choice", "Default": "Add",
                "Choices": [{"Variable": "$n", "NumericGreaterThanEquals": ROUNDS, "Next": "Done"}]},
            "Add": {"Type": "Pass", "Assign": {"n.$": "States.MathAdd($n, 1)"}, "Next": "More"},
            "Done": {"Type": "Succeed"}}}),
    }
}

/// Transitions a second: a counter from 0 to 1,000, two transitions a round.
#[divan::bench(args = ["jsonpath", "jsonata", "variables"])]
fn transitions(bencher: Bencher<'_, '_>, kind: &str) {
    let definition = definition(&loop_machine(kind));
    let input = Payload::new(json!({"n": 0}));
    bencher
        .counter(ItemsCount::new(2 * ROUNDS))
        .bench(|| run(&definition, &input));
}

/// An inline Map of 10,000 items with three states each; a transition is an item.
#[divan::bench(sample_count = 20)]
fn map_10_000_items(bencher: Bencher<'_, '_>) {
    let definition = definition(&json!({"StartAt": "M", "States": {"M": {
        "Type": "Map", "End": true, "ItemProcessor": {"StartAt": "A", "States": {
            "A": {"Type": "Pass", "Parameters": {"n.$": "$"}, "Next": "B"},
            "B": {"Type": "Choice", "Default": "C",
                "Choices": [{"Variable": "$.n", "NumericLessThan": 0, "Next": "C"}]},
            "C": {"Type": "Pass", "OutputPath": "$.n", "End": true}}}}}}));
    let input = Payload::new((0..10_000).collect());
    bencher
        .counter(ItemsCount::new(30_000u64))
        .bench(|| run(&definition, &input));
}

fn chain(fields: &Value) -> Arc<Definition> {
    let states = (0..1_000)
        .map(|i| {
            let mut state = json!({"Type": "Pass"});
            for (name, value) in fields.as_object().into_iter().flatten() {
                state[name] = value.clone();
            }
            if i == 999 {
                state["End"] = json!(true);
            } else {
                state["Next"] = json!(format!("S{}", i + 1));
            }
            (format!("S{i}"), state)
        })
        .collect::<serde_json::Map<_, _>>();
    definition(&json!({"StartAt": "S0", "States": states}))
}

fn payload_200_kb() -> Payload {
    let rows = (0..2_000)
        .map(|i| json!({"id": i, "name": format!("row number {i:05}"), "tags": ["alpha", "beta", "gamma"], "n": i}))
        .collect::<Vec<_>>();
    let payload = Payload::new(json!({"rows": rows, "last": 0, "pad": "x".repeat(50_000)}));
    assert!(payload.text().len() > 190_000 && payload.text().len() < 262_144);
    payload
}

/// 1,000 Pass states that hand 200 KB on as they are.
#[divan::bench]
fn chain_of_1_000_passes_200_kb(bencher: Bencher<'_, '_>) {
    let definition = chain(&json!({}));
    let input = payload_200_kb();
    bencher
        .counter(ItemsCount::new(1_000u64))
        .bench(|| run(&definition, &input));
}

/// The same, but every state writes a member into the payload.
#[divan::bench(sample_count = 10)]
fn chain_of_1_000_result_paths_200_kb(bencher: Bencher<'_, '_>) {
    let definition = chain(&json!({"Result": 7, "ResultPath": "$.last"}));
    let input = payload_200_kb();
    bencher
        .counter(ItemsCount::new(1_000u64))
        .bench(|| run(&definition, &input));
}

/// One path over a payload of 200 KB.
#[divan::bench(args = ["$.rows[1999].name", "$.rows[*].id", "$.rows[?(@.n > 1000)].id", "$..id"])]
fn jsonpath(bencher: Bencher<'_, '_>, text: &str) {
    let path = Path::parse(text).expect("the path is right");
    let payload = payload_200_kb();
    bencher.bench(|| {
        path.select(divan::black_box(payload.value()))
            .expect("it selects")
            .is_null()
    });
}

/// One template of six members, evaluated.
#[divan::bench(args = ["jsonpath", "jsonata"])]
fn template(bencher: Bencher<'_, '_>, language: &str) {
    let template = if language == "jsonpath" {
        Template::parse_jsonpath(&json!({
            "a.$": "$.a", "b.$": "$.list[1]", "c": "constant",
            "d": {"e.$": "States.Format('{}-{}', $.a, $.list[0])", "f.$": "$$.Execution.Name", "g": [1, 2]}
        }))
    } else {
        Template::parse_jsonata(
            &json!({
                "a": "{% $states.input.a %}", "b": "{% $states.input.list[1] %}", "c": "constant",
                "d": {
                    "e": "{% $states.input.a & '-' & $states.input.list[0] %}",
                    "f": "{% $states.context.Execution.Name %}", "g": [1, 2]
                }
            }),
            FieldScope::Input,
        )
    }
    .expect("the template is right");
    let make = |_| Payload::new(json!({"Execution": {"Name": "bench"}}));
    let context = Context::new(&make);
    let entropy = RefCell::new(Entropy::new(1));
    let env = Env {
        input: Payload::new(json!({"a": "x", "list": [1, 2, 3]})),
        result: None,
        error_output: None,
        variables: &NoVariables,
        context: &context,
        entropy: &entropy,
    };
    bencher.bench_local(|| template.evaluate(&env, "Parameters"));
}

/// A definition's text to a `Definition`.
#[divan::bench(args = [10, 100, 1_000])]
fn compile_states(bencher: Bencher<'_, '_>, n_states: usize) {
    let mut text = String::from(r#"{"StartAt": "S0", "States": {"#);
    for i in 0..n_states {
        let next = if i + 1 == n_states {
            r#""End": true"#.to_owned()
        } else {
            format!(r#""Next": "S{}""#, i + 1)
        };
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(
            text,
            r#"{comma}"S{i}": {{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {{
            "FunctionName": "f", "Payload.$": "$.order"}}, "ResultSelector": {{"body.$": "$.Payload"}},
            "ResultPath": "$.r{i}", "Retry": [{{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}}], {next}}}"#
        );
    }
    text.push_str("}}");
    let options = Options::default();
    bencher
        .counter(ItemsCount::new(n_states))
        .bench(|| compile(divan::black_box(&text), &options).expect("it compiles"));
}
