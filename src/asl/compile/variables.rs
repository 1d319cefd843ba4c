//! `Assign`: names of variables and who may assign them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::asl::compile::fields::Object;
use crate::asl::compile::machine::Compiler;
use crate::asl::node::Kind;
use crate::model::id::BlockId;
use crate::model::span::Span;
use crate::query::jsonata::expression::FieldScope;
use crate::query::template::Template;

/// Longest variable name, in characters.
const NAME_CHARS_MAX: usize = 80;

/// One name in an `Assign`.
pub(super) struct Assignment {
    block: BlockId,
    name: String,
    owner: u32,
    at: String,
    span: Span,
}

impl<'n> Compiler<'n, '_> {
    /// Reads `Assign`.
    pub(super) fn assign(&mut self, object: &Object<'n>, scope: FieldScope) -> Option<Template> {
        let node = object.get("Assign")?;
        let at = object.at("Assign");
        if !matches!(node.kind, Kind::Object(_)) {
            self.wrong_type(&at, node, "OBJECT");
            return None;
        }
        for member in node.members() {
            let name = if self.is_jsonata() {
                member.key.as_str()
            } else {
                member.key.strip_suffix(".$").unwrap_or(&member.key)
            };
            if let Some(message) = refusal(name) {
                self.refuse(&at, member.key_span, message);
                continue;
            }
            let (block, owner) = (self.here.block, self.here.owner);
            self.assignments.push(Assignment {
                block,
                name: name.to_owned(),
                owner,
                at: at.clone(),
                span: member.key_span,
            });
        }
        self.template(object, "Assign", scope)
    }
}

fn refusal(name: &str) -> Option<String> {
    if name == "states" {
        return Some("The variable 'states' is reserved and can not be assigned".to_owned());
    }
    if NAME_CHARS_MAX < name.chars().count() {
        return Some(format!("The variable name '{name}' exceeds the 80-character limit"));
    }
    let mut chars = name.chars();
    let is_name = chars.next().is_some_and(|c| unicode_ident::is_xid_start(c) || c == '_')
        && chars.all(unicode_ident::is_xid_continue);
    (!is_name).then(|| format!("The variable name '{name}' is not valid"))
}

/// Refuses what an inner block assigns although an enclosing block assigns it too.
pub(super) fn check(compiler: &mut Compiler<'_, '_>) {
    let assignments = std::mem::take(&mut compiler.assignments);
    let mut names: BTreeMap<BlockId, BTreeSet<&str>> = BTreeMap::new();
    for assignment in &assignments {
        names.entry(assignment.block).or_default().insert(&assignment.name);
    }
    for assignment in &assignments {
        let mut block = assignment.block;
        // A Distributed Map's children are executions of their own.
        while !compiler.isolated.contains(&block)
            && let Some(outer) = compiler.parents.get(block.index()).copied().flatten()
        {
            block = outer;
            if names
                .get(&block)
                .is_some_and(|names| names.contains(assignment.name.as_str()))
            {
                let message = format!(
                    "The variable '{}' can not be assigned because an outer scope assigns it",
                    assignment.name
                );
                compiler.report_for(
                    assignment.owner,
                    "SCHEMA_VALIDATION_FAILED",
                    &assignment.at,
                    assignment.span,
                    message,
                );
                break;
            }
        }
    }
}
