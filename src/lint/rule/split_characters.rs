//! A separator of several characters that splits at each of them.

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
    id: "intrinsic/split-characters",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "States.StringSplit splits at each character of its separator",
    explanation: "The second argument of States.StringSplit is a set of characters, not a text: with `', '` it splits at every comma \
        and at every blank, and leaves out what is empty. When the pieces may hold one of the characters, split at one \
        that they cannot hold.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"t.$":"States.StringSplit($.a,'::')","u.$":"States.StringSplit($.a,', ')"},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"t.$":"States.StringSplit($.a,',')"},"End":true}}}"#,
        location: "/States/A/Parameters/u.$",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    calls::for_each(subject, &mut |written, place, call| {
        let node = written.node.follow(place);
        let Some(separator) = separator(&call.parts()).filter(|_| !node.is_open()) else {
            return;
        };
        let message = format!("It splits at each character of `{separator}`, not at the whole text");
        reporter
            .report(node, format!("{}{place}", written.location), message)
            .hint("if the pieces may hold one of these characters, use another separator");
    });
}

/// Returns a separator of several different characters.
fn separator(parts: &Parts<'_>) -> Option<String> {
    if parts.function == "States.StringSplit"
        && let Some(Part::Constant(separator)) = parts.arguments.get(1)
        && let Some(text) = separator.as_str()
        && let Some(first) = text.chars().next()
        && text.chars().any(|c| c != first)
    {
        return Some(text.to_owned());
    }
    parts.arguments.iter().find_map(|part| match part {
        Part::Call(inner) => separator(inner),
        Part::Constant(_) | Part::Path(_) => None,
    })
}
