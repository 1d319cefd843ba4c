//! Compares two definitions, block by block.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diff::change::Change;
use crate::diff::change::What;
use crate::diff::moved;
use crate::diff::normal;
use crate::diff::normal::State;
use crate::diff::rename;
use crate::diff::rename::Side;
use crate::diff::rename::States;
use crate::diff::values;

/// How to compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Comments count, too.
    pub comments: bool,
}

/// Two blocks that are still to be compared.
struct Work {
    path: Vec<String>,
    blocks: [Value; 2],
    languages: [String; 2],
}

/// Compares the values of two definitions that compile. Returns what is different, outer blocks first.
pub fn compare(old: &Value, new: &Value, options: Options) -> Vec<Change> {
    let language = |machine: &Value| {
        let written = machine.get("QueryLanguage").and_then(Value::as_str);
        written.unwrap_or("JSONPath").to_owned()
    };
    let mut changes = Vec::new();
    let languages = [language(old), language(new)];
    let mut open = vec![Work {
        path: Vec::new(),
        languages: languages.clone(),
        blocks: [old.clone(), new.clone()],
    }];
    let mut takes_language = false;
    while let Some(work) = open.pop() {
        let inner = block(&work, options, &mut takes_language, &mut changes);
        open.extend(inner.into_iter().rev());
    }
    // Told once, not at every state.
    if takes_language {
        let [old, new] = languages.map(|language| Some(language.into()));
        let field = "QueryLanguage".to_owned();
        let what = What::Field { field, old, new };
        changes.insert(0, Change { path: Vec::new(), what });
    }
    moved::tell(old, new, options, changes)
}

