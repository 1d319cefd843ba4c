//! What somebody may be allowed to do.

use std::fmt;

/// A kind of right. The API's operations and the commands each ask for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// See machines, executions and their histories.
    Read,
    /// Start executions, and go on with failed ones.
    Start,
    /// Stop executions.
    Stop,
    /// Answer the tasks of others: activities and task tokens, so approvals, too.
    Approve,
    /// Make, change and remove machines, activities and their aliases; run single states.
    Deploy,
}

impl Permission {
    /// All.
    pub const ALL: [Self; 5] = [Self::Read, Self::Start, Self::Stop, Self::Approve, Self::Deploy];

    /// Returns its word in `roles.d`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Approve => "approve",
            Self::Deploy => "deploy",
        }
    }

    /// Reads its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.word() == word)
    }
}

/// A named set of permissions. Each has a Debian group of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees.
    Viewer,
    /// Sees, starts, stops and answers.
    Operator,
    /// May do all.
    Admin,
}

impl Role {
    /// All.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Returns its word in `roles.d`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Reads its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// Returns the Debian group whose members have it for all machines.
    pub fn group(self) -> &'static str {
        match self {
            Self::Viewer => "stepfn-viewer",
            Self::Operator => "stepfn-operator",
            Self::Admin => "stepfn-admin",
        }
    }

    /// Tells whether it holds a permission.
    pub fn has(self, permission: Permission) -> bool {
        match self {
            Self::Viewer => permission == Permission::Read,
            Self::Operator => permission != Permission::Deploy,
            Self::Admin => true,
        }
    }
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A state machine and its executions, by its name.
    Machine(String),
    /// An activity, by its name.
    Activity(String),
    /// All there are: only who has the right for all may.
    All,
    /// Nothing that is kept here.
    Nothing,
}

impl Target {
    /// Returns the text that the patterns of `roles.d` are held against; `None` for what is about no single thing.
    pub fn pattern_text(&self) -> Option<String> {
        match self {
            Self::Machine(name) => Some(name.clone()),
            Self::Activity(name) => Some(format!("activity:{name}")),
            Self::All | Self::Nothing => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(name) => write!(f, "the state machine `{name}`"),
            Self::Activity(name) => write!(f, "the activity `{name}`"),
            Self::All => f.write_str("all state machines"),
            Self::Nothing => f.write_str("this server"),
        }
    }
}

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The operation's name, as the API has it.
    pub operation: &'a str,
    /// What it needs.
    pub permission: Permission,
    /// What it is about.
    pub target: Target,
    /// The role that a definition would run with.
    pub passed_role: Option<String>,
}
