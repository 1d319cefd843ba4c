//! Why somebody is not let in.

/// What the client is told, and the log: no credentials are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// AWS's error name.
    pub name: &'static str,
    /// A full sentence: what is wrong and what to do.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
}

impl Refusal {
    /// Makes one of a caller who is known too little, or may not.
    pub fn denied(message: impl Into<String>) -> Self {
        Self {
            name: "AccessDeniedException",
            message: message.into(),
            status: 403,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}
