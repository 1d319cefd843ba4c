//! How definitions name secrets: `secret://db/password`.

use std::fmt;

/// What every reference begins with.
pub const SCHEME: &str = "secret://";
/// Longest name.
const NAME_BYTES_MAX: usize = 256;

/// A secret's name, and one field of it where its source keeps several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    name: String,
    field: Option<String>,
}

/// Why a text is no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It holds something that no name has.
    #[error(
        "a reference is `secret://NAME` or `secret://NAME#FIELD`: letters, digits, `.`, `_` and `-`, in a name also `/` \
         between parts that begin with a letter or digit"
    )]
    Malformed,
    /// It is too long.
    #[error("a secret's name has at most 256 characters")]
    TooLong,
}

impl Reference {
    /// Reads a reference: the whole text is one.
    ///
    /// # Errors
    /// It begins like one, or does not, and is none.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let rest = text.strip_prefix(SCHEME).ok_or(ReferenceError::Malformed)?;
        Self::named(rest)
    }

    /// Reads what follows `secret://`.
    ///
    /// # Errors
    /// It is no name.
    pub fn named(text: &str) -> Result<Self, ReferenceError> {
        if NAME_BYTES_MAX < text.len() {
            return Err(ReferenceError::TooLong);
        }
        let (name, field) = match text.split_once('#') {
            Some((name, field)) => (name, Some(field)),
            None => (text, None),
        };
        // Names become file names and arguments: no `..`, no hidden file, no option.
        if !name.split('/').all(is_part) || !field.is_none_or(is_part) {
            return Err(ReferenceError::Malformed);
        }
        Ok(Self {
            name: name.to_owned(),
            field: field.map(str::to_owned),
        })
    }

    /// The secret's name: `db/password`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which field of it.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

fn is_part(part: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    part.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && part.bytes().all(is_plain)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.field {
            Some(field) => write!(f, "#{field}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_no_way_out() {
        for (text, expected) in [
            ("secret://db/password", Ok(("db/password", None))),
            ("secret://a.b-c_d", Ok(("a.b-c_d", None))),
            ("secret://db/app#user", Ok(("db/app", Some("user")))),
            ("secret://", Err(ReferenceError::Malformed)),
            ("secret://..", Err(ReferenceError::Malformed)),
            ("secret://a/../b", Err(ReferenceError::Malformed)),
            ("secret:///etc/shadow", Err(ReferenceError::Malformed)),
            ("secret://a//b", Err(ReferenceError::Malformed)),
            ("secret://a/", Err(ReferenceError::Malformed)),
            ("secret://-v", Err(ReferenceError::Malformed)),
            ("secret://a b", Err(ReferenceError::Malformed)),
            ("secret://a\0", Err(ReferenceError::Malformed)),
            ("secret://a#", Err(ReferenceError::Malformed)),
            ("secret://a?version=2", Err(ReferenceError::Malformed)),
            ("Secret://a", Err(ReferenceError::Malformed)),
        ] {
            let read = Reference::parse(text);
            let read = read.as_ref().map(|it| (it.name(), it.field())).map_err(|error| *error);
            assert_eq!(read, expected, "{text:?}");
        }
        let long = format!("secret://{}", "x".repeat(257));
        assert_eq!(Reference::parse(&long), Err(ReferenceError::TooLong));
    }
}
