//! Access keys: pairs of an id and a secret that stand for a Debian user.
//!
//! Each key is one file of a directory that only its owner reads, its secret encrypted under the machine's key beside
//! it. Nothing is kept that a file does not say: a key that was revoked is refused from the next request on.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

use nix::unistd::Uid;
use nix::unistd::User;
use secrecy::ExposeSecret;
use secrecy::SecretBox;
use secrecy::SecretString;
use zeroize::Zeroize;

use crate::identity::key;
use crate::identity::key::Facts;
use crate::identity::key::MachineKey;
use crate::identity::key::Record;
use crate::identity::sigv4::Signatures;
use crate::identity::strict::Directory;
use crate::identity::strict::Loose;
use crate::identity::strict::Print;
use crate::model::timestamp::Timestamp;

/// How many keys a directory holds at most.
const KEYS_MAX: usize = 10_000;
const FILE_BYTES_MAX: usize = 4096;
const SUFFIX: &str = ".json";
/// Beside each key's file: its time is when the key was used last.
const USED_SUFFIX: &str = ".used";
const MACHINE_KEY: &str = "machine.key";
/// How exact the time is at which a key was used last.
const USED_EVERY_MILLIS: i64 = 60_000;
/// How long a user is taken to be there who was.
const USER_MILLIS: i64 = 1_000;

/// The access keys of a directory.
pub struct Keys {
    directory: PathBuf,
    loaded: Mutex<BTreeMap<String, Loaded>>,
    pub(super) signatures: Signatures,
}

struct Loaded {
    print: Print,
    key: Facts,
    secret: Option<SecretString>,
    used: Option<Timestamp>,
    user_seen: Option<Timestamp>,
}

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The directory or a file is not as it must be.
    #[error("{0}")]
    Loose(#[from] Loose),
    /// A key's file says nothing.
    #[error("`{path}` {what}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Such as `is damaged`.
        what: String,
    },
    /// No such key.
    #[error("there is no key `{0}`")]
    Unknown(String),
    /// No such user.
    #[error("there is no user `{0}` on this machine")]
    NoUser(String),
    /// The users cannot be looked up.
    #[error("the user `{user}` cannot be looked up: {why}")]
    Users {
        /// Whom.
        user: String,
        /// What the system says.
        why: String,
    },
    /// As many keys as there may be.
    #[error("there are {KEYS_MAX} keys already")]
    Full,
    /// No random numbers.
    #[error("the system gives no random numbers")]
    NoChance,
}

/// A key with what only its owner may know; its secret is told once.
pub struct New {
    /// The key.
    pub key: Facts,
    /// Its secret.
    pub secret: SecretString,
}

/// A key among the others.
#[derive(Debug)]
pub struct Listed {
    /// The key's id.
    pub id: String,
    /// What its file says.
    pub key: Result<Facts, KeyError>,
    /// When it was used last, to the minute.
    pub used: Option<Timestamp>,
}

/// A key that may sign.
pub(super) struct Found {
    pub(super) key: Facts,
    /// Which state of the key's file this is.
    pub(super) print: Print,
    pub(super) secret: SecretString,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Keys").field(&self.directory).finish()
    }
}

