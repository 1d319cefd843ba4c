//! The fast path against the engine, on random small expressions.

use std::cell::RefCell;

use serde_json::json;

use super::*;
use crate::model::entropy::Entropy;
use crate::query::env::Context;
use crate::query::env::Variables;

/// The seed of the random expressions; `STEPFN_SEED` sets another.
const SEED: u64 = 20_261_124;
const N_EXPRESSIONS: usize = 4_000;

const LITERALS: [&str; 24] = [
    "0",
    "1",
    "-1",
    "-0",
    "2.5",
    "0.1",
    "0.2",
    "1e3",
    "1e15",
    "9007199254740993",
    "1e20",
    "1e21",
    "1.7e308",
    "1e-7",
    "''",
    "'a'",
    "'b'",
    "'10'",
    "'é'",
    "'\u{1F600}'",
    "'\u{FF5E}'",
    "true",
    "false",
    "null",
];
const PATHS: [&str; 30] = [
    "$states.input.n",
    "$states.input.f",
    "$states.input.minus",
    "$states.input.s",
    "$states.input.t",
    "$states.input.z",
    "$states.input.missing",
    "$states.input.o",
    "$states.input.o.p.q",
    "$states.input.o.p.q.r",
    "$states.input.xs",
    "$states.input.xs.k",
    "$states.input.one",
    "$states.input.one.k",
    "$states.input.none",
    "$states.input.nested",
    "$states.input.n.k",
    "$states.input.s.length",
    "$states.result.r",
    "$states.result",
    "$states.errorOutput",
    "$states.context.State.Name",
    "$states.context.Execution.Input.a",
    "$states.other",
    "$v",
    "$v.a",
    "$v.a.b",
    "$unassigned",
    "$sum",
    "$states.input.`sp ace`",
];
const OPERATORS: [&str; 14] = [
    "+", "-", "*", "/", "%", "&", "=", "!=", "<", "<=", ">", ">=", "and", "or",
];

struct Assigned;

impl Variables for Assigned {
    fn get(&self, name: &str) -> Option<Payload> {
        (name == "v").then(|| Payload::new(json!({"a": {"b": [1, [2], []]}})))
    }
}

fn pick<'t>(chance: &mut Entropy, table: &[&'t str]) -> &'t str {
    table[(chance.next_u64() % table.len() as u64) as usize]
}

fn expression(chance: &mut Entropy, depth: usize) -> String {
    if depth == 0 {
        let table: &[&str] = if chance.next_u64().is_multiple_of(2) {
            &LITERALS
        } else {
            &PATHS
        };
        return pick(chance, table).to_owned();
    }
    let mut part = || expression(chance, depth - 1);
    let (a, b, c) = (part(), part(), part());
    match chance.next_u64() % 8 {
        0..=3 => format!("{a} {} {b}", pick(chance, &OPERATORS)),
        4 => format!("({a})"),
        5 => format!("{a} ? {b} : {c}"),
        6 => format!("[{a}, [{b}], ({c})]"),
        _ => format!("{{'a': {a}, 'b': {b}, '1': {c}}}"),
    }
}

#[test]
fn the_fast_path_gives_what_the_engine_gives() {
    let seed = std::env::var("STEPFN_SEED").map_or(SEED, |text| text.parse().expect("a seed"));
    eprintln!("STEPFN_SEED={seed}");
    let make = |_| Payload::new(json!({"State": {"Name": "S"}, "Execution": {"Input": {"a": 1}}}));
    let env = Env {
        input: Payload::new(json!({
            "n": 41, "f": 1.5, "minus": -2, "s": "text", "t": true, "z": null, "one": [{"k": 1}], "none": [],
            "xs": [{"k": "a"}, {"k": "b"}], "nested": [[1], [[2, 3]], {}], "o": {"p": {"q": "deep"}}, "sp ace": 2_000_000_000_000_000_i64
        })),
        result: Some(Payload::new(json!({"r": [1, "x"]}))),
        error_output: None,
        variables: &Assigned,
        context: &Context::new(&make),
        entropy: &RefCell::new(Entropy::new(1)),
    };
    let mut chance = Entropy::new(seed);
    let mut n_answered = 0;
    for index in 0..N_EXPRESSIONS {
        let text = expression(&mut chance, 1 + index % 3);
        let Ok(parsed) = Expression::parse(&format!("{{% {text} %}}"), FieldScope::Result) else {
            continue;
        };
        let Some(quick) = parsed.0.quick.as_ref().and_then(|quick| quick.evaluate(&env)) else {
            continue;
        };
        n_answered += 1;
        match parsed.0.lens.evaluate(&env) {
            Ok(Outcome::Value(value)) => assert_eq!(quick.to_string(), value.to_string(), "{text}"),
            Ok(_) => panic!("{text}: the fast path gives {quick}, the engine nothing"),
            Err(error) => panic!("{text}: the fast path gives {quick}, the engine fails: {error}"),
        }
    }
    assert!(n_answered > N_EXPRESSIONS / 10, "only {n_answered} were answered");
}
