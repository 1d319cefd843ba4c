//! `DefinitionSubstitutions`: the values that are known, and whether names and placeholders fit.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::asl::load::Options;
use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::asl::substitute;
use crate::model::span::Span;
use crate::template::compose::Composer;
use crate::template::compose::Dialect;
use crate::template::find::Finder;
use crate::template::find::Found;
use crate::template::find::Notice;
use crate::template::find::Severity;
use crate::template::find::read;
use crate::template::function::function;

/// What replaces the placeholders of a definition.
#[derive(Clone, Debug, Default)]
pub(super) struct Substitutions {
    /// All names.
    pub(super) names: BTreeSet<String>,
    /// The values that the template spells out.
    pub(super) literal: BTreeMap<String, String>,
    places: Vec<(String, Span)>,
    /// There are others, or the placeholders are none of ours.
    is_partial: bool,
    /// The text is what Terraform has made already.
    is_final: bool,
}

impl Substitutions {
    /// Placeholders are replaced by somebody else.
    pub(super) fn unknown() -> Self {
        Self {
            is_partial: true,
            ..Self::default()
        }
    }

    /// Nothing is replaced any more.
    pub(super) fn done() -> Self {
        Self {
            is_final: true,
            ..Self::default()
        }
    }

    /// Reads the property; `outer` are the names that the template itself replaces.
    pub(super) fn read(node: Option<&Node>, outer: &BTreeSet<String>, finder: &mut Finder<'_>) -> Self {
        let mut substitutions = Self::default();
        let Some(node) = node else {
            return substitutions;
        };
        if function(node).is_some() || !matches!(node.kind, Kind::Object(_)) {
            return Self::unknown();
        }
        for member in node.members() {
            // `Fn::Transform` beside others adds names.
            if member.key.starts_with("Fn::") {
                substitutions.is_partial = true;
                continue;
            }
            substitutions.names.insert(member.key.clone());
            substitutions.places.push((member.key.clone(), member.key_span));
            let mut composer = Composer::new(&finder.origin, Dialect::CloudFormation, outer, &mut finder.budget);
            composer.text(&member.value);
            let value = composer.composed.text;
            if composer.opened.is_empty() && !value.contains("${") {
                substitutions.literal.insert(member.key.clone(), value);
            }
        }
        substitutions
    }

    /// Reports placeholders that nothing replaces: those that are a whole value, or in an ARN. Within other texts
    /// they may be meant as they are (a shell's `${HOME}`).
    pub(super) fn report_missing(&self, found: &Found, known: &BTreeSet<String>, finder: &mut Finder<'_>) {
        if self.is_partial || !found.text.contains("${") {
            return;
        }
        let Ok(mut tree) = read(&found.text, found.format) else {
            // The compiler says why.
            return;
        };
        let names = self.names.iter().chain(known);
        let options = Options {
            substitutions: names.map(|name| (name.clone(), "1".to_owned())).collect(),
            format: found.format,
            ..Options::default()
        };
        let mut findings = Vec::new();
        substitute::fill(&mut tree, &options, &mut findings);
        for finding in findings {
            let mut diagnostic = found.place(finding);
            diagnostic.message += &if self.is_final {
                format!(": Terraform leaves it to '{}' as it is", found.name)
            } else {
                format!(
                    ": it is not among the DefinitionSubstitutions of '{}' in {}",
                    found.name, finder.origin.path
                )
            };
            finder.search.notices.push(Notice {
                severity: Severity::Error,
                origin: found.origin.clone(),
                diagnostic,
            });
        }
    }

    /// Reports names that no text has a placeholder for.
    pub(super) fn report_unused(&self, texts: &[Arc<str>], machine: &str, finder: &mut Finder<'_>) {
        for (name, span) in &self.places {
            finder.budget.spend(texts.iter().map(|text| text.len() / 8).sum());
            if finder.budget.is_spent() {
                return;
            }
            let placeholder = format!("${{{name}}}");
            if !texts.iter().any(|text| text.contains(&placeholder)) {
                let message = format!("The definition of '{machine}' has no placeholder '{placeholder}'");
                finder.say(Severity::Warning, "UNUSED_SUBSTITUTION", *span, message);
            }
        }
    }
}
