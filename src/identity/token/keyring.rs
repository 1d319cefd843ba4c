//! The keys of stepfn's own tokens: a file that only their owner can read.

use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::KeyOperations;
use jsonwebtoken::jwk::PublicKeyUse;
use jsonwebtoken::jwk::ThumbprintHash;
use ring::rand::SecureRandom;
use ring::rand::SystemRandom;
use ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use ring::signature::EcdsaKeyPair;
use rustix::fs::FlockOperation;
use serde::Deserialize;
use serde::Serialize;
use zeroize::Zeroize;
use zeroize::Zeroizing;

use crate::identity::token::host_id;

/// How long others keep the list of keys before they ask again: a new key signs only after that.
pub const CACHE_SECONDS: i64 = 300;
/// Longest life of a token.
pub const TTL_SECONDS_MAX: i64 = 3600;
/// The file's format.
const VERSION: u32 = 1;
/// Longest file.
const BYTES_MAX: u64 = 1 << 20;

/// All keys, the oldest first; never empty.
pub struct Keyring {
    /// What tells this machine from others in the subjects of tokens.
    pub host: String,
    keys: Vec<Key>,
}

/// One key.
pub struct Key {
    /// Its name in headers and lists: its thumbprint (RFC 7638).
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Its public half.
    pub public: Jwk,
    pub(super) secret: EncodingKey,
    pkcs8: Option<Zeroizing<Vec<u8>>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    host: String,
    keys: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    created: i64,
    pkcs8: String,
}

impl Drop for Row {
    fn drop(&mut self) {
        self.pkcs8.zeroize();
    }
}

impl Keyring {
    /// Opens the keys of a directory, and makes both when they are not there. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// The system's, or others than the owner can read them: a fragment of a sentence.
    pub fn open(directory: &Path, now: i64) -> Result<Self, String> {
        Self::change(directory, now, |_| Ok(false))
    }

    /// Makes a new key beside the others, and drops those whose last token has expired.
    ///
    /// # Errors
    /// As `open`.
    pub fn rotate(directory: &Path, now: i64) -> Result<Self, String> {
        Self::change(directory, now, |ring| {
            ring.drop_old(now);
            ring.keys.push(Key::generate(now)?);
            Ok(true)
        })
    }

    fn change(
        directory: &Path,
        now: i64,
        change: impl FnOnce(&mut Self) -> Result<bool, String>,
    ) -> Result<Self, String> {
        let failed =
            |error: &dyn std::fmt::Display| format!("the keys in `{}` cannot be used: {error}", directory.display());
        make_directory(directory).map_err(|error| failed(&error))?;
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(directory.join("lock"))
            .map_err(|error| failed(&error))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(&error))?;
        let path = directory.join("keys.json");
        let found = read(&path).map_err(|error| failed(&error))?;
        let is_new = found.is_none();
        let mut ring = match found {
            Some(ring) => ring,
            None => Self {
                host: host_id::of_machine().map_or_else(random_id, Ok)?,
                keys: vec![Key::generate(now)?],
            },
        };
        if change(&mut ring).map_err(|error| failed(&error))? || is_new {
            ring.write(&path).map_err(|error| failed(&error))?;
        }
        Ok(ring)
    }

    /// Makes one of a single key (PEM), of RSA, that somebody else looks after.
    ///
    /// # Errors
    /// It is none, or others than the owner can read it: a fragment of a sentence.
    pub fn of_pem(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("the key `{}` cannot be used: {error}", path.display());
        let pem = read_strictly(path).map_err(|error| failed(&error))?;
        let secret = EncodingKey::from_rsa_pem(&pem).map_err(|error| failed(&error))?;
        Ok(Self {
            host: host_id::of_machine().ok_or("this machine has no `/etc/machine-id`")?,
            keys: vec![Key::new(secret, Algorithm::RS256, 0, None).map_err(|error| failed(&error))?],
        })
    }

    /// Returns the key that signs: the newest that everybody knows.
    pub fn signing(&self, now: i64) -> &Key {
        let known = self.keys.iter().rev().find(|key| key.created + CACHE_SECONDS <= now);
        known.unwrap_or(&self.keys[0])
    }

    /// Returns all keys, the oldest first.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Drops each key that has signed nothing for so long that all its tokens have expired.
    fn drop_old(&mut self, now: i64) {
        let since = now - CACHE_SECONDS - TTL_SECONDS_MAX;
        while self
            .keys
            .get(1)
            .is_some_and(|next| next.created + CACHE_SECONDS <= since)
        {
            self.keys.remove(0);
        }
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let row = |key: &Key| Row {
            created: key.created,
            pkcs8: key
                .pkcs8
                .as_ref()
                .map_or_else(String::new, |pkcs8| STANDARD.encode(&**pkcs8)),
        };
        let file = File {
            version: VERSION,
            host: self.host.clone(),
            keys: self.keys.iter().map(row).collect(),
        };
        let bytes = Zeroizing::new(serde_json::to_vec(&file)?);
        let beside = path.with_extension("new");
        let _ = fs::remove_file(&beside);
        let mut new = fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&beside)?;
        new.write_all(&bytes)?;
        new.sync_all()?;
        fs::rename(&beside, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Key {
    fn generate(now: i64) -> Result<Self, String> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| "no key can be made".to_owned())?;
        Self::of_pkcs8(document.as_ref().to_vec(), now)
    }

    fn of_pkcs8(pkcs8: Vec<u8>, created: i64) -> Result<Self, String> {
        let pkcs8 = Zeroizing::new(pkcs8);
        Self::new(EncodingKey::from_ec_der(&pkcs8), Algorithm::ES256, created, Some(pkcs8))
    }

    fn new(
        secret: EncodingKey,
        algorithm: Algorithm,
        created: i64,
        pkcs8: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, String> {
        let wrong = |error: jsonwebtoken::errors::Error| format!("a key is none: {error}");
        let mut public = Jwk::from_encoding_key(&secret, algorithm).map_err(wrong)?;
        let id = public.thumbprint(ThumbprintHash::SHA256).map_err(wrong)?;
        public.common.key_id = Some(id.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        public.common.key_operations = Some(vec![KeyOperations::Verify]);
        Ok(Self {
            id,
            created,
            algorithm,
            public,
            secret,
            pkcs8,
        })
    }
}

fn random_id() -> Result<String, String> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| "this machine gives no random numbers".to_owned())?;
    Ok(host_id::hexadecimal(&bytes))
}

