//! An intrinsic call that always fails.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::rule::calls;
use crate::lint::subject::Subject;
use crate::query::intrinsic::call::Part;
use crate::query::intrinsic::call::Parts;

pub(super) const RULE: Rule = Rule {
    id: "intrinsic/arguments",
    severity: Severity::Error,
    confidence: Confidence::Static,
    summary: "The arguments of an intrinsic call make it fail always",
    explanation: "With the constants that are written here the call fails whatever its paths select: States.Format has more or fewer \
        values than places `{}`, an index lies behind the end, a sum leaves 32 bits. The execution then ends with \
        `States.Runtime`, which nothing can catch.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"t.$":"States.Format('{} of {}',$.a)"},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"t.$":"States.Format('{} of {}',$.a,$.b)"},"End":true}}}"#,
        location: "/States/A/Parameters/t.$",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    calls::for_each(subject, &mut |written, place, call| {
        let node = written.node.follow(place);
        let Some(function) = failing(&call.parts()).filter(|_| !node.is_open()) else {
            return;
        };
        let message =
            format!("`{function}` always fails with these arguments, and the execution with `States.Runtime`");
        reporter
            .report(node, format!("{}{place}", written.location), message)
            .hint("correct the number or the values of the arguments");
    });
}

// The parser bounds how deep calls nest.
fn failing(parts: &Parts<'_>) -> Option<&'static str> {
    let inner = parts.arguments.iter().find_map(|part| match part {
        Part::Call(inner) => failing(inner),
        Part::Constant(_) | Part::Path(_) => None,
    });
    inner.or_else(|| parts.always_fails().then_some(parts.function))
}
