//! Names of results that stay the same wherever their lines go.

use sha2::Digest;
use sha2::Sha256;

/// Returns the same for the same parts, in the same order.
pub(crate) fn fingerprint(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\0"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
