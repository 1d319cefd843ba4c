//! The names of packages as parameters.

use serde::Deserialize;
use serde_json::Value;

use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Parameter;

/// A package's name.
pub const NAME: Kind = Kind::Named(
    "a package name: lower-case letters, digits, `+`, `-` and `.`, not ending in `-`",
    is_name,
);
const ARCHITECTURE: Kind = Kind::Named("an architecture, such as `arm64`", is_architecture);
const VERSION: Kind = Kind::Named("a version, such as `1:2.10-3`", is_version);

/// A package of whatever version.
pub const PACKAGE: Kind = Kind::Or(&NAME, &Kind::Record(WITHOUT_VERSION));
/// A package, perhaps of one version.
pub const VERSIONED: Kind = Kind::Or(&NAME, &Kind::Record(WITH_VERSION));
/// A package of one version.
pub const EXACT: Kind = Kind::Record(EXACTLY);

const NAME_MEMBER: Parameter = Parameter::required("Name", NAME, "Its name.");
const ARCHITECTURE_MEMBER: Parameter = Parameter::optional(
    "Architecture",
    ARCHITECTURE,
    "Of which architecture; the machine's own by default.",
);
const WITHOUT_VERSION: &[Parameter] = &[NAME_MEMBER, ARCHITECTURE_MEMBER];
const WITH_VERSION: &[Parameter] = &[
    NAME_MEMBER,
    Parameter::optional("Version", VERSION, "Exactly this version; without it any will do."),
    ARCHITECTURE_MEMBER,
];
const EXACTLY: &[Parameter] = &[
    NAME_MEMBER,
    Parameter::required("Version", VERSION, "Exactly this version."),
    ARCHITECTURE_MEMBER,
];

/// A package that a task names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// The only version that will do.
    pub version: Option<String>,
    /// Its architecture, if not the machine's.
    pub architecture: Option<String>,
}

impl Package {
    /// Returns its name as apt prints it: with the architecture only if that is not the machine's.
    pub fn key(&self, native: &str) -> String {
        match self.architecture.as_deref() {
            Some(architecture) if architecture != native && architecture != "all" => {
                format!("{}:{architecture}", self.name)
            }
            _ => self.name.clone(),
        }
    }

    /// Returns it as an argument of `apt-get install`.
    pub fn argument(&self, native: &str) -> String {
        match &self.version {
            Some(version) => format!("{}={version}", self.key(native)),
            None => self.key(native),
        }
    }
}

impl<'de> Deserialize<'de> for Package {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Record {
            name: String,
            version: Option<String>,
            architecture: Option<String>,
        }
        let record = match Value::deserialize(deserializer)? {
            Value::String(name) => Record {
                name,
                version: None,
                architecture: None,
            },
            value => Record::deserialize(value).map_err(serde::de::Error::custom)?,
        };
        Ok(Self {
            name: record.name,
            version: record.version,
            architecture: record.architecture,
        })
    }
}

/// Nothing that apt takes for an option, a removal (`hello-`), a version, a task (`web^`) or a pattern.
///
/// Source: Debian policy 5.6.1; apt-get(8).
fn is_name(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+.-".contains(&byte);
    2 <= text.len()
        && text.bytes().all(is_known)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !text.ends_with('-')
}

fn is_architecture(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.bytes().all(is_known) && text.starts_with(|first: char| first.is_ascii_lowercase()) && !text.ends_with('-')
}

/// No `*`, which apt would take for a pattern, and nothing at its end that apt would take for a removal.
///
/// Source: deb-version(7).
fn is_version(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"+.:~-".contains(&byte);
    text.bytes().all(is_known)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.ends_with(|last: char| last.is_ascii_alphanumeric() || last == '~' || last == '+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_names_passes() {
        for name in ["hello", "g++", "libstdc++6", "0ad", "python3.11", "a2"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            "a",
            "hello-",
            "--option",
            "-y",
            "+x",
            ".x",
            "Hello",
            "hello=1",
            "hello:arm64",
            "hello/sid",
            "web^",
            "./x.deb",
            "hel*o",
            "a b",
            "a\n",
            "héllo",
            "?name(x)",
            "~nx",
        ] {
            assert!(!is_name(name), "{name}");
        }
        for version in ["1", "1:2.10-3", "1.0~rc1+b1", "2.10-3~"] {
            assert!(is_version(version), "{version}");
        }
        for version in ["", "1*", "-1", "1-", "1 2", "1/sid", "~", "1\n"] {
            assert!(!is_version(version), "{version}");
        }
        for architecture in ["", "arm64-", "-y", "Arm", "a:b"] {
            assert!(!is_architecture(architecture), "{architecture}");
        }
    }
}
