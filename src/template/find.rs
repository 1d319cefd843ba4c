//! The door of the room: a file's text in, definitions and notices out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::asl::diagnostic::Diagnostic;
use crate::asl::load::Format;
use crate::asl::load::Options;
use crate::asl::node::Node;
use crate::asl::substitution_file::function;
use crate::asl::text;
use crate::asl::yaml;
use crate::model::span::Span;
use crate::template::cloudformation;
use crate::template::compose::Budget;
use crate::template::machine::ReadFiles;
use crate::template::origin::Origin;
use crate::template::plan;
use crate::template::serverless;
use crate::template::tftpl;
use crate::template::trace::Trace;

/// The kinds of templates. Each collects what it finds, and tells whether the file is of its kind.
const KINDS: &[fn(&Node, &mut Finder<'_>) -> bool] = &[cloudformation::collect, plan::collect, serverless::collect];

/// The words of which a file with a definition has at least one group.
const MARKS: &[&[&str]] = &[
    &["StartAt", "States"],
    &["::StateMachine"],
    &["aws_sfn_state_machine"],
    &["stepFunctions", "stateMachines"],
];

/// The types of the resources that are state machines: whoever names one means it.
const STRONG_MARKS: &[&str] = &["AWS::StepFunctions::StateMachine", "AWS::Serverless::StateMachine"];

/// Reads the files that a template names.
pub trait Files {
    /// Reads the file at `path`, which is relative to the template's directory, or absolute.
    ///
    /// # Errors
    /// A sentence fragment that says why it can not be read.
    fn read(&self, path: &str) -> Result<File, String>;
}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct File {
    /// The path as it is shown.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// Why a file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody named it, or its name says that it is a definition: it must be one, or hold one.
    Named,
    /// It lies in a directory, with thousands of others.
    Walked,
}

/// How bad a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The template can not work.
    Error,
    /// Something is not checked, or has no effect.
    Warning,
}

/// What is to be said of a template itself.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How bad it is.
    pub severity: Severity,
    /// The file that it is about.
    pub origin: Arc<Origin>,
    /// The code, the sentence and the place in `origin`.
    pub diagnostic: Diagnostic,
}

/// A definition that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The logical id of the resource, the address in Terraform, the name in Serverless, the name of a plain file.
    pub name: String,
    /// The text that `asl::load::compile` takes.
    pub text: Arc<str>,
    /// How it is written.
    pub format: Format,
    /// The values of placeholders that are known; all others stay open.
    pub substitutions: BTreeMap<String, String>,
    /// The machine is EXPRESS.
    pub express: bool,
    /// The file that the text is from.
    pub origin: Arc<Origin>,
    pub(super) trace: Trace,
    /// The text is the file's own.
    pub(super) is_whole: bool,
}

impl Found {
    /// Returns how to compile it.
    pub fn options(&self) -> Options {
        Options {
            format: self.format,
            substitutions: self.substitutions.clone(),
            open_placeholders: true,
            express: self.express,
        }
    }

    /// Tells whether the file is the definition and nothing else.
    pub fn is_whole_file(&self) -> bool {
        self.is_whole
    }

    /// Maps a place in `text` to its place in the file.
    pub fn outer(&self, span: Span) -> Span {
        if self.is_whole {
            return span;
        }
        let outer = self.trace.outer(span.start, span.end);
        self.origin.span(outer.start, outer.end)
    }

    /// Maps a place in `text` to its place in the file when the same bytes stand there.
    pub fn exact(&self, span: Span) -> Option<Span> {
        if self.is_whole {
            return Some(span);
        }
        let outer = self.trace.exact(span.start, span.end)?;
        Some(self.origin.span(outer.start, outer.end))
    }

    /// Maps a finding about `text` to one about the file.
    pub fn place(&self, mut finding: Diagnostic) -> Diagnostic {
        if self.is_whole {
            return finding;
        }
        finding.span = finding.span.map(|span| self.outer(span));
        // The reader's own places are those of the text.
        for place in ["\n at [Source: ", " (start marker at [Source: "] {
            if let Some(at) = finding.message.find(place) {
                finding.message.truncate(at);
                finding.location = None;
            }
        }
        finding
    }
}

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The definitions, in the order of the file.
    pub definitions: Vec<Found>,
    /// What is to be said besides.
    pub notices: Vec<Notice>,
}

