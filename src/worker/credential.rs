//! What the processes of one task get to know and nothing else does: tokens and secrets.
//!
//! A value goes from whoever fetched it to `spawnd` in memory that has no name, and from there into a file of a
//! directory that only the task can read. It is never in an argument, a variable, a message or a log: nothing here
//! can be serialized, and what is shown of it is its name.

use std::fmt;

use secrecy::ExposeSecret;
use secrecy::SecretSlice;

/// One value, and the name of the file in `$CREDENTIALS_DIRECTORY` that holds it.
pub struct Credential {
    /// The file's name, as `is_name` takes it.
    pub name: String,
    /// What the file holds.
    pub value: SecretSlice<u8>,
}

/// All that one process gets.
pub type Credentials = Vec<Credential>;

/// Longest name.
const NAME_BYTES_MAX: usize = 128;

/// Tells whether a credential may have this name: letters, digits, `.`, `_` and `-`, as systemd takes them, and no
/// name that means a directory.
pub fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_plain) && !name.starts_with('.')
}

impl Clone for Credential {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            value: SecretSlice::from(self.value.expose_secret().to_vec()),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_the_name() {
        let credential = Credential {
            name: "token".to_owned(),
            value: b"canary".to_vec().into(),
        };
        assert_eq!(format!("{credential:?}"), "Credential { name: \"token\", .. }");
        assert_eq!(credential.value.expose_secret(), b"canary");
    }

    #[test]
    fn names_are_plain_names_of_files() {
        for (name, expected) in [
            ("token", true),
            ("db.password-2_a", true),
            ("", false),
            (".", false),
            ("..", false),
            (".hidden", false),
            ("a/b", false),
            ("a b", false),
            ("ä", false),
            ("a\0", false),
        ] {
            assert_eq!(is_name(name), expected, "{name:?}");
        }
        assert!(is_name(&"x".repeat(NAME_BYTES_MAX)) && !is_name(&"x".repeat(NAME_BYTES_MAX + 1)));
    }
}
