//! What Lambda says of a call, kept with what the function says.

use crate::asl::definition::MapMode;
use crate::asl::definition::PathField;
use crate::asl::definition::Pattern;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::ResultPath;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::definition::Transition;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::query::jsonata::outline::Outline;
use crate::query::jsonata::outline::Root;
use crate::query::template::Sketch;
use crate::query::template::Template;

pub(super) const RULE: Rule = Rule {
    id: "payload/lambda-metadata",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "What Lambda says of a call is kept with the function's answer",
    explanation: "The result of lambda:invoke has more than Payload: ExecutedVersion, StatusCode and, twice, all headers of the \
        answer, together about 1 KiB. Here it is kept beside the data, so it goes through all states that follow, or it \
        is in each item of a Map's result, where 250 of them fill the 256 KiB. Keep Payload only: with \
        `\"ResultSelector\": {\"answer.$\": \"$.Payload\"}`, or in JSONata with `$states.result.Payload`.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f:1"},"ResultPath":"$.price","Next":"S"},"S":{"Type":"Succeed"}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f:1"},"ResultSelector":{"price.$":"$.Payload"},"ResultPath":"$.price","Next":"S"},"S":{"Type":"Succeed"}}}"#,
            location: "/States/A",
        },
        Example {
            bad: r#"{"StartAt":"M","QueryLanguage":"JSONata","States":{"M":{"Type":"Map","Items":"{% $states.input.list %}","MaxConcurrency":5,"ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"f:1"},"End":true}}},"End":true}}}"#,
            good: r#"{"StartAt":"M","QueryLanguage":"JSONata","States":{"M":{"Type":"Map","Items":"{% $states.input.list %}","MaxConcurrency":5,"ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"f:1"},"Output":"{% $states.result.Payload %}","End":true}}},"End":true}}}"#,
            location: "/States/M/ItemProcessor/States/A",
        },
    ],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let answers = |call: &Call<'_>| call.does("lambda", "invoke") && call.pattern == Pattern::RequestResponse;
        if !Call::of(task).is_some_and(|call| answers(&call)) {
            continue;
        }
        let what = match kept(state) {
            Some(Kept::Beside) if matches!(state.transition, Transition::End) => "in the output",
            Some(Kept::Beside) => "and goes through the states that follow",
            Some(Kept::Alone) if is_collected(subject, state) => "in each item of the Map's result",
            _ => continue,
        };
        let message = format!(
            "About 1 KiB that Lambda says of the call (headers, status) is kept beside the function's answer, {what}"
        );
        reporter
            .report(written.node, written.location.clone(), message)
            .hint("keep `Payload` only");
    }
}

enum Kept {
    /// As all of the output.
    Alone,
    /// With other data.
    Beside,
}

/// Tells whether the whole result goes on.
fn kept(state: &State) -> Option<Kept> {
    if state.language == QueryLanguage::JsonAta {
        let Some(output) = &state.output else {
            return Some(Kept::Alone);
        };
        return match &output.sketch() {
            Sketch::Expression(expression) => match &expression.outline() {
                outline if is_result(outline) => Some(Kept::Alone),
                outline => holds_result(outline).then_some(Kept::Beside),
            },
            sketch => in_template(sketch).then_some(Kept::Beside),
        };
    }
    if state.result_selector.is_some() || !matches!(state.output_path, PathField::Whole) {
        return None;
    }
    match state.result_path {
        ResultPath::At(_) => Some(Kept::Beside),
        ResultPath::Discard => None,
        ResultPath::Replace => Some(Kept::Alone),
    }
}

// The readers of definitions bound how deep a template nests.
fn in_template(sketch: &Sketch<'_>) -> bool {
    match sketch {
        Sketch::Array(items) => items.iter().any(in_template),
        Sketch::Object(members) => members.iter().any(|(_, member)| in_template(member)),
        Sketch::Expression(expression) => holds_result(&expression.outline()),
        _ => false,
    }
}

fn is_result(outline: &Outline<'_>) -> bool {
    matches!(outline, Outline::Fields(Root::Result, fields) if fields.is_empty())
}

fn holds_result(outline: &Outline<'_>) -> bool {
    match outline {
        Outline::Array(parts) | Outline::Either(parts) | Outline::Merged(parts) => parts.iter().any(holds_result),
        Outline::Object(members) => members.iter().any(|(_, member)| holds_result(member)),
        outline => is_result(outline),
    }
}

/// Tells whether the state ends an iteration of a Map that keeps what its iterations give.
fn is_collected(subject: &Subject<'_>, state: &State) -> bool {
    let holder = subject.definition.block(state.block).parent;
    let Some(holder) = holder.filter(|_| matches!(state.transition, Transition::End)) else {
        return false;
    };
    let holder = subject.definition.state(holder);
    let StateKind::Map(map) = &holder.kind else {
        return false;
    };
    let is_written = map.mode != MapMode::Inline && map.result_writer.is_some();
    let is_dropped = matches!(holder.result_path, ResultPath::Discard)
        || holder.result_selector.is_some()
        || !matches!(holder.output_path, PathField::Whole)
        || holder.output.as_ref().is_some_and(|output| !is_whole(output));
    !is_written && !is_dropped
}

fn is_whole(output: &Template) -> bool {
    in_template(&output.sketch())
}
