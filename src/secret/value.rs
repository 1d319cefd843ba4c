//! A secret value.

use std::sync::Arc;

use secrecy::ExposeSecret;
use secrecy::SecretSlice;
use serde_json::Value;
use zeroize::Zeroize;

/// Longest value, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;

/// A value as its source gave it. Nothing shows or serializes it.
#[derive(Clone)]
pub struct Secret {
    bytes: Arc<SecretSlice<u8>>,
    /// Which version of it this is, where the source counts versions.
    pub version: Option<String>,
}

impl Secret {
    /// Makes one.
    pub fn new(bytes: Vec<u8>, version: Option<String>) -> Self {
        Self {
            bytes: Arc::new(SecretSlice::from(bytes)),
            version,
        }
    }

    /// Shows the value to whoever uses it.
    pub fn expose(&self) -> &[u8] {
        self.bytes.expose_secret()
    }
}

/// Takes one line end from the end of a text: editors and commands add it.
pub(super) fn without_line_end(bytes: &mut Vec<u8>) {
    for end in [b'\n', b'\r'] {
        if bytes.last() != Some(&end) {
            return;
        }
        bytes.pop();
    }
}

/// JSON that holds secrets; its texts are wiped when it goes.
pub struct Wiped(pub Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        let mut open = vec![&mut self.0];
        while let Some(value) = open.pop() {
            match value {
                Value::String(text) => text.zeroize(),
                Value::Array(items) => open.extend(items),
                Value::Object(members) => open.extend(members.values_mut()),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
    }
}
