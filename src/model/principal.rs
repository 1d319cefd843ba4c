//! Who asked for something.

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

/// How a principal made itself known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrincipalKind {
    /// The process itself: what a person runs, or what the service does by itself.
    Process,
    /// The kernel says who is at the other end of a Unix socket.
    UnixSocket,
    /// The kernel says whose the other end of a loopback connection is.
    Loopback,
    /// A request signed with an access key.
    AccessKey,
    /// A bearer token of an OIDC issuer.
    Oidc,
}

/// Somebody who asked for something: what executions, tokens and audit records keep of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// How they are known.
    pub kind: PrincipalKind,
    /// What sentences call them: the Debian user, else the subject of the token, else the number of the user.
    pub name: Arc<str>,
    /// The Debian user's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Who had logged in, when that is somebody else: `root`, logged in as `ops1`. Evidence, no proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    /// The caller's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Arc<str>>,
    /// The access key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<Arc<str>>,
    /// The token's `iss`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Arc<str>>,
    /// The token's `sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Arc<str>>,
    /// The execution, by its ARN, whose task asked in this one's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Arc<str>>,
}

/// The user of a login session, as the kernel's audit keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Its number.
    pub uid: u32,
    /// Its name.
    pub user: Arc<str>,
}

impl Principal {
    /// Makes one of whom only the name is known.
    pub fn new(kind: PrincipalKind, name: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            name: name.into(),
            uid: None,
            login: None,
            pid: None,
            program: None,
            key_id: None,
            issuer: None,
            subject: None,
            via: None,
        }
    }

    /// Returns the same one, asking through the task of an execution.
    pub fn through(&self, execution_arn: &Arc<str>) -> Self {
        Self {
            via: Some(Arc::clone(execution_arn)),
            ..self.clone()
        }
    }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.login {
            Some(login) => write!(f, "{}, logged in as {}", self.name, login.user),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_written() {
        let mut principal = Principal::new(PrincipalKind::UnixSocket, "root");
        principal.uid = Some(0);
        principal.login = Some(Login {
            uid: 1000,
            user: "ops1".into(),
        });
        let text = serde_json::to_string(&principal).unwrap();
        expect_test::expect![[r#"{"kind":"unix-socket","name":"root","uid":0,"login":{"uid":1000,"user":"ops1"}}"#]]
            .assert_eq(&text);
        assert_eq!(serde_json::from_str::<Principal>(&text).unwrap(), principal);
        assert_eq!(principal.to_string(), "root, logged in as ops1");
    }
}
