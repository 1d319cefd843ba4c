//! Task tokens: names of open tasks that nobody can guess.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Hmac;
use hmac::Mac;
use serde::Deserialize;
use serde::Serialize;
use sha2::Sha256;

use crate::model::execution_record::ExecutionId;
use crate::model::id::TaskId;

/// The layout that a token begins with.
const LAYOUT: u8 = 1;
/// Layout, execution, task, and the first half of the code.
const TOKEN_BYTES: usize = 1 + 8 + 8 + 16;

/// The secret from which one execution's tokens are made.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKey {
    /// The execution, so that a token leads to it.
    pub execution: ExecutionId,
    secret: [u8; 32],
}

/// What a token says before its code is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenClaim {
    /// The execution.
    pub execution: ExecutionId,
    /// The task.
    pub task: TaskId,
}

impl TokenKey {
    /// Derives an execution's key from a secret of the server.
    pub fn derive(server_secret: &[u8; 32], execution: ExecutionId) -> Self {
        let code = code(server_secret, &execution.0.to_be_bytes());
        Self {
            execution,
            secret: code,
        }
    }

    /// Makes the key of an execution that nobody outside can answer: its tokens only need to repeat in a replay.
    pub fn from_seed(seed: u64) -> Self {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&seed.to_be_bytes());
        Self::derive(&secret, ExecutionId(0))
    }

    /// Returns the token of a task.
    pub fn token(&self, task: TaskId) -> String {
        let mut bytes = [0; TOKEN_BYTES];
        bytes[0] = LAYOUT;
        bytes[1..9].copy_from_slice(&self.execution.0.to_be_bytes());
        bytes[9..17].copy_from_slice(&task.0.to_be_bytes());
        let code = code(&self.secret, &bytes[..17]);
        bytes[17..].copy_from_slice(&code[..16]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Tells whether a token is this execution's own.
    pub fn verifies(&self, token: &str) -> bool {
        let Some(claim) = TokenClaim::read(token) else {
            return false;
        };
        let (own, given) = (self.token(claim.task), token.as_bytes());
        // Takes the same time wherever they differ.
        own.len() == given.len() && own.bytes().zip(given).fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKey({})", self.execution)
    }
}

impl TokenClaim {
    /// Reads a token without checking its code. Returns `None` for anything that was never a token.
    pub fn read(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        if bytes.len() != TOKEN_BYTES || bytes[0] != LAYOUT {
            return None;
        }
        let number = |range: std::ops::Range<usize>| bytes[range].iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        Some(Self {
            execution: ExecutionId(number(1..9)),
            task: TaskId(number(9..17)),
        })
    }
}

fn code(secret: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key may have any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_and_cannot_be_changed() {
        let key = TokenKey::derive(&[7; 32], ExecutionId(5));
        let token = key.token(TaskId(3));
        let claim = TokenClaim {
            execution: ExecutionId(5),
            task: TaskId(3),
        };
        assert_eq!(TokenClaim::read(&token), Some(claim));
        assert!(key.verifies(&token));
        assert!(!TokenKey::derive(&[8; 32], ExecutionId(5)).verifies(&token));
        let other = TokenKey::derive(&[7; 32], ExecutionId(6)).token(TaskId(3));
        assert!(!key.verifies(&other));
        assert_eq!(TokenClaim::read("Invalid token"), None);
        assert_eq!(TokenClaim::read(""), None);
    }
}