fn make_directory(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let metadata = fs::symlink_metadata(directory)?;
    if !metadata.is_dir() || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("others than its owner can write it"));
    }
    Ok(())
}

/// Reads the file; `None` if there is none.
fn read(path: &Path) -> Result<Option<Keyring>, String> {
    let bytes = match read_strictly(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| error.to_string())?,
    };
    // What serde tells could hold a part of it.
    let file: File = serde_json::from_slice(&bytes).map_err(|_| "`keys.json` is not what stepfn writes".to_owned())?;
    if file.version != VERSION {
        return Err(format!(
            "`keys.json` has the format {}, and {VERSION} is known",
            file.version
        ));
    }
    let keys = file.keys.iter().map(|row| {
        let pkcs8 = STANDARD.decode(row.pkcs8.as_bytes());
        Key::of_pkcs8(pkcs8.map_err(|_| "a key is no base64".to_owned())?, row.created)
    });
    let keys: Vec<Key> = keys.collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err("`keys.json` has no key".to_owned());
    }
    Ok(Some(Keyring { host: file.host, keys }))
}

/// Reads a file with a secret: a regular one that only this user, or root, can read and write.
///
/// # Errors
/// It is not, or the system's.
pub fn read_strictly(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags).unwrap_or(0))
        .open(path)?;
    let metadata = file.metadata()?;
    let own = rustix::process::geteuid().as_raw();
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(io::Error::other("it is owned neither by this user nor by root"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(io::Error::other(
            "others than its owner can read it; its mode should be 600",
        ));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(metadata.len()).unwrap_or(0).min(1 << 20),
    ));
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns where the keys are when nobody says it: with the machine's state, or the user's.
pub fn default_directory() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/stepfn/issuer"));
    }
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("stepfn/issuer"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering;

    use super::*;

    pub(in crate::identity::token) struct Place(pub(in crate::identity::token) PathBuf);

    impl Place {
        pub(in crate::identity::token) fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("stepfn-issuer-{}-{number}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_new_key_is_known_before_it_signs_and_an_old_one_goes_when_its_tokens_have() {
        let place = Place::new();
        let first = Keyring::open(&place.0, 1000).unwrap();
        let first_id = first.keys()[0].id.clone();
        // Nobody can have a list without it yet.
        assert_eq!(first.signing(1000).id, first_id);
        let both = Keyring::rotate(&place.0, 2000).unwrap();
        let second_id = both.keys()[1].id.clone();
        assert_eq!(both.keys().len(), 2);
        assert_eq!(both.signing(2000 + CACHE_SECONDS - 1).id, first_id);
        assert_eq!(both.signing(2000 + CACHE_SECONDS).id, second_id);
        // Too early: a token of the first key may still be valid.
        let three = Keyring::rotate(&place.0, 2000 + CACHE_SECONDS + TTL_SECONDS_MAX).unwrap();
        assert_eq!(three.keys().len(), 3);
        let later = Keyring::rotate(&place.0, 2000 + 2 * CACHE_SECONDS + TTL_SECONDS_MAX).unwrap();
        assert!(later.keys().iter().all(|key| key.id != first_id));
        assert_eq!(Keyring::open(&place.0, 9000).unwrap().keys().len(), later.keys().len());
    }

    #[test]
    fn keys_that_others_can_read_are_refused() {
        let place = Place::new();
        Keyring::open(&place.0, 0).unwrap();
        let path = place.0.join("keys.json");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        for (mode, expected) in [(0o640, "mode should be 600"), (0o604, "mode should be 600")] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = Keyring::open(&place.0, 0).err().unwrap();
            assert!(error.contains(expected), "{error}");
        }
        fs::rename(&path, place.0.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(place.0.join("elsewhere"), &path).unwrap();
        assert!(Keyring::open(&place.0, 0).is_err());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "{\"canary\":1}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = Keyring::open(&place.0, 0).err().unwrap();
        assert!(
            error.contains("is not what stepfn writes") && !error.contains("canary"),
            "{error}"
        );
    }
}
