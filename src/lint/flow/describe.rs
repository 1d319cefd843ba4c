//! Sentences about what the flow knows.

use crate::asl::definition::QueryLanguage;
use crate::lint::flow::Origin;
use crate::lint::flow::Read;
use crate::lint::flow::Scalar;
use crate::lint::flow::Shape;
use crate::lint::graph::Step;
use crate::lint::graph::Way;
use crate::lint::subject::Subject;
use crate::model::id::StateId;
use crate::query::jsonata::outline::Need;

/// As many members are named.
const NAMED_MAX: usize = 6;

/// Returns a state's name in backticks.
pub(crate) fn name(subject: &Subject<'_>, id: StateId) -> String {
    format!("`{}`", subject.definition.state(id).name)
}

/// Says which way it is: "when `Catch[0]` of `A` was taken".
pub(crate) fn way(subject: &Subject<'_>, step: Step) -> String {
    let from = name(subject, step.from);
    match step.way {
        Way::Catch(index) => format!("when `Catch[{index}]` of {from} was taken"),
        Way::Default => format!("when {from} took its Default"),
        Way::Next => format!("when {from} came before"),
        Way::Rule(index) => format!("when `Choices[{index}]` of {from} held"),
    }
}

/// Says on which way something is missing.
pub(crate) fn origin(subject: &Subject<'_>, origin: Origin) -> String {
    match origin {
        Origin::Absent(state) => format!("when {} found that it is not there", name(subject, state)),
        Origin::Catcher(state, index) => {
            let state = name(subject, state);
            format!("when `Catch[{index}]` of {state} was taken, because only its error output was kept")
        }
        Origin::Result(state) => format!("in the result of {}", name(subject, state)),
        Origin::Start => "when nothing has run before".to_owned(),
        Origin::Way(step) => way(subject, step),
        Origin::Written(state) => format!("in what {} makes", name(subject, state)),
    }
}

/// Says what is there instead of a missing member.
pub(crate) fn instead(subject: &Subject<'_>, shape: &Shape) -> String {
    match shape {
        Shape::Object(object) => {
            let maker = match object.origin {
                Origin::Absent(state) => format!("a rule of {} found that it is not there", name(subject, state)),
                Origin::Catcher(state, index) => {
                    format!(
                        "`Catch[{index}]` of {} keeps only the error output",
                        name(subject, state)
                    )
                }
                Origin::Result(state) => format!("the result of {} does not have it", name(subject, state)),
                Origin::Start | Origin::Way(_) => "it is not there".to_owned(),
                Origin::Written(state) => format!("{} does not make it", name(subject, state)),
            };
            let mut members: Vec<String> = object.members.keys().map(|name| format!("`{name}`")).collect();
            let more = members.len().saturating_sub(NAMED_MAX);
            members.truncate(NAMED_MAX);
            if more > 0 {
                members.push(format!("{more} more"));
            }
            match members.is_empty() {
                true => format!("{maker}; the object is empty"),
                false => format!("{maker}; there are only {}", members.join(", ")),
            }
        }
        Shape::List(..) | Shape::Tuple(..) => "there is a list".to_owned(),
        Shape::Scalar(Scalar::Null) => "there is null".to_owned(),
        Shape::Scalar(scalar) => format!("there is {}", scalar.kind()),
        Shape::Unknown => "nothing is there".to_owned(),
    }
}

/// Says what comes of a read that finds nothing.
pub(crate) fn outcome(subject: &Subject<'_>, read: &Read) -> &'static str {
    match (subject.definition.state(read.state).language, read.need) {
        (QueryLanguage::JsonPath, _) => "the state fails with `States.Runtime`, which nothing can catch",
        (QueryLanguage::JsonAta, Need::Required) => "the state fails with `States.QueryEvaluationError`",
        (QueryLanguage::JsonAta, _) => "the expression goes on without it",
    }
}
