//! Tokens of a task: fetched when its state is entered, for one attempt, and given back when it is left.

pub mod provider;

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use secrecy::SecretSlice;

use crate::identity::token::grant::Flow;
use crate::identity::token::grant::Grant;
use crate::identity::token::grant::Grants;
use crate::identity::token::grant::Provider;
use crate::identity::token::issuer;
use crate::identity::token::issuer::Entry;
use crate::identity::token::issuer::Subject;
use crate::identity::token::issuer::Wanted;
use crate::identity::token::keyring;
use crate::identity::token::keyring::Keyring;
use crate::model::states_error::StatesError;
use crate::secret::reference::Reference;
use crate::worker::Cancel;
use crate::worker::Job;
use crate::worker::action;
use crate::worker::action::Named;
use crate::worker::credential::Credential;
use crate::worker::credential::Credentials;
use crate::worker::tokens::provider::Server;

/// A token that the task should get cannot be had.
pub const TOKEN_UNAVAILABLE: &str = "Debian.TokenUnavailable";
/// How long all tokens of one attempt together may take.
const TIME_MAX: Duration = Duration::from_secs(30);
/// How long giving them back may take.
const REVOKE_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a token is valid that is exchanged at once.
const EXCHANGED_TTL_SECONDS: u64 = 60;

/// All that gives tokens to tasks.
pub struct Tokens {
    grants: Grants,
    keys: Keys,
}

/// Where the keys of stepfn's own tokens are.
#[derive(Clone)]
enum Keys {
    Directory(PathBuf),
    Pem(PathBuf),
    None,
}

/// What one attempt got.
#[derive(Default)]
pub struct Granted {
    /// For its processes.
    pub credentials: Credentials,
    revocations: Vec<Revocation>,
}

/// A token to give back.
struct Revocation {
    server: Server,
    endpoint: String,
    token: SecretSlice<u8>,
}

impl Tokens {
    /// Makes them of a configuration; `None` when it grants nothing and issues nothing.
    pub fn new(grants: Grants) -> Option<Self> {
        let keys = match &grants.table.issuer {
            None => Keys::None,
            Some(own) => match (&own.key_file, own.directory.clone().or_else(keyring::default_directory)) {
                (Some(pem), _) => Keys::Pem(pem.clone()),
                (None, Some(directory)) => Keys::Directory(directory),
                (None, None) => Keys::None,
            },
        };
        let is_needed = !grants.rows.is_empty() || grants.table.issuer.is_some();
        is_needed.then_some(Self { grants, keys })
    }

    /// Returns the rows.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Returns the discovery document, or the public keys, by its path; `None` when nothing is issued here.
    ///
    /// # Errors
    /// The keys cannot be used: a fragment of a sentence.
    pub fn published(&self, path: &str) -> Option<Result<serde_json::Value, String>> {
        let own = self.grants.table.issuer.as_ref()?;
        let document = |ring: Keyring| match path {
            issuer::DISCOVERY_PATH => Some(issuer::discovery(&own.url, &ring)),
            issuer::KEYS_PATH => Some(issuer::public_keys(&ring)),
            _ => None,
        };
        self.keys.open().map(document).transpose()
    }

    /// Gets what the attempt is granted.
    ///
    /// # Errors
    /// `Debian.TokenUnavailable`, without any value; then nothing was got, or it was given back.
    pub async fn get(&self, job: &Job, rows: &[&Grant]) -> Result<Granted, StatesError> {
        let mut granted = Granted::default();
        for row in rows {
            match self.one(job, row).await {
                Ok((token, revocation)) => {
                    granted.credentials.push(Credential {
                        name: row.name.clone(),
                        value: token,
                    });
                    granted.revocations.extend(revocation);
                }
                Err(why) => {
                    granted.give_back().await;
                    return Err(unavailable(row, &why));
                }
            }
        }
        Ok(granted)
    }

    async fn one(&self, job: &Job, row: &Grant) -> Result<(SecretSlice<u8>, Option<Revocation>), String> {
        if row.flow == Flow::Issue {
            let audience = row.audience.as_deref().unwrap_or_default();
            let scope = row.scope.as_deref();
            let token = self
                .issue(job, Subject::State, audience, scope, row.ttl.seconds)
                .await?;
            return Ok((token, None));
        }
        let provider = self.grants.table.provider.get(&row.provider);
        let provider = provider.ok_or("there is no such provider")?;
        let server = self.server(job, provider).await?;
        let endpoints = server.endpoints(provider).await?;
        let mut form = Vec::new();
        if row.flow == Flow::TokenExchange {
            let ttl = EXCHANGED_TTL_SECONDS;
            let subject = self
                .issue(job, Subject::Starter, &endpoints.audience, None, ttl)
                .await?;
            let actor = self.issue(job, Subject::State, &endpoints.audience, None, ttl).await?;
            form.push(("subject_token", subject));
            form.push(("actor_token", actor));
        }
        let token = server.ask(&endpoints.token, row, form).await?;
        let revocation = endpoints.revocation.map(|endpoint| Revocation {
            server,
            endpoint,
            token: SecretSlice::from(secrecy::ExposeSecret::expose_secret(&token).to_vec()),
        });
        Ok((token, revocation))
    }

