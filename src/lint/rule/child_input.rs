//! What a child execution is started with.

use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::node::Kind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::whole_input_per_item;
use crate::lint::subject::Subject;
use crate::lint::walk;
use crate::query::template::Sketch;

/// What the console of Step Functions looks for.
const PARENT_ID: &str = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID";

pub(super) const WHOLE: Rule = Rule {
    id: "payload/whole-input-to-child",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A child execution gets the whole input of the state",
    explanation: "The child gets all that has come together until here, and with .sync its description, which holds its input \
        once more, comes back as the result: both must fit into 256 KiB. What the child reads is written nowhere, so \
        a change of the parent can break it. Select what the child needs, and associate it with its parent at the same \
        time.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$.n","Input.$":"$"},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$.n","Input":{"order.$":"$.order","AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$":"$$.Execution.Id"}},"End":true}}}"#,
        location: "/States/A/Parameters/Input.$",
    }],
    check: whole,
};

pub(super) const PARENT: Rule = Rule {
    id: "operation/child-without-parent",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A child execution does not know who started it",
    explanation: "With the member AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID in its input, AWS associates the child with its \
        parent: the console links the child to its parent, and whoever looks for the reason of a failure \
        finds the way. Add `\"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$\": \"$$.Execution.Id\"` to Input.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$.n","Input":{"order.$":"$.order"}},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution","Parameters":{"StateMachineArn.$":"$.m","Name.$":"$.n","Input":{"order.$":"$.order","AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$":"$$.Execution.Id"}},"End":true}}}"#,
            location: "/States/A/Parameters/Input",
        },
        Example {
            bad: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution","Arguments":{"StateMachineArn":"m","Name":"{% $states.input.n %}","Input":{"order":"{% $states.input.order %}"}},"End":true}}}"#,
            good: r#"{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution","Arguments":{"StateMachineArn":"m","Name":"{% $states.input.n %}","Input":{"order":"{% $states.input.order %}","AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID":"{% $states.context.Execution.Id %}"}},"End":true}}}"#,
            location: "/States/A/Arguments/Input",
        },
    ],
    check: parent,
};

fn starts_child(state: &State) -> bool {
    match &state.kind {
        StateKind::Task(task) => Call::of(task).is_some_and(|call| call.does("states", "startExecution")),
        _ => false,
    }
}

fn whole(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states().filter(|(_, state, _)| starts_child(state)) {
        let (Some(template), Some(arguments)) = (&state.parameters, walk::arguments(written)) else {
            continue;
        };
        let Sketch::Object(members) = template.sketch() else {
            continue;
        };
        let mut inputs = members.iter().filter(|(name, _)| *name == "Input");
        let is_whole = inputs.any(|(_, sketch)| whole_input_per_item::is_whole_input(sketch));
        if let Some(member) = walk::member(arguments, "Input").filter(|_| is_whole) {
            reporter
                .report(
                    &member.value,
                    walk::place(written, &member.value),
                    "The child execution gets the whole input of this state, whatever has come together until here",
                )
                .hint("select what the child needs");
        }
    }
}

fn parent(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, _, written) in subject.states().filter(|(_, state, _)| starts_child(state)) {
        let Some(input) = walk::arguments(written).and_then(|arguments| walk::member(arguments, "Input")) else {
            continue;
        };
        if !matches!(input.value.kind, Kind::Object(_)) || walk::member(&input.value, PARENT_ID).is_some() {
            continue;
        }
        reporter
            .report(
                &input.value,
                walk::place(written, &input.value),
                "The child execution is not associated with this one: nothing in its input says who started it",
            )
            .hint(format!("add `{PARENT_ID}` with the id of the execution"));
    }
}
