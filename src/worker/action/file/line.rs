//! `file.line`: a line that a text file has, or has not.

use regex::bytes::Regex;
use serde::Deserialize;
use serde_json::Value;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::facts::ErrorName;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Parameter;
use crate::worker::action::file::existing::Existing;
use crate::worker::action::file::fault;
use crate::worker::action::file::fault::INVALID_PARAMETERS;
use crate::worker::action::file::fault::NOT_FOUND;
use crate::worker::action::file::fault::fault;
use crate::worker::action::file::off_thread::Stop;
use crate::worker::action::file::ownership;
use crate::worker::action::file::ownership::Ownership;
use crate::worker::action::file::place::Place;
use crate::worker::action::file::put;
use crate::worker::action::file::put::Content;
use crate::worker::action::file::put::Put;
use crate::worker::action::file::put::Wanted;
use crate::worker::action::file::template::read_bounded;

/// More than one line could be meant.
const AMBIGUOUS_MATCH: ErrorName = ErrorName::lasting(
    "File.AmbiguousMatch",
    "More than one line matches `Match` or is `Line`: which one is meant is not known.",
);
/// There is no line to insert before or after.
const ANCHOR_NOT_FOUND: ErrorName = ErrorName::lasting("File.AnchorNotFound", "No line matches `After` or `Before`.");

static FACTS: Facts = Facts {
    name: "file.line",
    summary: "Makes sure that a text file has a line, or has not.",
    details: "`present`: the one line that matches `Match` becomes `Line`; if none does and `Line` is nowhere, it is \
              inserted: after the last line that matches `After`, before the first that matches `Before`, else at the \
              end. `absent`: every line that is `Line`, or matches `Match`, is removed. Other lines stay as they are, \
              byte for byte, and new ones end as the file's first line does. The file has at most 16 MiB. The new file \
              is on the disk before it takes the old one's name; hard links to the old one, its ACLs and its extended \
              attributes stay behind with it.",
    parameters: &[
        put::PATH,
        Parameter::optional(
            "Line",
            Kind::Named("a text of one line", is_line),
            "The line, without its end. `present` needs it; `absent` needs this or `Match`.",
        ),
        Parameter::optional(
            "Match",
            Kind::Text,
            "A regular expression, in the syntax of the Rust crate `regex`, found anywhere in a line.",
        ),
        Parameter::optional(
            "State",
            Kind::OneOf(&["absent", "present"]),
            "`present` when it is not said.",
        ),
        Parameter::optional(
            "After",
            Kind::Text,
            "A regular expression: insert after the last line that it matches.",
        ),
        Parameter::optional(
            "Before",
            Kind::Text,
            "A regular expression: insert before the first line that it matches.",
        ),
        Parameter::optional(
            "Create",
            Kind::Boolean,
            "Make the file if it is not there. `false` when it is not said.",
        ),
        ownership::MODE,
        ownership::OWNER,
        ownership::GROUP,
    ],
    one_of: &[],
    result: put::RESULT,
    errors: &[
        AMBIGUOUS_MATCH,
        ANCHOR_NOT_FOUND,
        fault::CHANGED_MEANWHILE,
        fault::FAILED,
        fault::INVALID_PARAMETERS,
        fault::IS_DIRECTORY,
        fault::IS_SYMLINK,
        fault::NO_SPACE,
        fault::NOT_A_DIRECTORY,
        fault::NOT_FOUND,
        fault::NOT_REGULAR,
        fault::PERMISSION_DENIED,
        fault::READ_ONLY,
        fault::TOO_LARGE,
        fault::UNKNOWN_OWNER,
    ],
    undo: Some(put::UNDO),
    example: r#"{ "Path": "/etc/ssh/sshd_config", "Match": "^#?PermitRootLogin ", "Line": "PermitRootLogin no" }"#,
};

/// The action.
pub const LINE: Put = Put {
    facts: &FACTS,
    reads: |_| None,
    wanted,
};

fn is_line(text: &str) -> bool {
    !text.contains(['\n', '\r'])
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    line: Option<String>,
    r#match: Option<String>,
    #[serde(default)]
    state: State,
    after: Option<String>,
    before: Option<String>,
    #[serde(default)]
    create: bool,
    #[serde(flatten)]
    ownership: Ownership,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Absent,
    #[default]
    Present,
}

/// What is to become of the lines.
enum Edit {
    Absent {
        line: Option<String>,
        pattern: Option<Regex>,
    },
    Present {
        line: String,
        pattern: Option<Regex>,
        anchor: Anchor,
    },
}

enum Anchor {
    After(Regex),
    Before(Regex),
    End,
}