/// Compares two blocks. Returns the blocks inside that are still to be compared.
///
/// `takes_language` is set when a state has another language only because the machine has.
fn block(work: &Work, options: Options, takes_language: &mut bool, changes: &mut Vec<Change>) -> Vec<Work> {
    let [old, new] = &work.blocks;
    if old == new && work.languages[0] == work.languages[1] {
        return Vec::new();
    }
    let states = |side: usize| -> States {
        let states = work.blocks[side].get("States").and_then(Value::as_object);
        let states = states.into_iter().flatten();
        states
            .map(|(name, state)| {
                (
                    name.clone(),
                    normal::state(state, &work.languages[side], options.comments),
                )
            })
            .collect()
    };
    let (mut old_states, new_states) = (states(0), states(1));
    let start = |block: &Value| {
        block
            .get("StartAt")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (old_start, new_start) = (start(old), start(new));
    let renames = rename::renames(
        &Side {
            start_at: &old_start,
            states: &old_states,
        },
        &Side {
            start_at: &new_start,
            states: &new_states,
        },
    );
    let renamed = |name: &str| renames.get(name).cloned();
    for state in old_states.values_mut() {
        rename::retarget(state, renamed);
    }
    let old_start = renamed(&old_start).unwrap_or(old_start);
    let mut found = Vec::new();
    values::compare("StartAt", Some(&old_start.into()), Some(&new_start.into()), &mut found);
    let [old_fields, new_fields] = [old, new].map(|side| Value::Object(normal::block(side, options.comments)));
    values::compare("", Some(&old_fields), Some(&new_fields), &mut found);
    changes.extend(found.into_iter().map(|what| Change {
        path: work.path.clone(),
        what,
    }));
    let mut add = |name: &str, what: What| {
        let mut path = work.path.clone();
        path.push(name.to_owned());
        changes.push(Change { path, what });
    };
    for (name, state) in &old_states {
        if !renames.contains_key(name) && !new_states.contains_key(name) {
            add(name, What::StateRemoved(state.kind()));
        }
    }
    let before: BTreeMap<&str, &str> = renames.iter().map(|(from, to)| (to.as_str(), from.as_str())).collect();
    let mut inner = Vec::new();
    // In the order of the second definition.
    let names = new.get("States").and_then(Value::as_object).into_iter().flatten();
    for (name, _) in names {
        let state = &new_states[name];
        let was = before.get(name.as_str()).copied();
        let Some(old_state) = old_states.get(was.unwrap_or(name)) else {
            add(name, What::StateAdded(state.kind()));
            continue;
        };
        if let Some(from) = was {
            add(name, What::StateRenamed { from: from.to_owned() });
        }
        let mut found = Vec::new();
        let mut fields = [old_state, state].map(|side| side.fields.clone());
        let is_taken =
            |side: usize| fields[side].get("QueryLanguage").and_then(Value::as_str) == Some(&work.languages[side]);
        if work.languages[0] != work.languages[1] && is_taken(0) && is_taken(1) {
            *takes_language = true;
            fields.iter_mut().for_each(|fields| {
                fields.shift_remove("QueryLanguage");
            });
        }
        let [old_fields, new_fields] = fields.map(Value::Object);
        values::compare("", Some(&old_fields), Some(&new_fields), &mut found);
        inner.extend(blocks(work, name, old_state, state, &mut found));
        found.into_iter().for_each(|what| add(name, what));
    }
    inner
}

/// Pairs the blocks of two states. One without a partner is a difference of the state.
fn blocks(work: &Work, name: &str, old: &State, new: &State, found: &mut Vec<What>) -> Vec<Work> {
    let [olds, news] = [old, new].map(|state| state.blocks.iter().map(|(_, block)| block).collect::<Vec<_>>());
    let mut inner = Vec::new();
    // Equal text is not enough: the languages around may differ.
    let pairs = if olds.len() == news.len() {
        (0..olds.len()).map(|index| (Some(index), Some(index))).collect()
    } else {
        values::aligned(&olds, &news)
    };
    for (at_old, at_new) in pairs {
        match (
            at_old.map(|index| &old.blocks[index]),
            at_new.map(|index| &new.blocks[index]),
        ) {
            (Some((_, old)), Some((field, new))) => {
                let mut path = work.path.clone();
                path.extend([name.to_owned(), field.clone()]);
                inner.push(Work {
                    path,
                    blocks: [old.clone(), new.clone()],
                    languages: work.languages.clone(),
                });
            }
            (old, new) => found.extend(old.or(new).map(|(field, block)| {
                let value = |is_there: bool| is_there.then(|| summary(block));
                What::Field {
                    field: field.clone(),
                    old: value(old.is_some()),
                    new: value(new.is_some()),
                }
            })),
        }
    }
    inner
}

/// Says what a whole block is: its states' names.
fn summary(block: &Value) -> Value {
    let states = block.get("States").and_then(Value::as_object).into_iter().flatten();
    Value::Array(states.map(|(name, _)| name.as_str().into()).collect())
}

#[cfg(test)]
mod tests {
    use expect_test::Expect;
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(old: &Value, new: &Value, expected: &Expect) {
        let changes = compare(old, new, Options::default());
        let lines = changes
            .iter()
            .map(|change| format!("{}: {change}\n", change.path.join(" / ")));
        expected.assert_eq(&lines.collect::<String>());
    }

    /// A machine that starts at `A`.
    fn machine(states: &Value) -> Value {
        json!({"StartAt": "A", "States": states})
    }

    #[test]
    fn other_spellings_of_the_same_are_the_same() {
        let old = json!({"StartAt": "A", "Comment": "old", "QueryLanguage": "JSONPath", "States": {
            "A": {"Type": "Task", "Resource": "r", "Next": "M", "TimeoutSeconds": 5,
                "Retry": [{"ErrorEquals": ["b", "a"], "MaxAttempts": 3, "BackoffRate": 2.0}]},
            "M": {"Type": "Map", "Iterator": {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}},
                "Parameters": {"x": 1}, "End": true},
        }});
        let new = json!({"Version": "1.0", "States": {
            "M": {"End": true, "ItemSelector": {"x": 1}, "MaxConcurrency": 0, "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "States": {"B": {"End": true, "Type": "Pass", "OutputPath": "$"}}, "StartAt": "B"}, "Type": "Map"},
            "A": {"Comment": "new", "Resource": "r", "Type": "Task", "Next": "M", "TimeoutSeconds": 5.0,
                "Retry": [{"IntervalSeconds": 1, "ErrorEquals": ["a", "b"]}]},
        }, "StartAt": "A"});
        check(&old, &new, &expect![""]);
        let with_comments = compare(&old, &new, Options { comments: true });
        assert_eq!(with_comments.len(), 2, "{with_comments:?}");
    }

    #[test]
    fn fields_are_told_one_by_one() {
        check(
            &machine(&json!({
                "A": {"Type": "Task", "Resource": "r1", "TimeoutSeconds": 5, "Next": "B", "Catch": [{"ErrorEquals": ["E"], "Next": "B"}],
                    "Retry": [{"ErrorEquals": ["E"]}, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]},
                "B": {"Type": "Choice", "Default": "C", "Choices": [{"Variable": "$.a", "NumericEquals": 1, "Next": "C"}]},
                "C": {"Type": "Pass", "End": true},
            })),
            &json!({"StartAt": "B", "TimeoutSeconds": 9, "States": {
                "A": {"Type": "Task", "Resource": "r2", "HeartbeatSeconds": 5, "Next": "C", "Catch": [{"ErrorEquals": ["E"], "ResultPath": "$.e", "Next": "C"}],
                    "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}], "Parameters": {"x": {"y": 1}}},
                "B": {"Type": "Choice", "Default": "C", "Choices": [{"Variable": "$.a", "NumericEquals": 2, "Next": "A"}]},
                "C": {"Type": "Pass", "Result": 1.0, "End": true},
            }}),
            &expect![[r#"
                : ~ StartAt: "A" → "B"
                : + TimeoutSeconds: 9
                A: ~ Resource: "r1" → "r2"
                A: + HeartbeatSeconds: 5
                A: ~ Next: "B" → "C"
                A: + Catch[0].ResultPath: "$.e"
                A: ~ Catch[0].Next: "B" → "C"
                A: - Retry[0]: {"ErrorEquals":["E"]}
                A: + Parameters: {"x":{"y":1}}
                A: - TimeoutSeconds: 5
                B: ~ Choices[0].NumericEquals: 1 → 2
                B: ~ Choices[0].Next: "C" → "A"
                C: + Result: 1.0
            "#]],
        );
    }

    #[test]
    fn a_renamed_state_is_no_other_state() {
        check(
            &machine(&json!({
                "A": {"Type": "Pass", "Next": "B"},
                "B": {"Type": "Wait", "Seconds": 1, "Next": "C"},
                "C": {"Type": "Pass", "Next": "D"},
                "D": {"Type": "Task", "Resource": "r", "End": true},
            })),
            &machine(&json!({
                "A": {"Type": "Pass", "Next": "B2"},
                "B2": {"Type": "Wait", "Seconds": 1, "Next": "C2"},
                "C2": {"Type": "Pass", "Next": "E"},
                "E": {"Type": "Task", "Resource": "other", "End": true},
            })),
            &expect![[r#"
                D: - state removed (Task)
                B2: ~ renamed from `B`
                C2: ~ renamed from `C`
                C2: ~ Next: "D" → "E"
                E: + state added (Task)
            "#]],
        );
    }

    #[test]
    fn alike_states_are_told_apart_by_what_they_join() {
        check(
            &machine(&json!({
                "A": {"Type": "Choice", "Choices": [{"Condition": "{% $x %}", "Next": "P"}], "Default": "Q", "QueryLanguage": "JSONata"},
                "P": {"Type": "Pass", "End": true},
                "Q": {"Type": "Pass", "End": true},
            })),
            &machine(&json!({
                "A": {"Type": "Choice", "Choices": [{"Condition": "{% $x %}", "Next": "P2"}], "Default": "Q2", "QueryLanguage": "JSONata"},
                "P2": {"Type": "Pass", "End": true},
                "Q2": {"Type": "Pass", "End": true},
            })),
            &expect![[r#"
                P2: ~ renamed from `P`
                Q2: ~ renamed from `Q`
            "#]],
        );
    }

    #[test]
    fn inner_blocks_have_paths() {
        let branch = |states: Value| json!({"StartAt": "X", "States": states});
        let parallel =
            |branches: Value| machine(&json!({"A": {"Type": "Parallel", "Branches": branches, "End": true}}));
        let x = branch(json!({"X": {"Type": "Wait", "Seconds": 1, "End": true}}));
        let y = json!({"StartAt": "Y", "States": {"Y": {"Type": "Succeed"}}});
        let slower = branch(json!({"X": {"Type": "Wait", "Seconds": 2, "End": true}}));
        check(
            &parallel(json!([x, y])),
            &parallel(json!([slower, y])),
            &expect![[r#"
            A / Branches[0] / X: ~ Seconds: 1 → 2
        "#]],
        );
        check(
            &parallel(json!([x])),
            &parallel(json!([x, y])),
            &expect![[r#"
            A: + Branches[1]: ["Y"]
        "#]],
        );
    }

    #[test]
    fn the_language_of_the_machine_is_that_of_its_states() {
        let states = json!({"A": {"Type": "Pass", "End": true}});
        let jsonata = json!({"StartAt": "A", "QueryLanguage": "JSONata", "States": states});
        check(
            &machine(&states),
            &jsonata,
            &expect![[r#"
            : ~ QueryLanguage: "JSONPath" → "JSONata"
        "#]],
        );
    }

    #[test]
    fn rules_in_another_order_are_the_same_rules() {
        let choice = |choices: Value| {
            machine(&json!({
                "A": {"Type": "Choice", "Choices": choices, "Default": "B"},
                "B": {"Type": "Succeed"},
            }))
        };
        let rule = |n: i32| json!({"Variable": "$.n", "NumericEquals": n, "Next": "B"});
        check(
            &choice(json!([rule(1), rule(2), rule(3)])),
            &choice(json!([rule(3), rule(1), rule(2)])),
            &expect![[r#"
                A: ~ Choices: the same entries in another order, before: [2] [0] [1]
            "#]],
        );
    }

    #[test]
    fn a_state_in_another_block_has_moved() {
        let inside = |state: Value| {
            machine(&json!({
                "A": {"Type": "Pass", "Next": "P"},
                "P": {"Type": "Parallel", "End": true, "Branches": [{"StartAt": "B", "States": {"B": state}}]},
            }))
        };
        let beside = machine(&json!({
            "A": {"Type": "Pass", "Next": "B"},
            "B": {"Type": "Wait", "Seconds": 1, "Next": "C"},
            "C": {"Type": "Succeed"},
        }));
        let there = inside(json!({"Type": "Wait", "Seconds": 1, "End": true}));
        check(
            &beside,
            &there,
            &expect![[r#"
            P / Branches[0] / B: ~ moved here from the state machine's own states
            P / Branches[0] / B: + End: true
            P / Branches[0] / B: - Next: "C"
            C: - state removed (Succeed)
            A: ~ Next: "B" → "P"
            P: + state added (Parallel)
        "#]],
        );
        check(
            &there,
            &beside,
            &expect![[r#"
            P: - state removed (Parallel)
            A: ~ Next: "P" → "B"
            B: ~ moved here from `P / Branches[0]`
            B: + Next: "C"
            B: - End: true
            C: + state added (Succeed)
        "#]],
        );
    }

    #[test]
    fn a_definition_is_the_same_as_itself_and_ten_thousand_states_are_compared() {
        let states = |prefix: &str| -> Value {
            let name = |index: usize| format!("{prefix}{index}");
            let state = |index: usize| json!({"Type": "Wait", "Seconds": index, "Next": name(index + 1)});
            let mut states: serde_json::Map<String, Value> =
                (0..10_000).map(|index| (name(index), state(index))).collect();
            states.insert(name(10_000), json!({"Type": "Succeed"}));
            json!({"StartAt": name(0), "States": states})
        };
        assert_eq!(compare(&states("a"), &states("a"), Options::default()), Vec::new());
        let renamed = compare(&states("a"), &states("b"), Options::default());
        assert_eq!(renamed.len(), 10_001);
        assert!(
            renamed
                .iter()
                .all(|change| matches!(change.what, What::StateRenamed { .. }))
        );
    }
}