    async fn server(&self, job: &Job, provider: &Provider) -> Result<Server, String> {
        let secret = match (&provider.client_secret, &provider.client_secret_file) {
            (Some(reference), _) => {
                let reference = Reference::parse(reference).map_err(|error| format!("`client_secret`: {error}"))?;
                // The operator names it and not a state machine, so none needs the right to it.
                let secret = job.site.actions.secrets.get(&reference, None).await;
                let secret = secret.map_err(|error| format!("the secret `{reference}` is not available: {error}"))?;
                SecretSlice::from(secret.expose().to_vec())
            }
            (None, Some(path)) => {
                let path = path.clone();
                blocking(move || {
                    let bytes = keyring::read_strictly(&path);
                    let bytes = bytes.map_err(|error| format!("`{}` cannot be used: {error}", path.display()))?;
                    Ok(SecretSlice::from(bytes.trim_ascii_end().to_vec()))
                })
                .await?
            }
            (None, None) => return Err("there is no secret of the client".to_owned()),
        };
        Server::new(provider, secret).await
    }

    async fn issue(
        &self,
        job: &Job,
        subject: Subject,
        audience: &str,
        scope: Option<&str>,
        ttl_seconds: u64,
    ) -> Result<SecretSlice<u8>, String> {
        let own = self
            .grants
            .table
            .issuer
            .as_ref()
            .ok_or("there is no `[tokens.issuer]`")?;
        let keys = self.keys.clone();
        let ring = blocking(move || keys.open()).await?;
        let wanted = Wanted {
            entry: Entry {
                execution_arn: &job.execution_arn,
                state_machine: &job.state_machine,
                state: &job.task.state_name,
                attempt: job.task.attempt,
                started_by: job.started_by.as_deref(),
                timeout_seconds: job.task.timeout_seconds,
            },
            subject,
            audience,
            scope,
            ttl_seconds,
        };
        issuer::issue(&ring, &own.url, &wanted, now())
    }
}

impl Keys {
    fn open(&self) -> Result<Keyring, String> {
        match self {
            Self::Directory(directory) => Keyring::open(directory, now()),
            Self::Pem(path) => Keyring::of_pem(path),
            Self::None => {
                Err("there is no place for the keys of tokens; name a `directory` in `[tokens.issuer]`".to_owned())
            }
        }
    }
}

impl Granted {
    /// Gives back what can be given back. What cannot expires.
    pub async fn give_back(self) {
        let all = self
            .revocations
            .iter()
            .map(|it| it.server.revoke(&it.endpoint, &it.token));
        let all = async {
            for one in all {
                if let Err(error) = one.await {
                    tracing::warn!("A token could not be given back: {error}.");
                }
            }
        };
        if tokio::time::timeout(REVOKE_TIME_MAX, all).await.is_err() {
            tracing::warn!("A token could not be given back in time.");
        }
    }
}

/// Gets the tokens of a job that `worker` does.
///
/// # Errors
/// `Debian.TokenUnavailable`; the default error when it was cancelled.
pub async fn of(job: &Job, worker: &str, cancel: &mut Cancel) -> Result<Granted, StatesError> {
    let Some(tokens) = &job.site.tokens else {
        return Ok(Granted::default());
    };
    let rows = tokens.grants.of(&job.state_machine, &job.task.state_name);
    let Some(first) = rows.first().filter(|_| worker != "unmapped") else {
        return Ok(Granted::default());
    };
    if !can_take(job, worker) {
        return Err(unavailable(
            first,
            "commands and `shell.run` can take a token, and this task is none",
        ));
    }
    if job.site.actions.planned.is_some() {
        // Nothing runs that could take it.
        return Ok(Granted::default());
    }
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(StatesError::default()),
        got = tokio::time::timeout(TIME_MAX, tokens.get(job, &rows)) => {
            got.unwrap_or_else(|_| Err(unavailable(first, "it did not come in time")))
        }
    }
}

/// Tells whether a task can use a token: a file for a process of its own. A Lambda handler stays for many invocations.
fn can_take(job: &Job, worker: &str) -> bool {
    match action::named(&job.resource.arn) {
        Named::Action(action) => action.facts().name == "shell.run",
        Named::Unknown(_) | Named::Other => worker == "command",
    }
}

fn unavailable(row: &Grant, why: &str) -> StatesError {
    let cause = format!(
        "The token `{}` of `{}` for the state cannot be had: {why}.",
        row.name, row.provider
    );
    StatesError::new(TOKEN_UNAVAILABLE, crate::worker::process::shorten(&cause))
}

/// Opens the keys of stepfn's own tokens as a configuration has them.
///
/// # Errors
/// There are none: a fragment of a sentence.
pub fn keyring_directory(grants: &Grants, named: Option<&Path>) -> Result<PathBuf, String> {
    let own = grants.table.issuer.as_ref();
    if let Some(pem) = own.and_then(|own| own.key_file.as_ref()) {
        return Err(format!(
            "`key_file` names the key `{}`, which stepfn does not look after",
            pem.display()
        ));
    }
    let configured = own.and_then(|own| own.directory.clone());
    let found = named
        .map(Path::to_owned)
        .or(configured)
        .or_else(keyring::default_directory);
    found.ok_or_else(|| "there is no place for the keys: name a directory".to_owned())
}

/// Returns the time in seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(error.to_string()))
}
