//! Compares histories.
//!
//! An event is `{"id", "previousEventId", "type", "detailsKey"?, "details"?}`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;
use stepfn::model::history_event::HistoryEvent;
use stepfn::model::id::EventId;

use crate::matcher::Difference;
use crate::matcher::Matcher;

/// How much order the expected events have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Every event in its place.
    Exact,
    /// Siblings of Map and Parallel may interleave: every event in its place of the causal tree.
    Tree,
    /// The recorder has sorted events and zeroed ids: the same events.
    Bag,
}

/// Returns a history as the case files write it.
pub fn to_json(history: &[HistoryEvent]) -> Vec<Value> {
    let event = |event: &HistoryEvent| {
        let mut json = json!({
            "id": event.id.0,
            "previousEventId": event.previous.0,
            "type": event.type_name(),
        });
        if let Some((key, details)) = event.details() {
            json["detailsKey"] = key.into();
            json["details"] = details;
        }
        json
    };
    history.iter().map(event).collect()
}

/// Returns what `GetExecutionHistory` gave as the case files write it.
pub fn from_api(events: &[Value]) -> Vec<Value> {
    let event = |event: &Value| {
        let mut json = json!({
            "id": event.get("id"),
            "previousEventId": event.get("previousEventId"),
            "type": event.get("type"),
        });
        let details = event.as_object().into_iter().flatten();
        for (key, details) in details.filter(|(key, _)| key.ends_with("EventDetails")) {
            json["detailsKey"] = key.as_str().into();
            json["details"] = details.clone();
        }
        json
    };
    events.iter().map(event).collect()
}

/// Returns a line for each event: `id<previous Type:name`.
pub fn lines(events: &[Value]) -> Vec<String> {
    let line = |event: &Value| {
        let (id, previous) = (number(event, "id"), number(event, "previousEventId"));
        let name = event.pointer("/details/name").and_then(Value::as_str);
        let name = name.map_or(String::new(), |name| format!(":{name}"));
        format!("{id}<{previous} {}{name}", kind(event))
    };
    with_newer_links(events).iter().map(line).collect()
}

/// Returns the first difference. Tries the exact order first.
///
/// AWS changed two `previousEventId`s after most recordings were made, so both forms count as the same: that of
/// `EvaluationFailed` (once what the state's `…Entered` points at, now `…Entered` itself) and that of the
/// `MapStateExited` of a Distributed Map (once `MapRunSucceeded`, now `MapRunStarted`).
pub fn compare(matcher: &Matcher<'_>, expected: &[Value], actual: &[Value], order: Order) -> Difference {
    let expected = with_newer_links(expected);
    let actual = with_newer_links(actual);
    let as_value = |events: Vec<Value>| Value::Array(events);
    let exact = matcher
        .clone()
        .diff(&as_value(expected.clone()), &as_value(actual.clone()), "$.events");
    exact.as_ref()?;
    match order {
        Order::Exact => exact,
        Order::Tree => {
            let (expected, actual) = (as_value(flatten(&expected)), as_value(flatten(&actual)));
            let mut matcher = matcher.clone().with_loose_ids();
            matcher.diff(&expected, &actual, "$.events(tree)").and(exact)
        }
        Order::Bag => {
            let names: BTreeSet<(String, String)> = expected.iter().map(type_and_name).collect();
            let kept = actual
                .into_iter()
                .filter(|event| kind(event) != "ParallelStateExited" || names.contains(&type_and_name(event)));
            let actual = sorted(kept.collect());
            bag(matcher.clone().with_loose_ids(), &sorted(expected), actual)
        }
    }
}

/// Looks for an actual event for every expected one, the nearest first.
fn bag(mut matcher: Matcher<'_>, expected: &[Value], mut actual: Vec<Value>) -> Difference {
    for (index, wanted) in expected.iter().enumerate() {
        let path = format!("$.events(sorted)[{index}]");
        let mut first = None;
        let mut found = None;
        for (at, got) in actual.iter().enumerate() {
            let mut attempt = matcher.clone();
            match attempt.diff(wanted, got, &path) {
                None => {
                    found = Some((at, attempt));
                    break;
                }
                Some(difference) if kind(wanted) == kind(got) => {
                    first.get_or_insert(difference);
                }
                Some(_) => (),
            }
        }
        let Some((at, attempt)) = found else {
            return first.or_else(|| Some(format!("{path}: {} is missing", kind(wanted))));
        };
        actual.remove(at);
        matcher = attempt;
    }
    let extra = actual.first()?;
    Some(format!("$.events(sorted): unexpected {}", kind(extra)))
}

