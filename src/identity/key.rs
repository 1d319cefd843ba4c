//! One access key, and how its secret is kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead;
use secrecy::ExposeSecret;
use secrecy::SecretBox;
use secrecy::SecretString;
use serde::Deserialize;
use serde::Serialize;
use zeroize::Zeroize;
use zeroize::Zeroizing;

use crate::model::timestamp::Timestamp;

/// The file's format.
const VERSION: u32 = 1;
/// How ids begin: as AWS's long-lived ones, so that programs that check the shape take them.
const PREFIX: &str = "AKIA";
const ID_CHARACTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ID_LENGTH: usize = 20;
/// Makes 40 characters, as many as AWS's secrets have.
const SECRET_BYTES: usize = 30;

/// The machine's key: 32 bytes under which the secrets of access keys are encrypted.
pub(super) type MachineKey = SecretBox<[u8; 32]>;

/// What everybody who looks after keys may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Twenty characters.
    pub id: String,
    /// The Debian user whom it speaks for.
    pub user: String,
    /// The user's number when the key was made: a name that is given to somebody else gets no key with it.
    pub uid: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// When it was revoked. The secret was destroyed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

/// A key's file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    version: u32,
    pub(super) key: Facts,
    /// The nonce and the encrypted secret, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
}

/// Why a key's file says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("is damaged: it is not a key's file of format {VERSION}")]
    Format,
    #[error("is damaged: it holds another key than its name says")]
    Id,
    #[error("is damaged: the machine's key does not open its secret, so it was changed or comes from elsewhere")]
    Sealed,
}

/// Chance could not be had.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub(super) struct NoChance;

/// Tells whether a text has the shape of an id: what follows `Credential=`.
pub(super) fn is_id(text: &str) -> bool {
    let rest = text.strip_prefix(PREFIX);
    text.len() == ID_LENGTH && rest.is_some_and(|rest| rest.bytes().all(|byte| ID_CHARACTERS.contains(&byte)))
}

/// Makes an id that nobody has.
pub(super) fn new_id() -> Result<String, NoChance> {
    let random = random::<{ ID_LENGTH - PREFIX.len() }>()?;
    let characters = random
        .iter()
        .map(|byte| char::from(ID_CHARACTERS[usize::from(byte % 32)]));
    Ok(PREFIX.chars().chain(characters).collect())
}

/// Makes a secret.
pub(super) fn new_secret() -> Result<SecretString, NoChance> {
    let mut random = random::<SECRET_BYTES>()?;
    let secret = SecretString::from(STANDARD.encode(random));
    random.zeroize();
    Ok(secret)
}

/// Makes a machine's key.
pub(super) fn new_machine_key() -> Result<MachineKey, NoChance> {
    let mut random = random::<32>()?;
    let key = SecretBox::new(Box::new(random));
    random.zeroize();
    Ok(key)
}

fn random<const N: usize>() -> Result<[u8; N], NoChance> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoChance)?;
    Ok(bytes)
}

impl Record {
    /// Makes the file of a key.
    pub(super) fn seal(key: Facts, secret: &SecretString, machine: &MachineKey) -> Result<Self, NoChance> {
        let nonce = random::<{ aead::NONCE_LEN }>()?;
        let mut text = Zeroizing::new(secret.expose_secret().as_bytes().to_vec());
        let tag = cipher(machine)
            .seal_in_place_separate_tag(aead::Nonce::assume_unique_for_key(nonce), bound(&key), &mut text)
            .map_err(|_| NoChance)?;
        let sealed = [&nonce, text.as_slice(), tag.as_ref()].concat();
        Ok(Self {
            version: VERSION,
            key,
            sealed: Some(STANDARD.encode(sealed)),
        })
    }

    /// Reads the file of the key that is called `id`.
    pub(super) fn read(bytes: &[u8], id: &str) -> Result<Self, Damage> {
        let record: Self = serde_json::from_slice(bytes).map_err(|_| Damage::Format)?;
        if record.version != VERSION || record.sealed.is_none() != record.key.revoked.is_some() {
            return Err(Damage::Format);
        }
        if record.key.id != id {
            return Err(Damage::Id);
        }
        Ok(record)
    }

