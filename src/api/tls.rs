//! TLS for the addresses that other machines reach.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio_rustls::TlsAcceptor;

/// A certificate with its key, which can be read again when the files were replaced.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files: the certificate with those between it and its authority, and its key, both as PEM.
    ///
    /// # Errors
    /// A sentence's end that begins with the file's name.
    pub fn open(certificate: PathBuf, key: PathBuf) -> Result<Self, String> {
        let current = RwLock::new(Arc::new(read(&certificate, &key)?));
        Ok(Self {
            certificate,
            key,
            current,
        })
    }

    /// Reads the files again. Connections that are open keep what they began with.
    ///
    /// # Errors
    /// As for `open`; the old certificate stays in use then.
    pub fn reload(&self) -> Result<(), String> {
        let read = Arc::new(read(&self.certificate, &self.key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// Returns what the next connection begins with.
    pub fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<ServerConfig, String> {
    let chain = CertificateDer::pem_slice_iter(&bytes(certificate, 0o002)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("`{}` is no certificate in PEM form: {error}", certificate.display()))?;
    if chain.is_empty() {
        return Err(format!("`{}` holds no certificate", certificate.display()));
    }
    let secret = zeroize::Zeroizing::new(bytes(key, 0o006)?);
    // The reader's own error would say what it found there.
    let secret = PrivateKeyDer::from_pem_slice(&secret)
        .map_err(|_| format!("`{}` holds no private key in PEM form", key.display()))?;
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(|error| {
            let (certificate, key) = (certificate.display(), key.display());
            format!("`{certificate}` cannot be used with the key `{key}`: {error}")
        })
}

/// Reads a file of which others have none of the rights `refused`.
fn bytes(path: &Path, refused: u32) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(format!("`{}` is no file", path.display()));
    }
    if metadata.mode() & refused != 0 {
        return Err(format!(
            "`{}` is open to every user: take their rights away with `chmod o=`",
            path.display()
        ));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Most that is read of a file.
const FILE_BYTES_MAX: u64 = 1 << 20;