impl Parameters {
    fn edit(&self) -> Result<Edit, StatesError> {
        let invalid = |sentence: &str| Err(fault(&INVALID_PARAMETERS, sentence));
        let pattern = regex("Match", self.r#match.as_deref())?;
        let (after, before) = (
            regex("After", self.after.as_deref())?,
            regex("Before", self.before.as_deref())?,
        );
        match (self.state, &self.line, after, before) {
            (_, _, Some(_), Some(_)) => invalid("file.line takes only one of `After` and `Before`."),
            (State::Absent, _, after, before) if self.create || after.is_some() || before.is_some() => {
                invalid("file.line takes no `After`, `Before` or `Create` when `State` is `absent`.")
            }
            (State::Absent, line, ..) => match (line, pattern) {
                (None, None) => invalid("file.line needs `Line` or `Match` when `State` is `absent`."),
                (Some(_), Some(_)) => {
                    invalid("file.line takes only one of `Line` and `Match` when `State` is `absent`.")
                }
                (line, pattern) => Ok(Edit::Absent {
                    line: line.clone(),
                    pattern,
                }),
            },
            (State::Present, None, ..) => invalid("file.line needs `Line` when `State` is `present`."),
            (State::Present, Some(line), after, before) => Ok(Edit::Present {
                line: line.clone(),
                pattern,
                anchor: match (after, before) {
                    (Some(after), _) => Anchor::After(after),
                    (None, Some(before)) => Anchor::Before(before),
                    (None, None) => Anchor::End,
                },
            }),
        }
    }
}

fn regex(name: &str, text: Option<&str>) -> Result<Option<Regex>, StatesError> {
    text.map(Regex::new).transpose().map_err(|error| {
        let sentence = format!("`{name}` of file.line is no regular expression: {error}.");
        fault(&INVALID_PARAMETERS, sentence)
    })
}

fn wanted(parameters: &Value, place: &Place, existing: Option<&Existing>, _: &Stop) -> Result<Wanted, StatesError> {
    let parameters: Parameters = action::read(parameters)?;
    let edit = parameters.edit()?;
    let content = match place.open()? {
        Some(file) => read_bounded(file, place.path())?,
        None if parameters.create => Vec::new(),
        None => {
            let sentence = format!("`{}` is not there, and `Create` is not true.", place.path().display());
            return Err(fault(&NOT_FOUND, sentence));
        }
    };
    Ok(Wanted {
        content: Content::Bytes(edit.apply(&content)?),
        owned: parameters.ownership.wanted(existing, put::MODE_OF_NEW)?,
    })
}

impl Edit {
    fn apply(&self, content: &[u8]) -> Result<Vec<u8>, StatesError> {
        let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
        match self {
            Self::Absent { line, pattern } => {
                let goes = |text: &[u8]| {
                    line.as_ref().is_some_and(|line| text == line.as_bytes())
                        || pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
                };
                Ok(lines
                    .into_iter()
                    .filter(|line| !goes(bare(line)))
                    .collect::<Vec<_>>()
                    .concat())
            }
            Self::Present { line, pattern, anchor } => {
                let wanted = line.as_bytes();
                let is_meant =
                    |text: &[u8]| text == wanted || pattern.as_ref().is_some_and(|pattern| pattern.is_match(text));
                let meant: Vec<usize> = (0..lines.len()).filter(|n| is_meant(bare(lines[*n]))).collect();
                match meant.as_slice() {
                    [] => insert(&lines, wanted, anchor),
                    [n] => {
                        let end = &lines[*n][bare(lines[*n]).len()..];
                        Ok([&lines[..*n].concat(), wanted, end, &lines[*n + 1..].concat()].concat())
                    }
                    all if all.iter().all(|n| bare(lines[*n]) == wanted) => Ok(content.to_vec()),
                    all => {
                        let numbers: Vec<String> = all.iter().take(10).map(|n| (n + 1).to_string()).collect();
                        let sentence = format!(
                            "{} lines match `Match` of file.line or are its `Line`: {}. Make `Match` so narrow that it \
                             matches one.",
                            all.len(),
                            numbers.join(", ")
                        );
                        Err(fault(&AMBIGUOUS_MATCH, sentence))
                    }
                }
            }
        }
    }
}

/// A line without its end.
fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn insert(lines: &[&[u8]], wanted: &[u8], anchor: &Anchor) -> Result<Vec<u8>, StatesError> {
    let found = match anchor {
        Anchor::After(pattern) => lines
            .iter()
            .rposition(|line| pattern.is_match(bare(line)))
            .map(|n| n + 1),
        Anchor::Before(pattern) => lines.iter().position(|line| pattern.is_match(bare(line))),
        Anchor::End => Some(lines.len()),
    };
    let Some(at) = found else {
        let sentence = "No line matches `After` or `Before` of file.line, so there is no place for the line.";
        return Err(fault(&ANCHOR_NOT_FOUND, sentence));
    };
    let end: &[u8] = match lines.first().is_some_and(|line| line.ends_with(b"\r\n")) {
        true => b"\r\n",
        false => b"\n",
    };
    let mut before = lines[..at].concat();
    if !before.is_empty() && !before.ends_with(b"\n") {
        before.extend_from_slice(end);
    }
    Ok([&before, wanted, end, &lines[at..].concat()].concat())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::worker::action::file::testing::Files;

    #[test]
    fn a_line_comes_changes_and_goes() {
        for (content, parameters, expected) in [
            ("", json!({"Line": "a"}), Ok("a\n")),
            ("x", json!({"Line": "a"}), Ok("x\na\n")),
            ("x\r\ny\r\n", json!({"Line": "a"}), Ok("x\r\ny\r\na\r\n")),
            ("a\nx\n", json!({"Line": "a"}), Ok("a\nx\n")),
            ("a\na\n", json!({"Line": "a"}), Ok("a\na\n")),
            (
                "x\n#p no\ny\n",
                json!({"Line": "p yes", "Match": "^#?p "}),
                Ok("x\np yes\ny\n"),
            ),
            (
                "x\np no\r\n",
                json!({"Line": "p yes", "Match": "^#?p "}),
                Ok("x\np yes\r\n"),
            ),
            ("p no", json!({"Line": "p yes", "Match": "^#?p "}), Ok("p yes")),
            ("p yes\n", json!({"Line": "p yes", "Match": "^#?p "}), Ok("p yes\n")),
            // A line that its own pattern does not match is not added again.
            ("q\n", json!({"Line": "q", "Match": "^p"}), Ok("q\n")),
            (
                "#p\np no\n",
                json!({"Line": "p yes", "Match": "^#?p"}),
                Err("File.AmbiguousMatch"),
            ),
            (
                "p yes\n#p\n",
                json!({"Line": "p yes", "Match": "^#?p"}),
                Err("File.AmbiguousMatch"),
            ),
            (
                "[a]\n[b]\n[a]\n",
                json!({"Line": "x", "After": r"^\[a\]"}),
                Ok("[a]\n[b]\n[a]\nx\n"),
            ),
            (
                "[a]\n[b]\n",
                json!({"Line": "x", "After": r"^\[a\]"}),
                Ok("[a]\nx\n[b]\n"),
            ),
            (
                "[a]\n[b]\n[b]\n",
                json!({"Line": "x", "Before": "b"}),
                Ok("[a]\nx\n[b]\n[b]\n"),
            ),
            ("[a]\n", json!({"Line": "x", "Before": "b"}), Err("File.AnchorNotFound")),
            ("a\nb\na\n", json!({"Line": "a", "State": "absent"}), Ok("b\n")),
            ("ab\nb", json!({"Match": "^b", "State": "absent"}), Ok("ab\n")),
            ("ab\n", json!({"Line": "a", "State": "absent"}), Ok("ab\n")),
            ("", json!({"State": "absent"}), Err("File.InvalidParameters")),
            (
                "",
                json!({"State": "absent", "Line": "a", "Match": "a"}),
                Err("File.InvalidParameters"),
            ),
            (
                "",
                json!({"State": "absent", "Line": "a", "After": "a"}),
                Err("File.InvalidParameters"),
            ),
            ("", json!({"Match": "a"}), Err("File.InvalidParameters")),
            ("", json!({"Line": "a", "Match": "("}), Err("File.InvalidParameters")),
            (
                "",
                json!({"Line": "a", "After": "a", "Before": "b"}),
                Err("File.InvalidParameters"),
            ),
        ] {
            let read: Parameters = action::read(&parameters).unwrap();
            let edited = read.edit().and_then(|edit| edit.apply(content.as_bytes()));
            let edited = edited.map(|bytes| String::from_utf8(bytes).unwrap());
            let edited = edited.map_err(|error| error.name.unwrap_or_default());
            assert_eq!(
                edited.as_ref().map(String::as_str).map_err(String::as_str),
                expected,
                "{content:?} {parameters}"
            );
            // Once more changes nothing more.
            if let Ok(edited) = edited {
                let again = read.edit().unwrap().apply(edited.as_bytes()).unwrap();
                assert_eq!(String::from_utf8(again).unwrap(), edited, "{content:?} {parameters}");
            }
        }
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_stay() {
        let mut files = Files::new();
        std::fs::write(files.at("file"), b"\xff\x00\n#a\n").unwrap();
        let parameters = json!({ "Path": files.at("file"), "Line": "a", "Match": "^#a$" });
        let done = files.run("file.line", &parameters).await.unwrap();
        assert_eq!(std::fs::read(files.at("file")).unwrap(), b"\xff\x00\na\n");
        let again = files.run("file.line", &parameters).await.unwrap();
        assert_eq!(again["Changed"], json!(false));
        files.undo_twice(&done).await;
        assert_eq!(std::fs::read(files.at("file")).unwrap(), b"\xff\x00\n#a\n");
    }

    #[tokio::test]
    async fn a_file_is_made_only_when_asked() {
        let mut files = Files::new();
        let mut parameters = json!({ "Path": files.at("file"), "Line": "a" });
        let error = files.run("file.line", &parameters).await.unwrap_err();
        assert_eq!(error.name.as_deref(), Some("File.NotFound"));
        parameters["Create"] = json!(true);
        let done = files.run("file.line", &parameters).await.unwrap();
        assert_eq!(files.read("file"), "a\n");
        files.undo_twice(&done).await;
        assert!(!files.at("file").exists());
        let mut with_line_end = parameters.clone();
        with_line_end["Line"] = json!("a\nb");
        let error = files.run("file.line", &with_line_end).await.unwrap_err();
        assert_eq!(error.name.as_deref(), Some("File.InvalidParameters"));
    }
}
