//! A loop that asks again and again without a pause.

use crate::asl::definition::Choice;
use crate::asl::definition::Comparison;
use crate::asl::definition::Condition;
use crate::asl::definition::Operand;
use crate::asl::definition::Order;
use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::describe;
use crate::lint::graph::Way;
use crate::lint::round;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::model::id::StateId;

/// How services call what is under way.
const BUSY: &[&str] = &[
    "busy",
    "creating",
    "deleting",
    "executing",
    "inprogress",
    "notready",
    "pending",
    "processing",
    "provisioning",
    "queued",
    "running",
    "scheduled",
    "started",
    "starting",
    "stopping",
    "submitted",
    "training",
    "updating",
    "waiting",
];

pub(super) const RULE: Rule = Rule {
    id: "loop/hot-poll",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A loop asks for the end of something without a pause",
    explanation: "A Choice sends the execution back to ask again while something is under way (RUNNING, PENDING, \
        IN_PROGRESS …), and no state of the loop waits: it asks many times a second, the service throttles, each round \
        is paid, and within minutes the history has 25,000 events and the execution fails with States.Runtime. Put a \
        Wait into the loop, or let Step Functions wait with .sync or a task token.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:rds:describeDBInstances","Parameters":{"DbInstanceIdentifier.$":"$$.Execution.Input.id"},"Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.DbInstances[0].DbInstanceStatus","StringEquals":"creating","Next":"A"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:rds:describeDBInstances","Parameters":{"DbInstanceIdentifier.$":"$$.Execution.Input.id"},"Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.DbInstances[0].DbInstanceStatus","StringEquals":"creating","Next":"W"}],"Default":"S"},"W":{"Type":"Wait","Seconds":60,"Next":"A"},"S":{"Type":"Succeed"}}}"#,
            location: "/States/C/Choices[0]",
        },
        Example {
            bad: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"f:1"},"Output":"{% $states.result.Payload %}","Next":"C"},"C":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.status = 'IN_PROGRESS' %}","Next":"A"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
            good: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"f:1"},"Output":"{% $states.result.Payload %}","Next":"C"},"C":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.more = true %}","Next":"A"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
            location: "/States/C/Choices[0]",
        },
    ],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    if subject.has_open_target() {
        return;
    }
    for found in subject.graph().loops() {
        let kinds = || found.states.iter().map(|id| &subject.definition.state(*id).kind);
        let waits = kinds().any(|kind| matches!(kind, StateKind::Wait(_)) || round::waits_for_others(kind));
        if waits || !kinds().any(|kind| matches!(kind, StateKind::Task(_))) {
            continue;
        }
        for id in &found.states {
            let StateKind::Choice(choice) = &subject.definition.state(*id).kind else {
                continue;
            };
            let Some(index) = back_while_busy(subject, *id, choice) else {
                continue;
            };
            let (written, place) = (subject.written(*id), format!("/Choices[{index}]"));
            let node = written.node.follow(&place);
            if node.members().iter().any(|member| member.value.is_open()) {
                continue;
            }
            let message = format!(
                "From {} the loop probably asks again at once, many times a second, until the history is full",
                describe::name(subject, *id)
            );
            reporter
                .report(node, format!("{}{place}", written.location), message)
                .hint("put a Wait into the loop");
        }
    }
}

/// Returns the rule that goes round while something is under way.
fn back_while_busy(subject: &Subject<'_>, id: StateId, choice: &Choice) -> Option<usize> {
    let steps = subject.graph().successors(id).iter();
    let mut back = steps.filter(|step| subject.graph().share_loop(id, step.to));
    back.find_map(|step| match step.way {
        Way::Rule(index) if asks_whether_busy(&choice.rules.get(index)?.condition) => Some(index),
        _ => None,
    })
}

fn asks_whether_busy(condition: &Condition) -> bool {
    match condition {
        Condition::And(all) | Condition::Or(all) => all.iter().any(asks_whether_busy),
        Condition::Compare {
            comparison: Comparison::String(Order::Equals, Operand::Literal(text)),
            ..
        } => is_busy(text),
        Condition::Expression(expression) => {
            let text = expression.text();
            !text.contains("!=") && !text.contains("$not") && text.split(['\'', '"']).skip(1).step_by(2).any(is_busy)
        }
        Condition::Not(_) | Condition::Compare { .. } | Condition::Literal(_) => false,
    }
}

fn is_busy(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic());
    let word: String = letters.flat_map(char::to_lowercase).collect();
    BUSY.contains(&word.as_str())
}