/// Tells whether a file's text may hold a definition. Cheap, and never wrong when it says no.
pub fn may_hold(text: &str) -> bool {
    MARKS.iter().any(|words| words.iter().all(|word| text.contains(word)))
}

/// Finds the definitions in a file's text.
///
/// `path` is shown, and its extension tells the format; a text without one is JSON if it begins with a brace.
pub fn find(path: &str, text: &str, reason: Reason, files: &dyn Files) -> Search {
    let format = format_of(path, text);
    let mut finder = Finder {
        origin: Origin::new(path, text),
        format,
        files,
        budget: Budget::new(),
        read: ReadFiles::new(),
        search: Search::default(),
    };
    if is_terraform_template(path) {
        tftpl::collect(&mut finder, reason);
        return finder.search;
    }
    match (read(text, format), reason) {
        (Ok(root), _) if is_definition(&root) => finder.whole(),
        (Ok(root), reason) => {
            let mut is_known = false;
            for collect in KINDS {
                is_known |= collect(&root, &mut finder);
            }
            if !is_known && reason == Reason::Named {
                // The compiler says what it lacks.
                finder.whole();
            }
        }
        (Err(finding), _) if STRONG_MARKS.iter().any(|mark| text.contains(mark)) => {
            finder.refuse(Severity::Error, finding);
        }
        (Err(_), Reason::Named) => finder.whole(),
        (Err(finding), Reason::Walked) => finder.refuse(Severity::Warning, finding),
    }
    finder.search
}

/// Tells whether a value looks like a definition.
pub(super) fn is_definition(root: &Node) -> bool {
    root.get("StartAt").is_some() && root.get("States").is_some()
}

/// Reads JSON or YAML with the tags of CloudFormation.
pub(super) fn read(text: &str, format: Format) -> Result<Node, Diagnostic> {
    match format {
        Format::Json => text::parse(text),
        Format::Yaml => yaml::read(text, |tag, node| Ok(function(tag, node))),
    }
}

/// Tells how a file is written.
pub(super) fn format_of(path: &str, text: &str) -> Format {
    let name = stripped(path);
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some(extension) if extension.eq_ignore_ascii_case("json") => Format::Json,
        Some(extension)
            if ["yaml", "yml"]
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known)) =>
        {
            Format::Yaml
        }
        _ if text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']) => Format::Json,
        _ => Format::Yaml,
    }
}

/// Returns a path without the ending of Terraform's templates.
fn stripped(path: &str) -> &str {
    tftpl::ENDINGS
        .iter()
        .find_map(|ending| path.strip_suffix(ending))
        .unwrap_or(path)
}

fn is_terraform_template(path: &str) -> bool {
    stripped(path).len() < path.len()
}

/// Returns the machine's name: the file's, without `.asl` and the format.
pub(super) fn name_of(path: &str) -> String {
    let stem = Path::new(stripped(path))
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    match stem.strip_suffix(".asl").unwrap_or(&stem) {
        "" => "machine".to_owned(),
        name => name.to_owned(),
    }
}

/// One file while it is searched.
pub(super) struct Finder<'f> {
    pub(super) origin: Arc<Origin>,
    pub(super) format: Format,
    pub(super) files: &'f dyn Files,
    pub(super) budget: Budget,
    pub(super) read: ReadFiles,
    pub(super) search: Search,
}

impl Finder<'_> {
    /// The file is a definition.
    pub(super) fn whole(&mut self) {
        self.search.definitions.push(Found {
            name: name_of(&self.origin.path),
            text: self.origin.text.clone(),
            format: self.format,
            substitutions: BTreeMap::new(),
            express: false,
            origin: self.origin.clone(),
            trace: Trace::default(),
            is_whole: true,
        });
    }

    pub(super) fn refuse(&mut self, severity: Severity, diagnostic: Diagnostic) {
        self.search.notices.push(Notice {
            severity,
            origin: self.origin.clone(),
            diagnostic,
        });
    }

    pub(super) fn say(&mut self, severity: Severity, code: &'static str, span: Span, message: String) {
        let finding = Diagnostic {
            code,
            message,
            location: None,
            span: Some(span),
        };
        self.refuse(severity, finding);
    }
}
