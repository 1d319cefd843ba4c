//! Names of resources, parsed once at the door.

use std::sync::Arc;

/// A parsed ARN of Step Functions: `arn:P:states:R:A:<kind>:<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arn {
    /// The text as given.
    pub text: Arc<str>,
    /// Everything before the kind, without the final colon: `arn:aws:states:us-east-1:123456789012`.
    pub prefix: Arc<str>,
    /// What it names.
    pub resource: Resource,
}

/// What an ARN of Step Functions names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `activity:NAME`.
    Activity {
        /// Its name.
        name: Arc<str>,
    },
    /// `execution:MACHINE:NAME`, for a child of a Map Run `execution:MACHINE/LABEL:NAME`.
    Execution {
        /// The machine's name, with `/LABEL` for a child.
        machine: Arc<str>,
        /// The execution's name.
        name: Arc<str>,
    },
    /// `express:MACHINE:NAME:UUID`.
    Express {
        /// The machine's name, with `/LABEL` for a child.
        machine: Arc<str>,
        /// The execution's name.
        name: Arc<str>,
        /// What tells executions of one name apart.
        uuid: Arc<str>,
    },
    /// `mapRun:MACHINE/LABEL:UUID`.
    MapRun {
        /// `MACHINE/LABEL`.
        machine: Arc<str>,
        /// Its own name.
        uuid: Arc<str>,
    },
    /// `stateMachine:NAME`, `stateMachine:NAME/LABEL`.
    StateMachine {
        /// The machine's name, with `/LABEL` inside a Distributed Map.
        name: Arc<str>,
    },
    /// `stateMachine:NAME:QUALIFIER`: a version when the qualifier is a number, else an alias.
    Qualified {
        /// The machine's name.
        name: Arc<str>,
        /// Version number or alias name.
        qualifier: Arc<str>,
    },
}

/// Why a text names nothing here: the inner text of AWS's `Invalid Arn: '…'`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    /// It does not begin with `arn:`.
    #[error("Invalid ARN prefix: {0}")]
    Prefix(String),
    /// It has another shape.
    #[error("Invalid ARN: {0}")]
    Shape(String),
    /// It names a thing of another kind than the operation takes.
    #[error("Resource type not valid in this context: {0}")]
    Kind(String),
}

impl Arn {
    /// Reads an ARN.
    ///
    /// # Errors
    /// The text is no ARN of Step Functions.
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        if !text.starts_with("arn:") {
            return Err(ArnError::Prefix(text.to_owned()));
        }
        let shape = || ArnError::Shape(text.to_owned());
        let mut parts = text.splitn(7, ':');
        let [_, partition, service, region, account, kind, rest] = [(); 7].map(|()| parts.next().unwrap_or(""));
        if partition.is_empty() || service != "states" || rest.is_empty() {
            return Err(shape());
        }
        let names: Vec<&str> = rest.split(':').collect();
        if names.iter().any(|name| name.is_empty()) {
            return Err(shape());
        }
        let resource = match (kind, names.as_slice()) {
            ("activity", [name]) => Resource::Activity { name: (*name).into() },
            ("execution", [machine, name]) => Resource::Execution {
                machine: (*machine).into(),
                name: (*name).into(),
            },
            ("express", [machine, name, uuid]) => Resource::Express {
                machine: (*machine).into(),
                name: (*name).into(),
                uuid: (*uuid).into(),
            },
            ("mapRun", [machine, uuid]) => Resource::MapRun {
                machine: (*machine).into(),
                uuid: (*uuid).into(),
            },
            ("stateMachine", [name]) => Resource::StateMachine { name: (*name).into() },
            ("stateMachine", [name, qualifier]) => Resource::Qualified {
                name: (*name).into(),
                qualifier: (*qualifier).into(),
            },
            ("activity" | "execution" | "express" | "mapRun" | "stateMachine", _) => return Err(shape()),
            (kind, _) => return Err(ArnError::Kind(kind.to_owned())),
        };
        Ok(Self {
            prefix: format!("arn:{partition}:{service}:{region}:{account}").into(),
            text: text.into(),
            resource,
        })
    }

    /// Returns the word that AWS uses for the kind.
    pub fn kind(&self) -> &'static str {
        match self.resource {
            Resource::Activity { .. } => "activity",
            Resource::Execution { .. } => "execution",
            Resource::Express { .. } => "express",
            Resource::MapRun { .. } => "mapRun",
            Resource::StateMachine { .. } | Resource::Qualified { .. } => "stateMachine",
        }
    }

    /// Returns the error of an operation that does not take this kind.
    pub fn unfit(&self) -> ArnError {
        ArnError::Kind(self.kind().to_owned())
    }

    /// Returns the machine's ARN without a qualifier, for whatever belongs to a machine.
    pub fn machine_arn(&self) -> Option<String> {
        match &self.resource {
            Resource::StateMachine { name } | Resource::Qualified { name, .. } => {
                Some(format!("{}:stateMachine:{name}", self.prefix))
            }
            Resource::Execution { machine, .. }
            | Resource::Express { machine, .. }
            | Resource::MapRun { machine, .. } => Some(format!("{}:stateMachine:{machine}", self.prefix)),
            Resource::Activity { .. } => None,
        }
    }
}

/// Tells whether AWS takes the name of a state machine, an execution or an activity.
///
/// Source: `spec` of the API, "Names": 1 to 80 characters without white space, brackets, wildcards, special and
/// control characters.
pub fn is_name(name: &str) -> bool {
    let forbidden = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c)
            || ('\u{fffe}'..='\u{ffff}').contains(&c)
    };
    (1..=80).contains(&name.chars().count()) && !name.contains(forbidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_told_apart_by_kind_and_parts() {
        for (text, kind) in [
            ("arn:aws:states:us-east-1:111111111111:stateMachine:M", "stateMachine"),
            ("arn:aws:states:us-east-1:111111111111:stateMachine:M:1", "stateMachine"),
            ("arn:aws:states:us-east-1:111111111111:execution:M:e", "execution"),
            ("arn:aws:states:us-east-1:111111111111:execution:M/L:e", "execution"),
            ("arn:aws:states:us-east-1:111111111111:express:M:e:u", "express"),
            ("arn:aws:states:us-east-1:111111111111:mapRun:M/L:u", "mapRun"),
            ("arn:aws:states:us-east-1:111111111111:activity:A", "activity"),
        ] {
            assert_eq!(Arn::parse(text).map(|arn| arn.kind()), Ok(kind), "{text}");
        }
        for bad in [
            "arn:aws:states:us-east-1:1:execution:M",
            "arn:aws:s3:::b",
            "arn:",
            "arn:aws:states:r:a:stateMachine:",
        ] {
            assert!(matches!(Arn::parse(bad), Err(ArnError::Shape(_))), "{bad}");
        }
        assert_eq!(Arn::parse("x"), Err(ArnError::Prefix("x".to_owned())));
    }

    #[test]
    fn a_name_has_no_white_space_and_no_special_characters() {
        for (name, good) in [
            ("a-1_B", true),
            ("é", true),
            ("", false),
            ("a b", false),
            ("a/b", false),
            ("a:b", false),
        ] {
            assert_eq!(is_name(name), good, "{name}");
        }
        assert!(!is_name(&"x".repeat(81)));
    }
}
