//! Secrets of a task: fetched for one attempt, and kept out of what it gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::ExposeSecret;
use secrecy::SecretSlice;

use crate::model::states_error::StatesError;
use crate::secret::encoding;
use crate::secret::reference::Reference;
use crate::secret::scrub::Scrubber;
use crate::secret::source::table::Sources;
use crate::secret::value::Secret;
use crate::worker::Cancel;
use crate::worker::Reports;
use crate::worker::credential;
use crate::worker::credential::Credential;
use crate::worker::credential::Credentials;

/// A secret cannot be had.
pub const SECRET_UNAVAILABLE: &str = "Debian.SecretUnavailable";

/// What one attempt must not show.
#[derive(Default)]
pub(super) struct Hidden {
    secrets: Vec<(String, Secret)>,
    scrubber: Arc<Scrubber>,
}

impl Hidden {
    /// Returns what takes the secrets out.
    pub(super) fn scrubber(&self) -> Arc<Scrubber> {
        Arc::clone(&self.scrubber)
    }

    /// Adds a secret. Tells whether it is new and too short to be hidden.
    ///
    /// # Errors
    /// It cannot be looked for.
    fn add(&mut self, name: &str, secret: &Secret) -> Result<bool, StatesError> {
        if self.secrets.iter().any(|(_, known)| known.expose() == secret.expose()) {
            return Ok(false);
        }
        self.secrets.push((name.to_owned(), secret.clone()));
        let rows = self
            .secrets
            .iter()
            .map(|(name, secret)| (name.as_str(), secret.expose()));
        let scrubber = Scrubber::new(rows).map_err(|error| {
            StatesError::new(
                SECRET_UNAVAILABLE,
                format!("The secret `{name}` cannot be kept out of what the task writes: {error}."),
            )
        })?;
        self.scrubber = Arc::new(scrubber);
        Ok(secret.expose().len() < encoding::BYTES_MIN)
    }
}

/// Keeps a secret out of all that the task gives from now on.
///
/// # Errors
/// It cannot be looked for; then it must not be used.
pub fn hide(name: &str, secret: &Secret, reports: &Reports) -> Result<(), StatesError> {
    let is_too_short = reports.hidden().add(name, secret)?;
    if is_too_short {
        reports.log(format!(
            "The secret `{name}` has fewer than {} bytes, so it cannot be kept out of what the task writes.",
            encoding::BYTES_MIN
        ));
    }
    Ok(())
}

/// Keeps the values that a process gets out of what it writes.
///
/// # Errors
/// They cannot be looked for.
pub fn hide_credentials(credentials: &Credentials, reports: &Reports) -> Result<(), StatesError> {
    credentials.iter().try_for_each(|credential| {
        let value = Secret::new(credential.value.expose_secret().to_vec(), None);
        hide(&credential.name, &value, reports)
    })
}

/// Fetches a secret as it is now, and keeps it out of all that the task gives.
///
/// # Errors
/// `Debian.SecretUnavailable`: there is no such secret for the task, or its source does not give it.
pub async fn fetch(
    sources: &Sources,
    reference: &Reference,
    reports: &Reports,
    cancel: &mut Cancel,
) -> Result<Secret, StatesError> {
    let got = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(StatesError::default()),
        got = sources.get(reference, Some(&reports.claim().state_machine)) => got,
    };
    let secret = got.map_err(|error| {
        StatesError::new(
            SECRET_UNAVAILABLE,
            format!("The secret `{reference}` is not available: {error}."),
        )
    })?;
    hide(&reference.to_string(), &secret, reports)?;
    Ok(secret)
}

/// Fetches secrets that a process gets as files, by the files' names, besides the tokens that its state is granted.
///
/// # Errors
/// As `fetch`.
pub async fn credentials(
    wanted: &BTreeMap<String, Reference>,
    sources: &Sources,
    reports: &Reports,
    cancel: &mut Cancel,
) -> Result<Credentials, StatesError> {
    let mut credentials = reports.credentials();
    for (name, reference) in wanted {
        if credentials.iter().any(|other| other.name == *name) {
            let sentence = format!("Both a token and the secret `{reference}` would be the credential `{name}`.");
            return Err(StatesError::new(SECRET_UNAVAILABLE, sentence));
        }
        let secret = fetch(sources, reference, reports, cancel).await?;
        credentials.push(Credential {
            name: name.clone(),
            value: SecretSlice::from(secret.expose().to_vec()),
        });
    }
    Ok(credentials)
}

/// Reads the references of the secrets that a process gets, by the names of their files.
///
/// # Errors
/// A fragment of a sentence about the first that is none.
pub fn wanted(texts: &BTreeMap<String, String>) -> Result<BTreeMap<String, Reference>, String> {
    let rows = texts.iter().map(|(name, text)| {
        if !credential::is_name(name) {
            return Err(format!(
                "{name:?} cannot name a credential: it needs letters, digits, `.`, `_` and `-`"
            ));
        }
        // The text may be a secret itself.
        let reference = Reference::parse(text).map_err(|error| format!("`{name}` is no reference: {error}"))?;
        Ok((name.clone(), reference))
    });
    rows.collect()
}
