//! A catcher that throws away what is needed behind it.

use crate::asl::definition::QueryLanguage;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::From;
use crate::lint::flow::Origin;
use crate::lint::flow::Read;
use crate::lint::flow::Shape;
use crate::lint::flow::Verdict;
use crate::lint::flow::describe;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::model::id::StateId;
use crate::query::jsonata::outline::Need;
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    id: "catch/loses-input",
    severity: Severity::Warning,
    confidence: Confidence::Path,
    summary: "A catcher drops the input, and a later state reads it",
    explanation: "A catcher without ResultPath (in JSONata, without Output) replaces the whole input by `{\"Error\": …, \"Cause\": …}`. \
        A state behind it reads a member of the old input, which is gone: the execution fails, with `States.Runtime`, \
        while it handles another failure. Keep the input with `\"ResultPath\": \"$.error\"`, or in JSONata with \
        `\"Output\": \"{% $merge([$states.input, {'error': $states.errorOutput}]) %}\"`.",
    examples: &[Example {
        bad: r#"{"StartAt":"Pay","States":{"Pay":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.paid","Catch":[{"ErrorEquals":["States.ALL"],"Next":"Tell"}],"Next":"Done"},"Tell":{"Type":"Pass","Parameters":{"order.$":"$.order","error.$":"$.Error"},"End":true},"Done":{"Type":"Succeed"}}}"#,
        good: r#"{"StartAt":"Pay","States":{"Pay":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.paid","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.error","Next":"Tell"}],"Next":"Done"},"Tell":{"Type":"Pass","Parameters":{"order.$":"$.order","error.$":"$.error.Error"},"End":true},"Done":{"Type":"Succeed"}}}"#,
        location: "/States/Pay/Catch[0]",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let mut seen = BTreeSet::new();
    for read in subject.flow().reads() {
        let Some((state, index)) = loss(read) else { continue };
        if !matches!(read.from, From::Source(_)) || !seen.insert((state, index)) {
            continue;
        }
        let written = subject.written(state);
        let place = format!("/Catch[{index}]");
        let message = format!(
            "The catcher keeps only the error output, but {} behind it reads `{}`: {}",
            describe::name(subject, read.state),
            read.text,
            describe::outcome(subject, read)
        );
        let hint = match subject.definition.state(state).language {
            QueryLanguage::JsonPath => "add `\"ResultPath\": \"$.error\"` to the catcher",
            QueryLanguage::JsonAta => "give the catcher an `Output` that keeps `$states.input`",
        };
        reporter
            .report(
                written.node.follow(&place),
                format!("{}{place}", written.location),
                message,
            )
            .hint(hint);
    }
}

/// Returns the catcher that dropped what is read.
fn loss(read: &Read) -> Option<(StateId, usize)> {
    let origin = match &read.verdict {
        Verdict::Maybe(origin) if read.need == Need::Required => *origin,
        Verdict::Never(Shape::Object(object), _) if read.need != Need::Guarded => object.origin,
        _ => return None,
    };
    match origin {
        Origin::Catcher(state, index) => Some((state, index)),
        _ => None,
    }
}