/// Returns the history with the newer of the two links described at `compare`.
pub fn newer_history(history: &[HistoryEvent]) -> Vec<HistoryEvent> {
    let newer = with_newer_links(&to_json(history));
    let link = |(event, json): (&HistoryEvent, &Value)| HistoryEvent {
        previous: EventId(number(json, "previousEventId")),
        ..event.clone()
    };
    history.iter().zip(&newer).map(link).collect()
}

fn with_newer_links(events: &[Value]) -> Vec<Value> {
    let mut entered: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut map_runs: BTreeMap<u64, u64> = BTreeMap::new();
    let mut out = Vec::with_capacity(events.len());
    for event in events {
        let mut event = event.clone();
        let (id, previous) = (number(&event, "id"), number(&event, "previousEventId"));
        match kind(&event) {
            "MapRunSucceeded" => {
                map_runs.insert(id, previous);
            }
            "MapStateExited" => {
                if let Some(started) = map_runs.get(&previous) {
                    event["previousEventId"] = (*started).into();
                }
            }
            "EvaluationFailed" => {
                if let Some((entered, before)) = entered.get(detail(&event, "state"))
                    && previous == *before
                {
                    event["previousEventId"] = (*entered).into();
                }
            }
            kind if kind.ends_with("StateEntered") => {
                entered.insert(detail(&event, "name").to_owned(), (id, previous));
            }
            _ => (),
        }
        out.push(event);
    }
    out
}

/// Walks the causal tree depth first, siblings in a canonical order, ids dropped.
///
/// The `previousEventId` of the events that open an iteration, close a Map or Parallel and leave it tells which
/// branch happened to finish last, so these hang on the `MapStateStarted` or `ParallelStateStarted` they belong to.
fn flatten(events: &[Value]) -> Vec<Value> {
    let by_id: BTreeMap<u64, &Value> = events.iter().map(|event| (number(event, "id"), event)).collect();
    let mut parent: BTreeMap<u64, u64> = BTreeMap::new();
    let mut closed: BTreeSet<u64> = BTreeSet::new();
    let mut left: BTreeSet<u64> = BTreeSet::new();
    for event in events {
        let previous = number(event, "previousEventId");
        let find = |wanted: &str, parent: &BTreeMap<u64, u64>, fits: &dyn Fn(u64) -> bool| -> Option<u64> {
            let mut at = previous;
            for _ in 0..=events.len() {
                let node = by_id.get(&at)?;
                if kind(node) == wanted && fits(at) {
                    return Some(at);
                }
                at = match parent.get(&at) {
                    Some(parent) => *parent,
                    None => number(node, "previousEventId"),
                };
            }
            None
        };
        let owner = match kind(event) {
            "MapIterationStarted" => find("MapStateStarted", &parent, &|id| !closed.contains(&id)),
            "MapStateSucceeded" | "MapStateFailed" | "MapStateAborted" => {
                let owner = find("MapStateStarted", &parent, &|id| !closed.contains(&id));
                closed.extend(owner);
                owner
            }
            "ParallelStateSucceeded" | "ParallelStateFailed" | "ParallelStateAborted" => {
                let owner = find("ParallelStateStarted", &parent, &|id| !closed.contains(&id));
                closed.extend(owner);
                owner
            }
            kind @ ("MapStateExited" | "ParallelStateExited") => {
                let started = kind.replace("Exited", "Started");
                let owner = find(&started, &parent, &|id| closed.contains(&id) && !left.contains(&id));
                left.extend(owner);
                owner
            }
            _ => None,
        };
        parent.insert(number(event, "id"), owner.unwrap_or(previous));
    }
    let mut children: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for event in events {
        let parent = parent.get(&number(event, "id")).copied().unwrap_or(0);
        children.entry(parent).or_default().push(event);
    }
    for siblings in children.values_mut() {
        siblings.sort_by_cached_key(|event| key(event));
    }
    let below = |id: u64, depth: u64| -> Vec<(&Value, u64)> {
        let siblings = children.get(&id).into_iter().flatten().rev();
        siblings.map(|event| (*event, depth)).collect()
    };
    let mut todo = below(0, 0);
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    while let Some((event, depth)) = todo.pop() {
        let id = number(event, "id");
        if !seen.insert(id) {
            continue;
        }
        let mut plain = without_ids(event);
        plain["depth"] = depth.into();
        out.push(plain);
        todo.extend(below(id, depth + 1));
    }
    for event in events {
        if !seen.contains(&number(event, "id")) {
            out.push(json!({"unreachable": true, "type": kind(event)}));
        }
    }
    out
}

