//! Lists and texts that grow with each round of a loop.

use std::collections::BTreeMap;

use crate::lint::destination;
use crate::lint::destination::Destination;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::round;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::model::id::StateId;
use crate::query::intrinsic::call::Part;
use crate::query::intrinsic::call::Parts;
use crate::query::template::Sketch;

pub(super) const RULE: Rule = Rule {
    id: "payload/grows-in-loop",
    severity: Severity::Information,
    confidence: Confidence::Heuristic,
    summary: "A list or text grows with each round of a loop",
    explanation: "The value is put together from its own old value, and the state is in a loop. Data that go from state to state \
        may have 256 KiB, and all variables together 10 MiB; each state of the loop writes the whole of it to the \
        history once more. When the number of rounds or the size of what is added is not bounded, the execution fails \
        one day after much of the work is done. Write the pieces to S3 or a table and keep their place, or use a \
        Distributed Map with a ResultWriter.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"f:1","Payload":{"page":"{% $states.input.page %}"}},"Assign":{"all":"{% $append($all, $states.result.Payload.rows) %}"},"Output":"{% $states.result.Payload %}","Next":"C"},"C":{"Type":"Choice","Choices":[{"Condition":"{% $exists($states.input.page) %}","Next":"A"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
            good: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"f:1","Payload":{"page":"{% $states.input.page %}"}},"Assign":{"count":"{% $states.result.Payload.total %}"},"Output":"{% $states.result.Payload %}","Next":"C"},"C":{"Type":"Choice","Choices":[{"Condition":"{% $exists($states.input.page) %}","Next":"A"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
            location: "/States/A/Assign/all",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"text.$":"States.Format('{},{}', $.log.text, $.name)"},"ResultPath":"$.log","Next":"T"},"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","ResultPath":"$.name","Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.name","StringEquals":"end","Next":"S"}],"Default":"A"},"S":{"Type":"Succeed"}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"text.$":"States.Format('{},{}', $.title, $.name)"},"ResultPath":"$.log","Next":"T"},"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","ResultPath":"$.name","Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.name","StringEquals":"end","Next":"S"}],"Default":"A"},"S":{"Type":"Succeed"}}}"#,
            location: "/States/A/Parameters/text.$",
        },
    ],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    if subject.has_open_target() {
        return;
    }
    let mut counted: BTreeMap<Option<StateId>, bool> = BTreeMap::new();
    for (id, state, written) in subject.states() {
        let Some(around) = subject.graph().loop_of(id) else {
            continue;
        };
        for made in destination::made(state) {
            let grows = match &made.sketch {
                Sketch::Call(call) => adds_to(&call.parts(), &made.to).then(|| made.to.clone()),
                Sketch::Expression(expression) => expression.growths().into_iter().find_map(|growth| {
                    let to = made.to.below(&growth.at);
                    let from = Destination::of_read(growth.root, &growth.fields)?;
                    (from == to).then_some(to)
                }),
                _ => None,
            };
            let Some(what) = grows else { continue };
            // Who counts has bounded the rounds.
            let is_counted = counted.entry(around.states.first().copied()).or_insert_with(|| {
                let mut states = around.states.iter().map(|id| subject.definition.state(*id));
                states.any(round::is_counted)
            });
            if *is_counted {
                break;
            }
            let message = format!(
                "`{what}` is made of its own old value in a loop, so it probably grows with each round until it is too \
                 large"
            );
            reporter
                .report(
                    written.node.follow(&made.place),
                    format!("{}{}", written.location, made.place),
                    message,
                )
                .hint("bound the rounds, or write the pieces to S3 or a table and keep their place");
        }
    }
}

/// Tells whether a call makes a longer value out of the one at a place.
fn adds_to(parts: &Parts<'_>, place: &Destination) -> bool {
    let adds = matches!(parts.function, "States.Array" | "States.Format") && 1 < parts.arguments.len();
    parts.arguments.iter().any(|part| match part {
        Part::Call(inner) => adds_to(inner, place),
        Part::Constant(_) => false,
        Part::Path(path) => adds && Destination::of_path(path).as_ref() == Some(place),
    })
}