    /// Returns the file's bytes.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("texts and numbers are JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Returns the secret; `None` if the key was revoked.
    pub(super) fn open(&self, machine: &MachineKey) -> Result<Option<SecretString>, Damage> {
        let Some(sealed) = &self.sealed else {
            return Ok(None);
        };
        let mut sealed = STANDARD.decode(sealed).map_err(|_| Damage::Sealed)?;
        let (nonce, text) = sealed.split_at_mut_checked(aead::NONCE_LEN).ok_or(Damage::Sealed)?;
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| Damage::Sealed)?;
        let opened = cipher(machine).open_in_place(nonce, bound(&self.key), text);
        let secret = opened
            .ok()
            .and_then(|text| std::str::from_utf8(text).ok())
            .map(SecretString::from);
        sealed.zeroize();
        secret.map(Some).ok_or(Damage::Sealed)
    }

    /// Ends the key: what is left of it says that it was.
    pub(super) fn revoke(&mut self, at: Timestamp) {
        self.key.revoked = Some(at);
        self.sealed = None;
    }
}

fn cipher(machine: &MachineKey) -> aead::LessSafeKey {
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, machine.expose_secret());
    aead::LessSafeKey::new(key.expect("the key has 32 bytes"))
}

/// Returns what belongs to a secret: moved to another key, or given more time, it cannot be opened.
fn bound(key: &Facts) -> aead::Aad<Vec<u8>> {
    let Facts {
        id,
        user,
        uid,
        created,
        expires,
        ..
    } = key;
    // No name holds a line break.
    aead::Aad::from(
        format!(
            "stepfn key {VERSION}\n{id}\n{user}\n{uid}\n{}\n{}",
            created.0, expires.0
        )
        .into_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            id: new_id().unwrap(),
            user: "ops1".to_owned(),
            uid: 1000,
            created: Timestamp(1),
            expires: Timestamp(2),
            revoked: None,
        }
    }

    #[test]
    fn a_secret_is_opened_by_its_own_machine_for_its_own_key() {
        let (machine, other) = (new_machine_key().unwrap(), new_machine_key().unwrap());
        let secret = new_secret().unwrap();
        assert_eq!(secret.expose_secret().len(), 40);
        let key = facts();
        assert!(is_id(&key.id), "{}", key.id);
        let record = Record::seal(key.clone(), &secret, &machine).unwrap();
        let bytes = record.write();
        assert!(!String::from_utf8_lossy(&bytes).contains(secret.expose_secret()));
        let read = Record::read(&bytes, &key.id).unwrap();
        assert_eq!(
            read.open(&machine).unwrap().unwrap().expose_secret(),
            secret.expose_secret()
        );
        assert_eq!(read.open(&other).err(), Some(Damage::Sealed));
        let changes: [fn(&mut Facts); 5] = [
            |key| key.id = new_id().unwrap(),
            |key| key.user = "root".to_owned(),
            |key| key.uid = 0,
            |key| key.created = Timestamp(0),
            |key| key.expires = Timestamp(9),
        ];
        for change in changes {
            let mut record = Record::read(&bytes, &key.id).unwrap();
            change(&mut record.key);
            assert_eq!(record.open(&machine).err(), Some(Damage::Sealed), "{:?}", record.key);
        }
        let mut record = Record::read(&bytes, &key.id).unwrap();
        record.revoke(Timestamp(5));
        let bytes = record.write();
        assert!(!String::from_utf8_lossy(&bytes).contains("sealed"));
        assert!(Record::read(&bytes, &key.id).unwrap().open(&machine).unwrap().is_none());
    }

    #[test]
    fn every_damaged_byte_is_found() {
        let machine = new_machine_key().unwrap();
        let key = facts();
        let bytes = Record::seal(key.clone(), &new_secret().unwrap(), &machine)
            .unwrap()
            .write();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let opened = Record::read(&damaged, &key.id).and_then(|record| record.open(&machine));
            // White space between the members means nothing.
            let is_blank = bytes[at].is_ascii_whitespace() || damaged[at].is_ascii_whitespace();
            assert!(opened.is_err() || is_blank, "byte {at}");
        }
        for text in ["", "{}", "[]", "{\"version\":2}"] {
            assert_eq!(
                Record::read(text.as_bytes(), &key.id).err(),
                Some(Damage::Format),
                "{text}"
            );
        }
        assert_eq!(Record::read(&bytes, "AKIA").err(), Some(Damage::Id));
    }
}
