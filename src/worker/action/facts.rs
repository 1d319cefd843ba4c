//! What an action is called, takes, gives and how it fails: the one source of its checks and its documentation.

/// The facts of one action.
#[derive(Debug)]
pub struct Facts {
    /// Such as `apt.install`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// More that a user must know; may be empty.
    pub details: &'static str,
    /// Every parameter that it takes.
    pub parameters: &'static [Parameter],
    /// Groups of parameters of which exactly one must be there.
    pub one_of: &'static [&'static [&'static str]],
    /// The members of its result, `Changed` and `Checkpoint` aside.
    pub result: &'static [Member],
    /// Every error name of its own.
    pub errors: &'static [ErrorName],
    /// What `undo` restores, and what it cannot; `None` if the action cannot be undone.
    pub undo: Option<&'static str>,
    /// Parameters as they may stand in a definition: a JSON text.
    pub example: &'static str,
}

impl Facts {
    /// The error name of parameters that are refused: the family's, such as `Apt.InvalidParameters`.
    pub fn invalid_parameters(&self) -> String {
        let family = self.name.split('.').next().unwrap_or_default();
        let mut letters = family.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        let family: String = first.into_iter().chain(letters).collect();
        format!("{family}.InvalidParameters")
    }

    /// The parameters in which references to secrets may stand.
    pub fn secret_capable(&self) -> Vec<&'static str> {
        let able = self.parameters.iter().filter(|it| it.secrets != Secrets::Never);
        able.map(|parameter| parameter.name).collect()
    }
}

/// One parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Its name, as AWS writes names: `Packages`.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// It must be there.
    pub required: bool,
    /// One sentence; with the default, if there is one.
    pub doc: &'static str,
    /// Whether references to secrets may stand in it.
    pub secrets: Secrets,
}

/// Where references to secrets may stand in a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// Nowhere.
    Never,
    /// In the place of any text.
    Texts,
    /// In the place of any text, or behind a word and a blank: `Bearer secret://…`.
    Header,
    /// Every text is one, and the process gets the secrets as files.
    Files,
}

impl Parameter {
    /// Makes a parameter that must be there.
    pub const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            required: true,
            doc,
            secrets: Secrets::Never,
        }
    }

    /// Makes a parameter that may be absent.
    pub const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            required: false,
            doc,
            secrets: Secrets::Never,
        }
    }

    /// Makes the same parameter, in which references to secrets may stand.
    pub const fn with(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }
}

/// What a parameter may be. No text may hold a NUL.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    AnyText,
    /// `true` or `false`.
    Boolean,
    /// A whole number in a range, both ends included.
    Integer(i64, i64),
    /// Any JSON.
    Json,
    /// A list with at least one member, each of a kind.
    List(&'static Self),
    /// A text that a pattern describes: what it is called, and a test.
    Named(&'static str, fn(&str) -> bool),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of two kinds.
    Or(&'static Self, &'static Self),
    /// The absolute path of a file or directory, without `.` and `..`.
    Path,
    /// An object with these members and no other.
    Record(&'static [Parameter]),
    /// A text that is not empty.
    Text,
    /// An object of texts by variable name.
    Variables,
}

/// A member of a result.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it holds: type and meaning.
    pub doc: &'static str,
}

/// An error of an action's own.
#[derive(Debug)]
pub struct ErrorName {
    /// As Retry and Catch name it.
    pub name: &'static str,
    /// When it comes.
    pub doc: &'static str,
    /// Trying again may help.
    pub retriable: bool,
}

impl ErrorName {
    /// Makes an error that trying again does not mend.
    pub const fn lasting(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            retriable: false,
        }
    }

    /// Makes an error that may be gone the next time.
    pub const fn passing(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            retriable: true,
        }
    }
}

/// An absolute path as a test and as a type.
pub fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.split('/').any(|part| part == "." || part == "..")
}
