//! The official JSONata suite, run on the engine that the query languages stand on.
//!
//! The suite lies beside the repository; without it the test passes and says so.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use jlens_core::Bindings;
use jlens_core::Expression;
use jlens_core::Options;
use serde_json::Value;
use stepfn::model::entropy::Entropy;
use stepfn::model::payload::Payload;
use stepfn::query::env::Context;
use stepfn::query::env::Env;
use stepfn::query::env::NoVariables;
use stepfn::query::jsonata::expression::FieldScope;

/// Cases with half a surrogate pair, which no Rust string can hold.
const NOT_APPLICABLE: [&str; 2] = [
    "function-encodeUrl/case002.json",
    "function-encodeUrlComponent/case002.json",
];
/// `$string(1/0)` reports `D1001` where the reference reports `D3001`.
const EXPECTED_FAILURES: [&str; 1] = ["$string(1/0)"];
/// How many cases a Rust engine can pass at most.
const APPLICABLE: usize = 1_684;

fn suite() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/jsonata-suite")
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of the suite")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("a file of the suite");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares numbers as the 64-bit floats that they are in JSONata.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        (left, right) => left == right,
    }
}

fn evaluate(
    expression: &str,
    case: &Value,
    datasets: &BTreeMap<String, Value>,
) -> Result<Option<Value>, jlens_core::Error> {
    let expression = Expression::compile(expression)?;
    let input = match (case.get("data"), case.get("dataset")) {
        (Some(data), _) => Some(data),
        (None, Some(Value::String(name))) => Some(&datasets[name]),
        _ => None,
    };
    let mut bindings = Bindings::new();
    for (name, value) in case["bindings"].as_object().into_iter().flatten() {
        bindings = bindings.var(name.as_str(), value.clone());
    }
    let mut options = Options::new().now(1_788_220_800_000).seed(1);
    if let Some(millis) = case["timelimit"].as_u64() {
        options = options.timeout(Duration::from_millis(millis));
    }
    if let Some(depth) = case["depth"].as_u64() {
        options = options.max_depth(depth as usize);
    }
    expression.evaluate_with(input, &bindings, &options)
}

fn judge(expression: &str, case: &Value, datasets: &BTreeMap<String, Value>) -> Result<(), String> {
    let outcome = evaluate(expression, case, datasets);
    let wanted_error = case.get("error").or_else(|| case.get("code").map(|_| case));
    match (outcome, wanted_error) {
        (Err(error), Some(wanted)) => {
            let code = match error.code() {
                "D1011" | "D1012" => "U1001",
                code => code,
            };
            let wanted_code = wanted["code"].as_str().unwrap_or_default();
            if code != wanted_code {
                return Err(format!("failed with {error}, wanted {wanted_code}"));
            }
            match wanted["token"].as_str() {
                Some(token) if error.token().as_deref() != Some(token) => {
                    Err(format!("named {:?}, wanted {token}", error.token()))
                }
                _ => Ok(()),
            }
        }
        (Err(error), None) => Err(format!("failed with {error}")),
        (Ok(value), Some(_)) => Err(format!("gave {value:?}, wanted an error")),
        (Ok(None), None) if case["undefinedResult"] == true => Ok(()),
        (Ok(Some(value)), None) if case.get("result").is_some_and(|wanted| same(&value, wanted)) => Ok(()),
        (Ok(value), None) => Err(format!("gave {value:?}")),
    }
}

/// Calls `visit` with the file and the expression of every applicable case, and the case.
fn visit_cases(suite: &Path, mut visit: impl FnMut(&str, &str, &Value)) {
    for group in sorted(&suite.join("groups")) {
        for path in sorted(&group) {
            let file = format!(
                "{}/{}",
                group.file_name().unwrap_or_default().to_string_lossy(),
                path.file_name().unwrap_or_default().to_string_lossy()
            );
            if !file.ends_with(".json") || NOT_APPLICABLE.contains(&file.as_str()) {
                continue;
            }
            let cases = match read(&path) {
                Value::Array(cases) => cases,
                case => vec![case],
            };
            for case in cases {
                let expression = match (&case["expr"], &case["expr-file"]) {
                    (Value::String(text), _) => text.clone(),
                    (_, Value::String(name)) => fs::read_to_string(group.join(name)).expect("an expression"),
                    _ => panic!("{file} holds no expression"),
                };
                visit(&file, &expression, &case);
            }
        }
    }
}

