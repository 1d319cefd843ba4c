//! `Assign`: names of variables and who may assign them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::asl::compile::fields::Object;
use crate::asl::compile::machine::Compiler;
use crate::asl::node::Kind;
use crate::model::id::BlockId;
use crate::model::id::StateId;
use crate::model::span::Span;
use crate::query::jsonata::expression::FieldScope;
use crate::query::template::Template;

/// Longest variable name, in characters.
const NAME_CHARS_MAX: usize = 80;

/// One name in an `Assign`.
pub(super) struct Assignment {
    block: BlockId,
    state: StateId,
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
        if node.is_open() {
            return None;
        }
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
            self.assignments.push(Assignment {
                block: self.here.block,
                state: self.here.state,
                name: name.to_owned(),
                owner: self.here.owner,
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
///
/// What the holding Parallel or Map itself assigns does not count: it runs when the inner block has ended,
/// and AWS accepts it for a catcher (recorded).
pub(super) fn check(compiler: &mut Compiler<'_, '_>) {
    let assignments = std::mem::take(&mut compiler.assignments);
    let mut assigners: BTreeMap<(BlockId, &str), BTreeSet<StateId>> = BTreeMap::new();
    for assignment in &assignments {
        let key = (assignment.block, assignment.name.as_str());
        assigners.entry(key).or_default().insert(assignment.state);
    }
    for assignment in &assignments {
        let mut block = assignment.block;
        // A Distributed Map's children are executions of their own.
        while !compiler.isolated.contains(&block)
            && let Some((outer, holder)) = compiler.parents.get(block.index()).copied().flatten()
        {
            block = outer;
            let states = assigners.get(&(block, assignment.name.as_str()));
            if states.is_some_and(|states| states.iter().any(|state| *state != holder)) {
                let message = format!(
                    "The variable '{}' can not be assigned because an outer scope assigns it",
                    assignment.name
                );
                let (owner, at, span) = (assignment.owner, &assignment.at, assignment.span);
                compiler.report_for(owner, "SCHEMA_VALIDATION_FAILED", at, span, message);
                break;
            }
        }
    }
}
