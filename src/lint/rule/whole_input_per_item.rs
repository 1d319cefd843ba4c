//! The whole input in every item of a Map.

use crate::asl::definition::StateKind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::query::jsonata::outline::Outline;
use crate::query::jsonata::outline::Root;
use crate::query::jsonpath::path;
use crate::query::template::Sketch;

pub(super) const RULE: Rule = Rule {
    id: "payload/whole-input-per-item",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "Every item of a Map carries the whole input",
    explanation: "ItemSelector puts the whole input of the Map into each item, the list of all items included. The size is that of \
        the input times the number of items: it fills the history, and a single item may pass 256 KiB. Select only \
        what an iteration needs.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","ItemsPath":"$.list","ItemSelector":{"item.$":"$$.Map.Item.Value","all.$":"$"},"ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","ItemsPath":"$.list","ItemSelector":{"item.$":"$$.Map.Item.Value","customer.$":"$.customer"},"ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
        location: "/States/M/ItemSelector",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Map(map) = &state.kind else { continue };
        let Some(selector) = &map.item_selector else { continue };
        let Sketch::Object(members) = selector.sketch() else {
            continue;
        };
        let Some((name, _)) = members.iter().find(|(_, sketch)| is_whole_input(sketch)) else {
            continue;
        };
        let old = written.node.get("ItemSelector").is_none();
        let place = if old { "/Parameters" } else { "/ItemSelector" };
        let message = format!("`{name}` puts the whole input of the Map into every item");
        reporter
            .report(
                written.node.follow(place),
                format!("{}{place}", written.location),
                message,
            )
            .hint("select only what an iteration needs");
    }
}

pub(super) fn is_whole_input(sketch: &Sketch<'_>) -> bool {
    match sketch {
        Sketch::Path(path) => *path.root() == path::Root::Input && path.is_root(),
        Sketch::Expression(expression) => {
            matches!(expression.outline(), Outline::Fields(Root::Input, fields) if fields.is_empty())
        }
        _ => false,
    }
}
