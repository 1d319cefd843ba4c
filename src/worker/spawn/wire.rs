//! What the engine and `spawnd` say to each other: a length in four bytes, little-endian, then JSON.
//!
//! The three descriptors of a task's stdin, stdout and stderr travel with the first byte of its `Spawn`, and a fourth
//! one if it gets credentials: sealed memory, since no message may hold them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::worker::spawn::rung::Offer;
use crate::worker::spawn::rung::Rung;

/// Longest message. The system itself takes about 2 MiB of arguments and variables.
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// What the engine asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Request {
    /// Start a task's first process.
    Spawn(Spawn),
    /// Say as whom a task would run.
    Who {
        /// The question.
        id: u64,
        /// For whom.
        claim: Claim,
    },
    /// End a task: SIGTERM, this long a grace, SIGKILL.
    End {
        /// The task.
        id: u64,
        /// The grace in milliseconds.
        grace_millis: u64,
    },
    /// Send SIGINT to a task's first process.
    Interrupt {
        /// The task.
        id: u64,
    },
    /// End all tasks, each in its way, then yourself.
    EndAll {
        /// The grace in milliseconds.
        grace_millis: u64,
    },
}

/// A process to start.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spawn {
    /// The task; fresh for each.
    pub id: u64,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its variables are these alone; otherwise they are added to the clean environment.
    pub is_bare: bool,
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub cwd: Option<String>,
    /// For whom.
    pub claim: Claim,
    /// What becomes of it when nobody waits for it any more.
    pub at_loss: AtLoss,
    /// A fourth descriptor holds its credentials.
    pub has_credentials: bool,
}

/// What becomes of a process when the engine ends, or dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AtLoss {
    /// It is ended.
    #[default]
    End,
    /// It gets SIGINT, and time until it ends by itself: cut short it would leave the machine half changed.
    Interrupt,
    /// It gets time until it ends by itself.
    Wait,
}

/// For which state a process is started: what the identity table goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The role of the state machine.
    pub role_arn: String,
    /// `Credentials.RoleArn` of the state: the role that it takes instead.
    pub assumed_role_arn: Option<String>,
    /// The state machine's name.
    pub state_machine: String,
    /// The state's name.
    pub state: String,
}

/// What `spawnd` tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Reply {
    /// It is ready. Requests may come before.
    Ready(Ready),
    /// The process runs its program.
    Started {
        /// The task.
        id: u64,
        /// How it runs.
        ran: Ran,
    },
    /// There is no such process, and nothing of it is left.
    Failed {
        /// The task.
        id: u64,
        /// Why.
        failure: Failure,
    },
    /// The process has ended, and nothing that it started is left.
    Over {
        /// The task.
        id: u64,
        /// Its status, as the kernel encodes it.
        status: i32,
    },
    /// As whom a task would run.
    Who {
        /// The question.
        id: u64,
        /// The account, or why there is none.
        whom: Result<Whom, Failure>,
    },
    /// `spawnd` cannot do its work and ends.
    Broken {
        /// Why: a sentence.
        message: String,
    },
}

/// What `spawnd` found at its start.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// How it holds tasks.
    pub rung: Rung,
    /// All rungs, and what each lacks.
    pub offers: Vec<Offer>,
    /// Its user.
    pub user: String,
    /// It can become another user.
    pub is_root: bool,
    /// What it removed that an earlier one had left.
    pub n_leftovers: usize,
    /// The rows of the identity table, or what is wrong with it; `None` without a table.
    pub identities: Option<Result<Vec<String>, String>>,
    /// How credentials are kept: a sentence.
    pub credentials: String,
}

/// As whom a task would run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whom {
    /// The account.
    pub user: String,
    /// It is the engine's own, too.
    pub is_own: bool,
}

/// How a process ran, for logs and audits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    /// Its process id.
    pub pid: i32,
    /// How it was held.
    pub rung: Rung,
    /// The Debian account.
    pub user: String,
    /// Its number.
    #[serde(default)]
    pub uid: Option<u32>,
    /// The numbers of its groups.
    #[serde(default)]
    pub groups: Vec<u32>,
}

/// Why a process did not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Which kind.
    pub kind: FailureKind,
    /// A fragment of a sentence, to follow "`x` cannot be started:".
    pub message: String,
}

/// The kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The arguments and variables are longer than the system takes.
    ArgumentsTooLong,
    /// It may not run as anybody, or not as whom it should.
    IdentityUnavailable,
    /// The directory is missing or closed.
    NoDirectory,
    /// There is no such program.
    NotFound,
    /// It is there, but cannot be executed.
    NotExecutable,
    /// Something else.
    Other,
    /// The machine has no place for another process or file.
    Resources,
}

impl Failure {
    /// Makes one.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// Returns a message as it travels.
///
/// # Errors
/// It is too long.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, TooLong> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message).map_err(|_| TooLong)?;
    let length = frame.len() - 4;
    let prefix = u32::try_from(length).ok().filter(|_| length <= MESSAGE_BYTES_MAX);
    frame[..4].copy_from_slice(&prefix.ok_or(TooLong)?.to_le_bytes());
    Ok(frame)
}

/// Takes the first message off the bytes that came in; `None` until it is complete.
///
/// # Errors
/// It is too long or not a message: nothing after it can be trusted.
pub fn decode<T: DeserializeOwned>(bytes: &mut Vec<u8>) -> Result<Option<T>, NotAMessage> {
    let Some(prefix) = bytes.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
    if length > MESSAGE_BYTES_MAX {
        return Err(NotAMessage);
    }
    let Some(body) = bytes.get(4..4 + length) else {
        return Ok(None);
    };
    let message = serde_json::from_slice(body).map_err(|_| NotAMessage)?;
    bytes.drain(..4 + length);
    Ok(Some(message))
}

/// A message is longer than `MESSAGE_BYTES_MAX`.
#[derive(Debug, thiserror::Error)]
#[error("the arguments and variables are longer than the system takes")]
pub struct TooLong;

/// Something else came than a message.
#[derive(Debug, thiserror::Error)]
#[error("what came over the socket is not a message")]
pub struct NotAMessage;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let mut sent = Vec::new();
        for id in 0..3 {
            sent.extend(encode(&Request::End { id, grace_millis: 7 }).unwrap());
        }
        let (mut bytes, mut ids) = (Vec::new(), Vec::new());
        for byte in sent {
            bytes.push(byte);
            while let Some(Request::End { id, .. }) = decode(&mut bytes).unwrap() {
                ids.push(id);
            }
        }
        assert_eq!((ids, bytes.len()), (vec![0, 1, 2], 0));
    }

    #[test]
    fn what_is_no_message_is_refused_before_it_is_read() {
        let mut long = u32::MAX.to_le_bytes().to_vec();
        assert!(decode::<Request>(&mut long).is_err());
        for text in [
            "{}",
            "{\"Run\":{}}",
            "{\"End\":{\"id\":1,\"grace_millis\":1,\"x\":1}}",
            "[",
        ] {
            let mut bytes = u32::try_from(text.len()).unwrap().to_le_bytes().to_vec();
            bytes.extend(text.as_bytes());
            assert!(decode::<Request>(&mut bytes).is_err(), "{text}");
        }
        assert!(encode(&"x".repeat(MESSAGE_BYTES_MAX)).is_err());
    }
}
