//! `stepfn diff`.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::asl::load::Tree;
use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::source::Source;
use crate::cli::table;
use crate::diff::change::Change;
use crate::diff::compare::Options;
use crate::diff::compare::compare;

/// Compare two definitions by what they say, not by their text
///
/// Tells states that came, went or only have another name, and for the others each field that says something else. The
/// order of members, formatting, comments and defaults that are written out do not count; one may be JSON and the other
/// YAML. Exit codes: 0 the same, 1 different, 2 trouble.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The definition before
    #[arg(value_name = "A")]
    old: PathBuf,

    /// The definition after
    #[arg(value_name = "B")]
    new: PathBuf,

    /// Compare comments, too
    #[arg(long)]
    comments: bool,

    /// How to print the differences
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Human,
    Json,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    // Both are read before either is refused: the findings of one must not hide the other's.
    let (old, new) = (read(&arguments.old)?, read(&arguments.new)?);
    let (Some(old), Some(new)) = (old, new) else {
        return Ok(error::USAGE);
    };
    let options = Options {
        comments: arguments.comments,
    };
    let changes = compare(&old, &new, options);
    match arguments.format {
        Format::Human => table::print(&human(&changes))?,
        Format::Json => {
            let changes: Vec<Value> = changes.iter().map(Change::to_json).collect();
            table::print_json(&json!({ "changes": changes }))?;
        }
    }
    Ok(if changes.is_empty() { 0 } else { error::FAILED })
}

/// Reads a definition that compiles; tells the findings of one that does not.
fn read(path: &Path) -> Result<Option<Value>, CliError> {
    let source = Source::read(path)?;
    if let Err((_, text)) = source.compile(BTreeMap::new(), true) {
        error::tell(&text);
        return Ok(None);
    }
    // What compiles can be read.
    Ok(Tree::read(&source.text, source.format).ok().map(|tree| tree.value()))
}

/// Lists the changes below the state or block that they belong to.
fn human(changes: &[Change]) -> String {
    let mut shown = String::new();
    let mut path = None;
    for change in changes {
        if path != Some(&change.path) {
            path = Some(&change.path);
            let name = match change.path.as_slice() {
                [] => "the state machine".to_owned(),
                path => path.join(" / "),
            };
            shown += &format!("{}\n", printable(&name));
        }
        shown += &format!("  {}\n", printable(&change.to_string()));
    }
    shown
}
