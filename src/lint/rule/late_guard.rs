//! An `IsPresent` that is asked too late.

use crate::asl::definition::Comparison;
use crate::asl::definition::Condition;
use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

pub(super) const RULE: Rule = Rule {
    id: "choice/late-guard",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "IsPresent comes after the comparison that it should guard",
    explanation: "Rules are looked at in their order, and the parts of And and Or, too. A comparison with a Variable that is not \
        there fails the execution with States.Runtime, which nothing can catch, so an IsPresent that comes later is never \
        asked when it matters. Put it first.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"And":[{"Variable":"$.a","StringEquals":"x"},{"Variable":"$.a","IsPresent":true}],"Next":"S"}],"Default":"F"},"S":{"Type":"Succeed"},"F":{"Type":"Fail"}}}"#,
            good: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"And":[{"Variable":"$.a","IsPresent":true},{"Variable":"$.a","StringEquals":"x"}],"Next":"S"}],"Default":"F"},"S":{"Type":"Succeed"},"F":{"Type":"Fail"}}}"#,
            location: "/States/C/Choices[0]/And[1]",
        },
        Example {
            bad: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.a","NumericEquals":1,"Next":"S"},{"Variable":"$.a","IsPresent":false,"Next":"F"}],"Default":"F"},"S":{"Type":"Succeed"},"F":{"Type":"Fail"}}}"#,
            good: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.a","IsPresent":false,"Next":"F"},{"Variable":"$.a","NumericEquals":1,"Next":"S"}],"Default":"F"},"S":{"Type":"Succeed"},"F":{"Type":"Fail"}}}"#,
            location: "/States/C/Choices[1]",
        },
    ],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Choice(choice) = &state.kind else {
            continue;
        };
        let mut seen = Seen::default();
        for (index, rule) in choice.rules.iter().enumerate() {
            let mut late = Vec::new();
            seen.look(&rule.condition, &format!("/Choices[{index}]"), true, &mut late);
            for (place, variable) in late {
                let node = written.node.follow(&place);
                let message = format!(
                    "It comes too late: a comparison before it reads `{variable}`, and the execution fails there with \
                     States.Runtime when it is not present"
                );
                reporter
                    .report(node, format!("{}{place}", written.location), message)
                    .hint("ask whether it is present before anything else is asked of it");
            }
        }
    }
}

#[derive(Default)]
struct Seen<'a> {
    /// What has been compared for certain before now, and was not asked for before.
    compared: Vec<&'a str>,
    /// What has been asked for.
    guarded: Vec<&'a str>,
}

impl<'a> Seen<'a> {
    /// Looks at a condition's parts in their order. `sure`: it is looked at whenever the Choice comes this far.
    fn look(&mut self, condition: &'a Condition, place: &str, sure: bool, late: &mut Vec<(String, &'a str)>) {
        let (all, name) = match condition {
            Condition::And(all) => (all.as_slice(), "And"),
            Condition::Or(all) => (all.as_slice(), "Or"),
            Condition::Not(inner) => {
                self.look(inner, &format!("{place}/Not"), sure, late);
                return;
            }
            Condition::Compare { variable, comparison } => {
                let text = variable.text();
                let is_guard = matches!(comparison, Comparison::IsPresent(_));
                if is_guard && self.compared.contains(&text) {
                    late.push((place.to_owned(), text));
                }
                if is_guard {
                    self.guarded.push(text);
                } else if sure && !self.guarded.contains(&text) {
                    self.compared.push(text);
                }
                return;
            }
            Condition::Expression(_) | Condition::Literal(_) => return,
        };
        let mut known = self.compared.len();
        for (index, part) in all.iter().enumerate() {
            // Within And and Or what came before was looked at, or this is not.
            self.look(part, &format!("{place}/{name}[{index}]"), true, late);
            if index == 0 && sure {
                known = self.compared.len();
            }
        }
        // Behind it only the first part is known to have been looked at.
        self.compared.truncate(known);
    }
}

#[cfg(test)]
mod tests {
    use crate::asl::load::Options;

    /// Returns the places where `choices` ask too late.
    fn late(choices: &str) -> Vec<String> {
        let text = format!(
            r#"{{"StartAt":"C","States":{{"C":{{"Type":"Choice","Choices":[{choices}],"Default":"F"}},"F":{{"Type":"Fail"}}}}}}"#
        );
        let findings = crate::lint::check(&text, &Options::default()).unwrap().into_iter();
        let own = findings.filter(|finding| finding.rule == super::RULE.id);
        own.filter_map(|finding| finding.location).collect()
    }

    #[test]
    fn only_what_was_surely_compared_before_makes_it_late() {
        for (choices, expected) in [
            // Nobody knows whether `$.b` was compared.
            (
                r#"{"And":[{"Variable":"$.a","IsPresent":true},{"Variable":"$.b","NumericEquals":1}],"Next":"F"},{"Variable":"$.b","IsPresent":false,"Next":"F"}"#,
                &[][..],
            ),
            (
                r#"{"And":[{"Variable":"$.b","NumericEquals":1},{"Variable":"$.a","IsNull":true}],"Next":"F"},{"Not":{"Variable":"$.b","IsPresent":true},"Next":"F"}"#,
                &["/States/C/Choices[1]/Not"],
            ),
            (
                r#"{"Or":[{"Variable":"$.b","IsPresent":false},{"Variable":"$.b","IsNull":true}],"Next":"F"},{"Variable":"$.b","IsPresent":true,"Next":"F"}"#,
                &[],
            ),
            (
                r#"{"Variable":"$.b","IsNull":true,"Next":"F"},{"Variable":"$.b.c","IsPresent":true,"Next":"F"}"#,
                &[],
            ),
        ] {
            assert_eq!(late(choices), expected, "{choices}");
        }
    }
}