fn read_datasets(suite: &Path) -> BTreeMap<String, Value> {
    let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    sorted(&suite.join("datasets"))
        .iter()
        .map(|path| (name(path), read(path)))
        .collect()
}

#[test]
fn the_engine_passes_the_official_suite() {
    let suite = suite();
    if !suite.is_dir() {
        eprintln!("The JSONata suite is not at {}: nothing was tested.", suite.display());
        return;
    }
    let datasets = read_datasets(&suite);
    let (mut passed, mut total, mut failures) = (0, 0, Vec::new());
    visit_cases(&suite, |file, expression, case| {
        total += 1;
        match judge(expression, case, &datasets) {
            Ok(()) => passed += 1,
            Err(_) if EXPECTED_FAILURES.contains(&expression) => {}
            Err(trouble) => failures.push(format!("{file}: {expression}\n    {trouble}")),
        }
    });
    assert!(
        failures.is_empty(),
        "{} cases fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert_eq!((passed, total), (APPLICABLE - EXPECTED_FAILURES.len(), APPLICABLE));
}

/// Every expression of the suite as a step after `$states.input`, by our layer and by the bare engine.
/// Errors whose sentence holds a number: ours print `2` as JavaScript does, the engine's `2.0`.
const PRINTS_NUMBERS: [&str; 4] = ["D2014", "D3060", "D3061", "D3100"];

#[test]
fn our_layer_gives_what_the_engine_gives() {
    let suite = suite();
    if !suite.is_dir() {
        eprintln!("The JSONata suite is not at {}: nothing was tested.", suite.display());
        return;
    }
    let datasets = read_datasets(&suite);
    let (mut compared, mut failures) = (0, Vec::new());
    visit_cases(&suite, |file, expression, case| {
        let differs_on_purpose = ["$eval", "$random", "$shuffle", "$pad", "$base64decode"]
            .iter()
            .any(|name| expression.contains(name));
        if differs_on_purpose || case.get("timelimit").is_some() {
            return;
        }
        let text = format!("$states.input.(\n{expression}\n)");
        let parsed = stepfn::query::jsonata::expression::Expression::parse(&format!("{{%{text}%}}"), FieldScope::Input);
        let Ok(ours) = parsed else {
            return;
        };
        let input = match (case.get("data"), case.get("dataset")) {
            (Some(data), _) => data.clone(),
            (None, Some(Value::String(name))) => datasets[name].clone(),
            _ => Value::Null,
        };
        let bare = Expression::compile(&text).expect("what our layer compiled");
        let context = serde_json::json!({"State": {"EnteredTime": "1970-01-01T00:00:00Z"}});
        let states = serde_json::json!({"input": input, "context": context});
        let bindings = Bindings::new().var("states", states);
        let options = Options::new().max_depth(500).max_steps(5_000_000).now(0);
        let bare = bare.evaluate_with(None, &bindings, &options);
        let make = |_| Payload::new(context.clone());
        let env = Env {
            input: Payload::new(input),
            result: None,
            error_output: None,
            variables: &NoVariables,
            context: &Context::new(&make),
            entropy: &RefCell::new(Entropy::new(1)),
        };
        let ours = ours.evaluate(&env, "Output");
        compared += 1;
        let agree = match (&bare, &ours) {
            (Ok(Some(bare)), Ok(ours)) => same(bare, ours),
            (Ok(None), Err(error)) => {
                let error = error.to_string();
                error.ends_with("returned nothing (undefined).") || error.ends_with("unsupported result type.")
            }
            (Err(error), Err(ours)) => {
                let is_limit = matches!(error.code(), "D1011" | "D1012" | "U1001" | "U1006");
                let ours = ours.to_string();
                let has_code = ours.contains(&format!(". {}: ", error.code()));
                is_limit
                    || ours.ends_with(&format!("{}: {}", error.code(), error.message()))
                    || has_code && PRINTS_NUMBERS.contains(&error.code())
                    || error.code() == "D1001" && ours.contains(". D3001: ")
            }
            // The engine has no infinities; our layer has, and so `$string` refuses them.
            (Err(error), Ok(_)) => error.code() == "D1001",
            _ => false,
        };
        if !agree {
            failures.push(format!(
                "{file}: {expression}\n    engine {bare:?}\n    ours   {ours:?}"
            ));
        }
    });
    assert!(
        failures.is_empty(),
        "{} cases differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(compared > 1_200, "only {compared} cases were compared");
}
