//! Files for Terraform's `templatefile`: a definition with `${…}` for what the configuration hands in.

use std::collections::BTreeMap;

use crate::template::compose::Composed;
use crate::template::compose::expression_end;
use crate::template::find::Finder;
use crate::template::find::Found;
use crate::template::find::Reason;
use crate::template::find::Severity;
use crate::template::find::is_definition;
use crate::template::find::name_of;
use crate::template::find::read;
use crate::template::function::placeholder_name;
use crate::template::origin::offset;

/// How the names of such files end.
pub(super) const ENDINGS: &[&str] = &[".tftpl", ".tpl", ".tmpl"];

/// Collects the definition that the file is.
pub(super) fn collect(finder: &mut Finder<'_>, reason: Reason) {
    let origin = finder.origin.clone();
    let text = origin.text.as_ref();
    let mut composed = Composed::default();
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(['$', '%'])) {
        let at = from + found;
        copy(&mut composed, text, from, at);
        let rest = text.get(at..).unwrap_or_default();
        if rest.starts_with("$${") || rest.starts_with("%%{") {
            composed.put(&rest[1..3], offset(at)..offset(at + 3), false);
            from = at + 3;
        } else if rest.starts_with("%{") {
            let span = origin.span(offset(at), offset(at + 2));
            let message = format!(
                "The template has a directive `%{{ … }}` in line {}: what it makes is not known, so the definition is not checked. Check what Terraform makes of it with `terraform show -json`",
                span.line
            );
            let severity = if reason == Reason::Named {
                Severity::Error
            } else {
                Severity::Warning
            };
            return finder.say(severity, "TEMPLATE_DIRECTIVE", span, message);
        } else if rest.starts_with("${") {
            let Some(end) = expression_end(text, at) else {
                let span = origin.span(offset(at), offset(at + 2));
                let message = "The expression that begins here with `${` has no end: write `$${` for the two characters themselves".to_owned();
                return finder.say(Severity::Error, "INVALID_TEMPLATE", span, message);
            };
            let name = placeholder_name(text.get(at + 2..end).unwrap_or_default());
            composed.put(&format!("${{{name}}}"), offset(at)..offset(end), false);
            from = end;
        } else {
            copy(&mut composed, text, at, at + 1);
            from = at + 1;
        }
    }
    copy(&mut composed, text, from, text.len());
    if reason == Reason::Walked && !read(&composed.text, finder.format).is_ok_and(|root| is_definition(&root)) {
        // Any other template.
        return;
    }
    finder.search.definitions.push(Found {
        name: name_of(&origin.path),
        text: composed.text.into(),
        format: finder.format,
        substitutions: BTreeMap::new(),
        express: false,
        origin: origin.clone(),
        trace: composed.trace,
        is_whole: false,
    });
}

fn copy(composed: &mut Composed, text: &str, from: usize, to: usize) {
    composed.put(text.get(from..to).unwrap_or_default(), offset(from)..offset(to), true);
}
