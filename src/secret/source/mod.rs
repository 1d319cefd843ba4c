//! The kinds of sources, one per file, and which source has which secret.
//!
//! May import: `model`, `secret`. Invariants: an error says what is wrong and never what was read; a source reads at
//! most `BYTES_MAX` and waits for a bounded time; nothing is kept between two reads.
//! To add a kind: copy `exec.rs`, and list it in `KINDS`.

pub mod credentials;
pub mod exec;
pub mod file;
pub mod table;
pub mod vault;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::secret::reference::Reference;
use crate::secret::value::Secret;

/// Where secrets come from.
#[async_trait]
pub trait Source: Send + Sync {
    /// Reads a secret as it is now.
    ///
    /// # Errors
    /// It cannot be had; the fragment of a sentence says why, to follow "cannot be read: ".
    async fn get(&self, reference: &Reference) -> Result<Secret, String>;

    /// Says where the secret is, to follow "from ".
    fn place(&self, reference: &Reference) -> String;
}

/// Makes a source of its keys in the configuration; the path is where relative ones begin.
pub type ReadSource = fn(toml::Table, &Path) -> Result<Arc<dyn Source>, String>;

/// A kind of source.
pub struct Kind {
    /// What the configuration calls it.
    pub name: &'static str,
    /// Reads the keys of its own in a `[[secrets.source]]`; the path is where relative ones begin.
    pub read: ReadSource,
}

/// All kinds, sorted by name.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "credentials",
        read: credentials::read,
    },
    Kind {
        name: "exec",
        read: exec::read,
    },
    Kind {
        name: "file",
        read: file::read,
    },
    Kind {
        name: "vault",
        read: vault::read,
    },
];

/// Refuses a field where the source keeps only whole secrets.
fn without_field(reference: &Reference) -> Result<&str, String> {
    match reference.field() {
        None => Ok(reference.name()),
        Some(field) => Err(format!("a secret of this source has no fields such as `#{field}`")),
    }
}

fn own_keys<T: serde::de::DeserializeOwned>(keys: toml::Table) -> Result<T, String> {
    keys.try_into()
        .map_err(|error: toml::de::Error| error.message().to_owned())
}
