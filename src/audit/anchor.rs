//! Anchors: signed statements of how far the log had come, kept elsewhere. Without one a cut tail is not found.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::ED25519;
use ring::signature::Ed25519KeyPair;
use ring::signature::KeyPair;
use ring::signature::UnparsedPublicKey;
use serde::Deserialize;
use serde::Serialize;

use crate::audit::chain::Hash;
use crate::model::timestamp::Timestamp;

/// How long a command may take for an anchor.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(30);
/// The private key's file.
const KEY: &str = "anchor.key";
/// The public key's file: 32 bytes as base64.
const PUBLIC_KEY: &str = "anchor.pub";

/// A signed statement: at this time the log's last record was this one. As JSON it is one line.
///
/// The signature is of Ed25519, over the text `stepfn anchor 1`, `seq`, `hash` and `ts`, each followed by a line feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The record's number.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
    /// When: as RFC 3339.
    pub ts: String,
    /// The signature, as base64.
    pub signature: String,
}

impl Anchor {
    fn text(seq: u64, hash: &str, ts: &str) -> String {
        format!("stepfn anchor 1\n{seq}\n{hash}\n{ts}\n")
    }

    /// Tells whether the key signed it; `key` is the public one, 32 bytes.
    pub fn is_signed_by(&self, key: &[u8]) -> bool {
        let Ok(signature) = STANDARD.decode(&self.signature) else {
            return false;
        };
        let text = Self::text(self.seq, &self.hash, &self.ts);
        UnparsedPublicKey::new(&ED25519, key)
            .verify(text.as_bytes(), &signature)
            .is_ok()
    }

    /// Returns the line of JSON, with its line feed.
    pub fn line(&self) -> String {
        let text = serde_json::to_string(self).expect("an anchor is made of plain members");
        text + "\n"
    }
}

/// What signs anchors.
pub(super) struct Signer(Ed25519KeyPair);

impl Signer {
    /// Reads the key of a log, or makes it.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(KEY);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(directory, &path)?,
            Err(error) => return Err(error),
        };
        let wrong = |_| io::Error::other(format!("`{}` is no key of Ed25519", path.display()));
        let pair = Ed25519KeyPair::from_pkcs8(&text).map_err(wrong)?;
        let public = STANDARD.encode(pair.public_key().as_ref()) + "\n";
        let public_path = directory.join(PUBLIC_KEY);
        if std::fs::read_to_string(&public_path).ok().as_ref() != Some(&public) {
            std::fs::write(&public_path, public)?;
        }
        Ok(Self(pair))
    }

    pub(super) fn sign(&self, seq: u64, hash: &Hash, at: Timestamp) -> Anchor {
        let (hash, ts) = (hash.to_string(), at.to_string());
        let signature = self.0.sign(Anchor::text(seq, &hash, &ts).as_bytes());
        Anchor {
            signature: STANDARD.encode(signature.as_ref()),
            seq,
            hash,
            ts,
        }
    }
}

/// Two processes that begin together agree on one: the first that links its own.
fn make_key(directory: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let refused = |_| io::Error::other("the system gives no random numbers");
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(refused)?;
    let fresh = directory.join(format!("{KEY}.{}", std::process::id()));
    let mut options = OpenOptions::new();
    let mut file: File = options
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(key.as_ref())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&fresh, path);
    std::fs::remove_file(&fresh)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => std::fs::read(path),
    }
}

/// Reads the public key of a log, or one that is kept elsewhere.
///
/// # Errors
/// It cannot be read, or is no key.
pub fn read_public_key(path: &Path) -> io::Result<Vec<u8>> {
    let path = if path.is_dir() {
        path.join(PUBLIC_KEY)
    } else {
        path.to_owned()
    };
    let text = std::fs::read_to_string(&path)?;
    let key = STANDARD.decode(text.trim()).ok().filter(|key| key.len() == 32);
    key.ok_or_else(|| io::Error::other(format!("`{}` is no public key: 32 bytes as base64", path.display())))
}

/// Where anchors go beside the journal.
#[derive(Clone, Debug, Default)]
pub struct AnchorTargets {
    /// A file to which each is added as a line.
    pub file: Option<PathBuf>,
    /// A command that reads each on its stdin.
    pub command: Vec<String>,
}

impl AnchorTargets {
    /// Gives an anchor to all.
    ///
    /// # Errors
    /// What did not take it: a fragment of a sentence.
    pub(super) fn give(&self, anchor: &Anchor) -> Result<(), String> {
        let line = anchor.line();
        if let Some(path) = &self.file {
            let added = (|| {
                let mut file = OpenOptions::new().create(true).append(true).mode(0o644).open(path)?;
                file.write_all(line.as_bytes())?;
                file.sync_data()
            })();
            added.map_err(|error: io::Error| format!("the file `{}`: {error}", path.display()))?;
        }
        let Some((program, arguments)) = self.command.split_first() else {
            return Ok(());
        };
        run(program, arguments, &line).map_err(|error| format!("the command `{program}`: {error}"))
    }
}

fn run(program: &str, arguments: &[String], line: &str) -> io::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read it all says so by its status.
        let _ = stdin.write_all(line.as_bytes());
    }
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if COMMAND_TIME_MAX < begin.elapsed() {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other("it took longer than 30 seconds"));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        stderr.take(300).read_to_end(&mut said)?;
    }
    let said = String::from_utf8_lossy(&said);
    Err(io::Error::other(format!("it ended with {status}: {}", said.trim())))
}
