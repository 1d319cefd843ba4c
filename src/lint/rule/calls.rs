//! The intrinsic calls of a definition.

use crate::asl::definition::StateKind;
use crate::lint::subject::Subject;
use crate::lint::subject::Written;
use crate::query::intrinsic::call::Call;
use crate::query::template::Sketch;
use crate::query::template::Template;

/// Shows every intrinsic call of a template, with its place from the state on.
pub(super) fn for_each(subject: &Subject<'_>, show: &mut dyn FnMut(&Written<'_>, &str, &Call)) {
    for (_, state, written) in subject.states() {
        let mut templates: Vec<(String, Option<&Template>)> = vec![
            ("/Parameters".to_owned(), state.parameters.as_ref()),
            ("/ResultSelector".to_owned(), state.result_selector.as_ref()),
            ("/Assign".to_owned(), state.assign.as_ref()),
        ];
        for (index, catcher) in state.catchers.iter().enumerate() {
            templates.push((format!("/Catch[{index}]/Assign"), catcher.assign.as_ref()));
        }
        match &state.kind {
            StateKind::Choice(choice) => {
                for (index, rule) in choice.rules.iter().enumerate() {
                    templates.push((format!("/Choices[{index}]/Assign"), rule.assign.as_ref()));
                }
            }
            StateKind::Map(map) => {
                let old = written.node.get("ItemSelector").is_none();
                let name = if old { "/Parameters" } else { "/ItemSelector" };
                templates.push((name.to_owned(), map.item_selector.as_ref()));
            }
            _ => {}
        }
        for (place, template) in templates {
            if let Some(template) = template {
                walk(&template.sketch(), &place, &mut |place, call| {
                    show(written, place, call)
                });
            }
        }
    }
}

// The readers of definitions bound how deep a template nests.
fn walk(sketch: &Sketch<'_>, place: &str, show: &mut dyn FnMut(&str, &Call)) {
    match sketch {
        Sketch::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{place}[{index}]"), show);
            }
        }
        Sketch::Object(members) => {
            for (name, member) in members {
                let mark = if matches!(member, Sketch::Call(_)) { ".$" } else { "" };
                walk(member, &format!("{place}/{name}{mark}"), show);
            }
        }
        Sketch::Call(call) => show(place, call),
        Sketch::Expression(_) | Sketch::Known(_) | Sketch::Path(_) | Sketch::Unknown => {}
    }
}