impl Keys {
    /// Names the directory; it need not be there.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            loaded: Mutex::default(),
            signatures: Signatures::default(),
        }
    }

    /// Returns the directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes a key for a Debian user.
    ///
    /// # Errors
    /// There is no such user, or this process may not write the directory.
    pub fn create(&self, user: &str, now: Timestamp, expires: Timestamp) -> Result<New, KeyError> {
        let account = User::from_name(user).map_err(|error| KeyError::Users {
            user: user.to_owned(),
            why: error.to_string(),
        })?;
        let account = account.ok_or_else(|| KeyError::NoUser(user.to_owned()))?;
        let directory = Directory::make(&self.directory)?;
        let lock = directory.lock()?;
        let n_keys = directory.names(SUFFIX, KEYS_MAX)?.len();
        if KEYS_MAX <= n_keys {
            return Err(KeyError::Full);
        }
        let machine = match self.machine_key(&directory)? {
            Some(machine) => machine,
            None if n_keys == 0 => {
                let machine = key::new_machine_key().map_err(|_| KeyError::NoChance)?;
                directory.write(&lock, MACHINE_KEY, machine.expose_secret())?;
                machine
            }
            None => return Err(self.lost()),
        };
        let key = Facts {
            id: key::new_id().map_err(|_| KeyError::NoChance)?,
            user: account.name,
            uid: account.uid.as_raw(),
            created: now,
            expires,
            revoked: None,
        };
        let secret = key::new_secret().map_err(|_| KeyError::NoChance)?;
        let record = Record::seal(key.clone(), &secret, &machine).map_err(|_| KeyError::NoChance)?;
        directory.write(&lock, &file(&key.id), &record.write())?;
        Ok(New { key, secret })
    }

    /// Revokes a key, and returns what it was; one that was revoked before stays as it is.
    ///
    /// # Errors
    /// There is no such key, or this process may not write the directory.
    pub fn revoke(&self, id: &str, now: Timestamp) -> Result<Facts, KeyError> {
        let unknown = || KeyError::Unknown(id.to_owned());
        let directory = Directory::open(&self.directory)?.ok_or_else(unknown)?;
        let lock = directory.lock()?;
        let (_, mut record) = self.record(&directory, id)?.ok_or_else(unknown)?;
        if record.key.revoked.is_none() {
            record.revoke(now);
            directory.write(&lock, &file(id), &record.write())?;
        }
        Ok(record.key)
    }

    /// Lists the keys by id.
    ///
    /// # Errors
    /// The directory cannot be read. A damaged file is an error in its own place only.
    pub fn list(&self) -> Result<Vec<Listed>, KeyError> {
        let Some(directory) = Directory::open(&self.directory)? else {
            return Ok(Vec::new());
        };
        let machine = self.machine_key(&directory);
        let names = directory.names(SUFFIX, KEYS_MAX)?;
        let listed = names.iter().map(|name| {
            let id = name.strip_suffix(SUFFIX).unwrap_or(name);
            let key = self.record(&directory, id).and_then(|record| {
                let (_, record) = record.ok_or_else(|| KeyError::Unknown(id.to_owned()))?;
                // A key that cannot be opened is none, and its facts may be anybody's.
                if record.key.revoked.is_none() {
                    let machine = machine.as_ref().map_err(|error| self.damaged(MACHINE_KEY, error))?;
                    let machine = machine.as_ref().ok_or_else(|| self.lost())?;
                    record.open(machine).map_err(|damage| self.damaged(name, damage))?;
                }
                Ok(record.key)
            });
            Listed {
                id: id.to_owned(),
                key,
                used: directory.touched(&format!("{id}{USED_SUFFIX}")).map(Timestamp),
            }
        });
        Ok(listed.collect())
    }

    /// Finds a key that was not revoked.
    pub(super) fn find(&self, id: &str) -> Result<Option<Found>, KeyError> {
        if !key::is_id(id) {
            return Ok(None);
        }
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = Directory::open(&self.directory)?;
        let print = directory.as_ref().map(|directory| directory.print(&file(id)));
        let (Some(directory), Some(print)) = (directory, print.transpose()?.flatten()) else {
            loaded.remove(id);
            return Ok(None);
        };
        if loaded.get(id).is_none_or(|loaded| loaded.print != print) {
            loaded.remove(id);
            let Some((print, record)) = self.record(&directory, id)? else {
                return Ok(None);
            };
            let machine = self.machine_key(&directory)?.ok_or_else(|| self.lost())?;
            let secret = record
                .open(&machine)
                .map_err(|damage| self.damaged(&file(id), damage))?;
            let key = record.key;
            let entry = Loaded {
                print,
                key,
                secret,
                used: None,
                user_seen: None,
            };
            loaded.insert(id.to_owned(), entry);
        }
        let found = loaded.get(id).and_then(|loaded| {
            Some(Found {
                key: loaded.key.clone(),
                print: loaded.print,
                secret: loaded.secret.clone()?,
            })
        });
        Ok(found)
    }

    /// Tells whether a key's user is still the one whom it was made for.
    ///
    /// # Errors
    /// Nobody can say.
    pub(super) fn has_user(&self, key: &Facts, now: Timestamp) -> Result<bool, KeyError> {
        let seen = |loaded: &BTreeMap<String, Loaded>| loaded.get(&key.id).and_then(|loaded| loaded.user_seen);
        let seen = seen(&self.loaded.lock().unwrap_or_else(PoisonError::into_inner));
        if seen.is_some_and(|seen| (0..USER_MILLIS).contains(&now.0.saturating_sub(seen.0))) {
            return Ok(true);
        }
        let user = User::from_uid(Uid::from_raw(key.uid)).map_err(|error| KeyError::Users {
            user: key.user.clone(),
            why: error.to_string(),
        })?;
        let is_there = user.is_some_and(|user| user.name == key.user);
        if let Some(loaded) = self
            .loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(&key.id)
        {
            loaded.user_seen = is_there.then_some(now);
        }
        Ok(is_there)
    }

    /// Notes that a key was used.
    pub(super) fn used(&self, id: &str, now: Timestamp) {
        {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(loaded) = loaded.get_mut(id) else { return };
            let is_recent = |used: Timestamp| now.0.abs_diff(used.0) < USED_EVERY_MILLIS.unsigned_abs();
            if loaded.used.is_some_and(is_recent) {
                return;
            }
            loaded.used = Some(now);
        }
        let touched = Directory::open(&self.directory).and_then(|directory| match directory {
            Some(directory) => directory.touch(&format!("{id}{USED_SUFFIX}")),
            None => Ok(()),
        });
        if let Err(error) = touched {
            tracing::warn!(%error, key = id, "When an access key was used last cannot be noted.");
        }
    }

    fn record(&self, directory: &Directory, id: &str) -> Result<Option<(Print, Record)>, KeyError> {
        if !key::is_id(id) {
            return Ok(None);
        }
        let name = file(id);
        let Some((print, mut bytes)) = directory.read(&name, FILE_BYTES_MAX)? else {
            return Ok(None);
        };
        let record = Record::read(&bytes, id).map_err(|damage| self.damaged(&name, damage));
        bytes.zeroize();
        Ok(Some((print, record?)))
    }

    fn machine_key(&self, directory: &Directory) -> Result<Option<MachineKey>, KeyError> {
        let Some((_, mut bytes)) = directory.read(MACHINE_KEY, 32)? else {
            return Ok(None);
        };
        let key = <[u8; 32]>::try_from(bytes.as_slice()).map(|key| SecretBox::new(Box::new(key)));
        bytes.zeroize();
        let key = key.map_err(|_| self.damaged(MACHINE_KEY, "is damaged: it has not 32 bytes"))?;
        Ok(Some(key))
    }

    fn lost(&self) -> KeyError {
        let what = "is lost, and with it the secrets of all keys here: remove their files, and make new ones";
        self.damaged(MACHINE_KEY, what)
    }

    fn damaged(&self, name: &str, what: impl ToString) -> KeyError {
        KeyError::Damaged {
            path: self.directory.join(name),
            what: what.to_string(),
        }
    }
}

fn file(id: &str) -> String {
    format!("{id}{SUFFIX}")
}

#[cfg(test)]
pub(super) mod tests;
