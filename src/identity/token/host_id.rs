//! What tells this machine from others without telling its `/etc/machine-id`, which is to stay confidential.

use std::fmt::Write;
use std::path::Path;

use ring::hmac;

/// Of stepfn: another program makes another id of the same machine.
const APPLICATION: [u8; 16] = *b"stepfn-issuer-v1";

/// Returns the machine's id for stepfn: 32 hexadecimal digits; `None` where there is no `/etc/machine-id`.
///
/// Source: machine-id(5), "Relation to D-Bus", application-specific ids: HMAC-SHA256 keyed by the machine's id.
pub fn of_machine() -> Option<String> {
    of_file(Path::new("/etc/machine-id"))
}

fn of_file(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let text = text.trim();
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, text.to_ascii_lowercase().as_bytes());
    Some(hexadecimal(&hmac::sign(&key, &APPLICATION).as_ref()[..16]))
}

/// Returns bytes as lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_id_is_not_told() {
        let place = std::env::temp_dir().join(format!("stepfn-machine-id-{}", std::process::id()));
        let raw = "0123456789abcdef0123456789abcdef";
        std::fs::write(&place, format!("{raw}\n")).unwrap();
        let id = of_file(&place).unwrap();
        assert_eq!(id.len(), 32);
        assert_ne!(id, raw);
        std::fs::write(&place, "uninitialized\n").unwrap();
        assert_eq!(of_file(&place), None);
        std::fs::remove_file(&place).unwrap();
        assert_eq!(of_file(&place), None);
    }
}