/// The recorder's sorting also lost `ParallelStateSucceeded` and `ParallelStateFailed`: the next id skips one.
fn sorted(events: Vec<Value>) -> Vec<Value> {
    let lost = ["ParallelStateSucceeded", "ParallelStateFailed"];
    let kept = events.iter().filter(|event| !lost.contains(&kind(event)));
    let mut plain: Vec<Value> = kept.map(without_ids).collect();
    plain.sort_by_cached_key(key);
    plain
}

fn without_ids(event: &Value) -> Value {
    let mut plain = event.clone();
    if let Some(map) = plain.as_object_mut() {
        map.shift_remove("id");
        map.shift_remove("previousEventId");
    }
    plain
}

fn key(event: &Value) -> [String; 4] {
    let index = event
        .pointer("/details/index")
        .map(Value::to_string)
        .unwrap_or_default();
    let input = match event.pointer("/details/input") {
        None => String::new(),
        Some(Value::String(text)) => match serde_json::from_str::<Value>(text) {
            Ok(value) => canonical(value),
            Err(_) => text.clone(),
        },
        Some(value) => canonical(value.clone()),
    };
    [kind(event).to_owned(), detail(event, "name").to_owned(), index, input]
}

fn canonical(mut value: Value) -> String {
    value.sort_all_objects();
    value.to_string()
}

fn type_and_name(event: &Value) -> (String, String) {
    (kind(event).to_owned(), detail(event, "name").to_owned())
}

fn kind(event: &Value) -> &str {
    event.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn detail<'a>(event: &'a Value, name: &str) -> &'a str {
    let value = event.get("details").and_then(|details| details.get(name));
    value.and_then(Value::as_str).unwrap_or_default()
}

fn number(event: &Value, name: &str) -> u64 {
    event.get(name).and_then(Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn event(id: u64, previous: u64, kind: &str, details: Value) -> Value {
        json!({"id": id, "previousEventId": previous, "type": kind, "details": details})
    }

    fn branches(first: &str, second: &str) -> Vec<Value> {
        vec![
            event(1, 0, "ParallelStateEntered", json!({"name": "P"})),
            event(2, 1, "ParallelStateStarted", json!({})),
            event(3, 2, "PassStateEntered", json!({"name": first})),
            event(4, 3, "PassStateExited", json!({"name": first})),
            event(5, 2, "PassStateEntered", json!({"name": second})),
            event(6, 5, "PassStateExited", json!({"name": second})),
            event(7, 6, "ParallelStateSucceeded", json!({})),
            event(8, 6, "ParallelStateExited", json!({"name": "P"})),
        ]
    }

    #[test]
    fn siblings_may_interleave_in_a_tree_only() {
        let table = BTreeMap::new();
        let matcher = Matcher::new(&table);
        let (expected, actual) = (branches("A", "B"), branches("B", "A"));
        assert!(compare(&matcher, &expected, &actual, Order::Exact).is_some());
        assert_eq!(compare(&matcher, &expected, &actual, Order::Tree), None);
        let other = branches("B", "C");
        assert!(compare(&matcher, &expected, &other, Order::Tree).is_some());
    }

    #[test]
    fn both_links_of_a_failed_evaluation_count() {
        let table = BTreeMap::new();
        let matcher = Matcher::new(&table);
        let history = |previous: u64| {
            vec![
                event(1, 0, "ExecutionStarted", json!({})),
                event(2, 0, "PassStateEntered", json!({"name": "A"})),
                event(3, previous, "EvaluationFailed", json!({"state": "A"})),
            ]
        };
        assert_eq!(compare(&matcher, &history(0), &history(2), Order::Exact), None);
        assert!(compare(&matcher, &history(0), &history(1), Order::Exact).is_some());
    }
}
