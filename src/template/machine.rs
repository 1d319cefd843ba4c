//! Makes a definition of what a template says of one state machine.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::asl::load::Format;
use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::asl::substitute::placeholder_at;
use crate::asl::substitute::whole_placeholder;
use crate::asl::substitution_file::shown;
use crate::asl::text;
use crate::model::span::Span;
use crate::template::compose::Composer;
use crate::template::compose::Dialect;
use crate::template::find::Finder;
use crate::template::find::Found;
use crate::template::find::Notice;
use crate::template::find::Severity;
use crate::template::find::format_of;
use crate::template::function::Function;
use crate::template::function::function;
use crate::template::origin::Origin;
use crate::template::substitutions::Substitutions;
use crate::template::trace::Trace;

/// How a property holds the definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A local file, or an object in S3.
    File,
    /// A text of JSON.
    Text,
    /// An object, or a text of JSON.
    Value,
}

/// What a template says besides the definition.
pub(super) struct Machine<'m> {
    pub(super) name: String,
    pub(super) express: bool,
    pub(super) dialect: Dialect,
    pub(super) substitutions: Substitutions,
    /// Names that the template replaces everywhere.
    pub(super) known: &'m BTreeSet<String>,
}

impl Finder<'_> {
    /// Collects the definition that `node` of `origin` holds; both of them if it is an `Fn::If`.
    pub(super) fn machine(&mut self, machine: &Machine<'_>, origin: &Arc<Origin>, form: Form, node: &Node) {
        let n_notices = self.search.notices.len();
        let n_before = self.search.definitions.len();
        let mut open = vec![(node, machine.name.clone())];
        while let Some((node, name)) = open.pop() {
            if self.budget.is_spent() {
                self.say(
                    Severity::Error,
                    "TOO_COMPLEX",
                    node.span,
                    format!("The template says too much for one file: '{name}' and what follows is not checked"),
                );
                return;
            }
            match (function(node), form) {
                (Some(Function::If(condition, then, otherwise)), _) => {
                    let condition = shown(condition);
                    open.push((otherwise, format!("{name} (unless {condition})")));
                    open.push((then, format!("{name} (if {condition})")));
                }
                (Some(Function::Nothing), _) => {}
                (Some(Function::ToJsonString(value)), Form::Text | Form::Value) => {
                    self.inline(machine, origin, &name, value, true);
                }
                (Some(Function::Open(_)), Form::Text | Form::Value) => {
                    self.unchecked(origin, node.span, &name, "is known at deployment only");
                }
                (_, Form::File) => self.file(machine, origin, &name, node),
                (None, Form::Value) if matches!(node.kind, Kind::Object(_)) => {
                    self.inline(machine, origin, &name, node, true);
                }
                (None, _) if matches!(node.kind, Kind::Array(_) | Kind::Object(_) | Kind::Null) => {
                    self.say_in(
                        origin,
                        Severity::Error,
                        "INVALID_TEMPLATE",
                        node.span,
                        format!(
                            "The definition of '{name}' must be {}",
                            if form == Form::Text { "a text" } else { "an object" }
                        ),
                    );
                }
                _ => self.inline(machine, origin, &name, node, false),
            }
        }
        let texts: Vec<_> = self.search.definitions[n_before..]
            .iter()
            .map(|found| found.text.clone())
            .collect();
        // With a part unread nobody knows what is used there.
        let is_all_read = self.search.notices[n_notices..]
            .iter()
            .all(|notice| notice.diagnostic.code == "MISSING_SUBSTITUTION");
        if is_all_read && !texts.is_empty() {
            machine.substitutions.report_unused(&texts, &machine.name, self);
        }
    }

    /// Collects a definition that the template itself holds.
    fn inline(&mut self, machine: &Machine<'_>, origin: &Arc<Origin>, name: &str, node: &Node, is_value: bool) {
        let names = &machine.substitutions.names;
        let mut composer = Composer::new(origin, machine.dialect, names, &mut self.budget);
        if is_value {
            composer.value(node);
        } else {
            composer.text(node);
        }
        let (composed, mut opened) = (composer.composed, composer.opened);
        if self.budget.is_spent() {
            let message = format!("The definition of '{name}' is too intricate to be put together");
            return self.say_in(origin, Severity::Error, "TOO_COMPLEX", node.span, message);
        }
        if whole_placeholder(composed.text.trim()).is_some() || is_torn(&composed.text, &opened) {
            return self.unchecked(origin, node.span, name, "has parts that are known at deployment only");
        }
        let found = Found {
            name: name.to_owned(),
            text: composed.text.into(),
            format: Format::Json,
            substitutions: machine.substitutions.literal.clone(),
            express: machine.express,
            origin: origin.clone(),
            trace: composed.trace,
            is_whole: false,
        };
        opened.extend(machine.known.iter().cloned());
        machine.substitutions.report_missing(&found, &opened, self);
        self.search.definitions.push(found);
    }

    /// Collects a definition that is a file of its own.
    fn file(&mut self, machine: &Machine<'_>, origin: &Arc<Origin>, name: &str, node: &Node) {
        let in_s3 = "is in S3, which is not looked at";
        if function(node).is_none() && matches!(node.kind, Kind::Object(_)) {
            // The CDK lays what it will upload beside the template.
            let asset = node.get("Key").and_then(Node::text).map(|key| format!("asset.{key}"));
            let asset = asset.filter(|asset| !asset.contains(['/', '$']));
            return match asset.and_then(|asset| self.read_once(&asset).ok()) {
                Some(file) => self.whole_file(machine, name, file),
                None => self.unchecked(origin, node.span, name, in_s3),
            };
        }
        let none = BTreeSet::new();
        let mut composer = Composer::new(origin, machine.dialect, &none, &mut self.budget);
        composer.text(node);
        let path = composer.composed.text;
        if !composer.opened.is_empty() || path.contains("${") {
            return self.unchecked(
                origin,
                node.span,
                name,
                "is in a file whose name is known at deployment only",
            );
        }
        if path.starts_with("s3://") || path.starts_with("https://") {
            return self.unchecked(origin, node.span, name, in_s3);
        }
        match self.read_once(&path) {
            Ok(file) => self.whole_file(machine, name, file),
            Err(reason) => {
                let message = format!("The definition of '{name}' can not be read from '{path}': {reason}");
                self.say_in(origin, Severity::Error, "UNREADABLE_DEFINITION", node.span, message);
            }
        }
    }

    fn whole_file(&mut self, machine: &Machine<'_>, name: &str, file: Arc<Origin>) {
        self.budget.spend(file.text.len());
        let found = Found {
            name: name.to_owned(),
            text: file.text.clone(),
            format: format_of(&file.path, &file.text),
            substitutions: machine.substitutions.literal.clone(),
            express: machine.express,
            origin: file,
            trace: Trace::default(),
            is_whole: true,
        };
        machine.substitutions.report_missing(&found, machine.known, self);
        self.search.definitions.push(found);
    }

    /// Reads a file, each one once.
    pub(super) fn read_once(&mut self, path: &str) -> Result<Arc<Origin>, String> {
        if let Some(origin) = self.read.get(path) {
            return Ok(origin.clone());
        }
        let file = self.files.read(path)?;
        let origin = Origin::new(file.path, file.text);
        self.read.insert(path.to_owned(), origin.clone());
        Ok(origin)
    }

    pub(super) fn unchecked(&mut self, origin: &Arc<Origin>, span: Span, name: &str, why: &str) {
        let message = format!("The definition of '{name}' {why}: it is not checked");
        self.say_in(origin, Severity::Warning, "UNCHECKED_DEFINITION", span, message);
    }

    pub(super) fn say_in(
        &mut self,
        origin: &Arc<Origin>,
        severity: Severity,
        code: &'static str,
        span: Span,
        message: String,
    ) {
        self.say(severity, code, span, message);
        if let Some(Notice { origin: told, .. }) = self.search.notices.last_mut() {
            *told = origin.clone();
        }
    }
}

/// Files that were read, by the path that the template gives.
pub(super) type ReadFiles = BTreeMap<String, Arc<Origin>>;

/// Tells whether a text is no JSON because something is open that is no value: a whole member, or half a number.
fn is_torn(text: &str, opened: &BTreeSet<String>) -> bool {
    if opened.is_empty() {
        return false;
    }
    let Err(finding) = text::parse(text) else {
        return false;
    };
    let at = finding.span.map_or(0, |span| span.start as usize);
    placeholder_at(text, at).is_some_and(|(name, _)| opened.contains(name))
}
