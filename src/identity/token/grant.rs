//! Which state gets which token: the rows `[[grant]]`, and the providers that they name.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;

use crate::identity::policy_directory::PolicyDirectory;
use crate::identity::token::keyring::TTL_SECONDS_MAX;
use crate::model::glob;

/// Where the machine's grants are.
pub const DIRECTORY: &str = "/etc/stepfn/grants.d";
/// The provider that is stepfn itself.
pub const OWN: &str = "stepfn";
/// How long a token is valid when nobody says it.
const TTL_SECONDS: u64 = 300;

/// How a token is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// stepfn issues it.
    Issue,
    /// stepfn asks for one in its own name (RFC 6749, section 4.4).
    ClientCredentials,
    /// A token of stepfn that says who started the execution is exchanged for one (RFC 8693).
    TokenExchange,
}

impl Flow {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "token_exchange",
        }
    }
}

/// How a token reaches the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deliver {
    /// As a file in `$CREDENTIALS_DIRECTORY`.
    #[default]
    File,
}

/// One row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// A pattern of state machines' names.
    #[serde(default = "everything")]
    pub machine: String,
    /// A pattern of states' names.
    pub state: String,
    /// Whose token: `stepfn`, or the name of a provider.
    #[serde(default = "own")]
    pub provider: String,
    /// How it is had.
    pub flow: Flow,
    /// Who is to take it.
    pub audience: Option<String>,
    /// What it allows.
    pub scope: Option<String>,
    /// How long it is valid at most.
    #[serde(default)]
    pub ttl: Ttl,
    /// How it reaches the task.
    #[serde(default)]
    pub deliver: Deliver,
    /// The file's name.
    #[serde(default = "token")]
    pub name: String,
}

fn everything() -> String {
    "*".to_owned()
}

fn own() -> String {
    OWN.to_owned()
}

fn token() -> String {
    "token".to_owned()
}

/// A time such as `30s`, `5m` or `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Ttl {
    /// In seconds.
    pub seconds: u64,
}

impl Default for Ttl {
    fn default() -> Self {
        Self { seconds: TTL_SECONDS }
    }
}

impl TryFrom<String> for Ttl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let unit = |suffix: char| Some((text.strip_suffix(suffix)?, suffix));
        let found = unit('s').or_else(|| unit('m')).or_else(|| unit('h'));
        let seconds = found.and_then(|(number, suffix)| {
            let factor = match suffix {
                'h' => 3600,
                'm' => 60,
                _ => 1,
            };
            number.parse::<u64>().ok()?.checked_mul(factor)
        });
        let longest = u64::try_from(TTL_SECONDS_MAX).unwrap_or(0);
        match seconds {
            Some(seconds) if (1..=longest).contains(&seconds) => Ok(Self { seconds }),
            _ => Err(format!("`{text}` is no time from `1s` to `1h`, such as `30s` or `5m`")),
        }
    }
}

impl Grant {
    /// Says what is given, for people: no value, as there is none yet.
    pub fn describe(&self) -> String {
        let audience = self.audience.as_ref().map(|audience| format!(" for `{audience}`"));
        let scope = self.scope.as_ref().map(|scope| format!(" with the scope `{scope}`"));
        format!(
            "the token `{}` of `{}` ({}){}{}, at most {} s",
            self.name,
            self.provider,
            self.flow.as_str(),
            audience.unwrap_or_default(),
            scope.unwrap_or_default(),
            self.ttl.seconds
        )
    }
}

/// A server that gives tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Where tokens are asked for.
    pub token_endpoint: Option<String>,
    /// Or where its discovery document tells that.
    pub issuer: Option<String>,
    /// Where a token is given back (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// As whom stepfn asks.
    pub client_id: String,
    /// Its secret, by reference: `secret://NAME`.
    pub client_secret: Option<String>,
    /// Or the file with its secret, which only stepfn may be able to read.
    pub client_secret_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// stepfn as a provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnIssuer {
    /// Its `iss`: where others find its keys.
    pub url: String,
    /// Where its keys are.
    pub directory: Option<PathBuf>,
    /// A key of RSA (PEM) that is used instead, for those who take RS256 only.
    pub key_file: Option<PathBuf>,
}

/// The table `[tokens]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensTable {
    /// stepfn itself.
    pub issuer: Option<OwnIssuer>,
    /// The others, by name.
    #[serde(default)]
    pub provider: BTreeMap<String, Provider>,
}

/// All grants, and where their tokens come from. Every path is complete.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// The rows.
    pub rows: Vec<Grant>,
    /// The providers.
    pub table: TokensTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    grant: Vec<Grant>,
}

impl Grants {
    /// Makes them of a configuration's rows and table; `directory` is where its file stands.
    ///
    /// # Errors
    /// They make no sense: a sentence without its end.
    pub fn new(rows: Vec<Grant>, mut table: TokensTable, directory: &Path) -> Result<Self, String> {
        let complete = |path: &mut Option<PathBuf>| {
            if let Some(path) = path {
                *path = directory.join(&*path);
            }
        };
        if let Some(issuer) = &mut table.issuer {
            check_url("[tokens.issuer] url", &issuer.url)?;
            complete(&mut issuer.directory);
            complete(&mut issuer.key_file);
        }
        for (name, provider) in &mut table.provider {
            let place = format!("[tokens.provider.{name}]");
            if name == OWN {
                return Err(format!(
                    "`{place}` cannot be: `{OWN}` is stepfn itself, which is `[tokens.issuer]`"
                ));
            }
            if provider.token_endpoint.is_some() == provider.issuer.is_some() {
                return Err(format!("`{place}` needs either `token_endpoint` or `issuer`"));
            }
            if provider.client_secret.is_some() == provider.client_secret_file.is_some() {
                return Err(format!(
                    "`{place}` needs either `client_secret` or `client_secret_file`"
                ));
            }
            // A secret in a file that everybody reads is none; and it would be shown with the error.
            if provider
                .client_secret
                .as_ref()
                .is_some_and(|secret| !secret.starts_with("secret://"))
            {
                return Err(format!(
                    "`client_secret` of `{place}` is no reference such as `secret://registry`"
                ));
            }
            for url in [
                &provider.token_endpoint,
                &provider.issuer,
                &provider.revocation_endpoint,
            ] {
                url.iter().try_for_each(|url| check_url(&place, url))?;
            }
            complete(&mut provider.client_secret_file);
            complete(&mut provider.ca_file);
        }
        let grants = Self { rows, table };
        grants.rows.iter().try_for_each(|row| grants.check(row))?;
        Ok(grants)
    }

    /// Adds the machine's rows, if there are any. `own` is the user of this process.
    ///
    /// # Errors
    /// Others than root could have written them, or they make no sense: a sentence without its end.
    pub fn add_directory(&mut self, path: &Path, own: u32) -> Result<(), String> {
        let Some(directory) = PolicyDirectory::open(path, own)? else {
            return Ok(());
        };
        let (_, names) = directory.files()?;
        for file in directory.read::<File>(&names)? {
            for row in file.table.grant {
                self.check(&row)
                    .map_err(|error| format!("`{}`: {error}", path.display()))?;
                self.rows.push(row);
            }
        }
        Ok(())
    }

    fn check(&self, row: &Grant) -> Result<(), String> {
        let what = format!("the grant of `{}` to the state `{}`", row.name, row.state);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if row.name.is_empty() || row.name.len() > 128 || row.name.starts_with('.') || !row.name.bytes().all(plain) {
            return Err(format!(
                "`name` of {what} is not made of letters, digits, `.`, `_` and `-`"
            ));
        }
        let needs_issuer = matches!(row.flow, Flow::Issue | Flow::TokenExchange);
        if needs_issuer && self.table.issuer.is_none() {
            return Err(format!("{what} needs `[tokens.issuer]` with a `url`"));
        }
        if (row.flow == Flow::Issue) != (row.provider == OWN) {
            return Err(format!(
                "{what}: stepfn itself has the flow `issue`, and nobody else has"
            ));
        }
        if row.flow == Flow::Issue && row.audience.is_none() {
            return Err(format!(
                "{what} needs an `audience`: who takes the token must know that it is meant"
            ));
        }
        if row.provider != OWN && !self.table.provider.contains_key(&row.provider) {
            return Err(format!(
                "{what} names the provider `{}`, and there is no `[tokens.provider.{0}]`",
                row.provider
            ));
        }
        Ok(())
    }

    /// Returns what a state gets. Of several rows with the same name the first counts.
    pub fn of<'a>(&'a self, state_machine: &str, state: &str) -> Vec<&'a Grant> {
        let mut found: Vec<&Grant> = Vec::new();
        for row in &self.rows {
            let is_meant = glob::matches(&row.machine, state_machine) && glob::matches(&row.state, state);
            if is_meant && found.iter().all(|other| other.name != row.name) {
                found.push(row);
            }
        }
        found
    }

    /// Returns a sentence for each row that is meant for a state machine and fits none of its states.
    pub fn unused<'a>(&self, state_machine: &str, states: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
        let is_unused = |row: &&Grant| {
            // A row for any machine need not fit this one.
            row.machine != "*"
                && glob::matches(&row.machine, state_machine)
                && !states.clone().any(|state| glob::matches(&row.state, state))
        };
        let say = |row: &Grant| {
            format!(
                "A grant gives `{}` to the state `{}` of `{}`, but `{state_machine}` has no such Task state.",
                row.name, row.state, row.machine
            )
        };
        self.rows.iter().filter(is_unused).map(say).collect()
    }
}

/// Takes `https`, and `http` where nobody can listen: on this machine.
fn check_url(place: &str, text: &str) -> Result<(), String> {
    let host = text.strip_prefix("http://").map(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        }
    });
    let is_plain = !text.contains(|letter: char| letter.is_whitespace() || letter.is_control() || letter == '@');
    let is_safe = match host {
        Some(host) => matches!(host, "127.0.0.1" | "[::1]" | "localhost"),
        None => text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty()),
    };
    match is_plain && is_safe {
        true => Ok(()),
        false => Err(format!(
            "`{text}` in `{place}` is no URL with `https`, or with `http` on this machine"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Whole {
        #[serde(default)]
        grant: Vec<Grant>,
        #[serde(default)]
        tokens: TokensTable,
    }

    fn parse(text: &str) -> Result<Grants, String> {
        let whole: Whole = toml::from_str(text).map_err(|error| error.to_string())?;
        Grants::new(whole.grant, whole.tokens, Path::new("/d"))
    }

    const TABLES: &str = "[tokens.issuer]\nurl = 'https://tokens.example.com'\n[tokens.provider.okta]\n\
                          issuer = 'https://okta.example.com'\nclient_id = 'stepfn'\nclient_secret_file = 's'\n";

    #[test]
    fn a_state_gets_what_its_rows_say() {
        let grants = parse(&format!(
            "{TABLES}[[grant]]\nmachine = 'deploy*'\nstate = 'Push'\nflow = 'issue'\naudience = 'registry'\nttl = '2m'\n\
             [[grant]]\nstate = 'P*'\nprovider = 'okta'\nflow = 'client_credentials'\nname = 'okta'\n\
             [[grant]]\nstate = '*'\nprovider = 'okta'\nflow = 'token_exchange'\n"
        ))
        .unwrap();
        let names = |machine, state| -> Vec<String> {
            let show = |row: &&Grant| format!("{}:{}:{}", row.name, row.flow.as_str(), row.ttl.seconds);
            grants.of(machine, state).iter().map(show).collect()
        };
        assert_eq!(
            names("deploy-web", "Push"),
            ["token:issue:120", "okta:client_credentials:300"]
        );
        assert_eq!(
            names("build", "Push"),
            ["okta:client_credentials:300", "token:token_exchange:300"]
        );
        assert_eq!(names("build", "Test"), ["token:token_exchange:300"]);
        assert_eq!(
            grants.table.provider["okta"].client_secret_file.as_deref(),
            Some(Path::new("/d/s"))
        );
        assert_eq!(
            grants.unused("deploy-web", ["Build", "Test"].into_iter()),
            ["A grant gives `token` to the state `Push` of `deploy*`, but `deploy-web` has no such Task state."]
        );
        assert!(grants.unused("deploy-web", ["Push"].into_iter()).is_empty());
        assert!(grants.unused("build", ["Build"].into_iter()).is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let row = |text: &str| format!("{TABLES}[[grant]]\nstate = 'S'\n{text}");
        let provider = |text: &str| format!("[tokens.provider.p]\nclient_id = 'c'\n{text}");
        for (text, expected) in [
            (row("flow = 'issue'\naudience = 'a'\ncolour = 1"), "line 11"),
            (row("flow = 'password'"), "unknown variant `password`"),
            (row("flow = 'issue'"), "needs an `audience`"),
            (row("flow = 'issue'\naudience = 'a'\nttl = '2d'"), "`2d` is no time"),
            (row("flow = 'issue'\naudience = 'a'\nttl = '61m'"), "`61m` is no time"),
            (row("flow = 'issue'\naudience = 'a'\nttl = '0s'"), "`0s` is no time"),
            (
                row("flow = 'issue'\naudience = 'a'\nname = '../x'"),
                "is not made of letters",
            ),
            (
                row("flow = 'issue'\naudience = 'a'\ndeliver = 'env'"),
                "unknown variant `env`",
            ),
            (row("flow = 'client_credentials'"), "nobody else has"),
            (
                row("flow = 'issue'\naudience = 'a'\nprovider = 'okta'"),
                "nobody else has",
            ),
            (
                row("flow = 'client_credentials'\nprovider = 'x'"),
                "no `[tokens.provider.x]`",
            ),
            (
                "[[grant]]\nstate = 'S'\nflow = 'issue'\naudience = 'a'".to_owned(),
                "needs `[tokens.issuer]`",
            ),
            (
                "[tokens.issuer]\nurl = 'http://tokens.example.com'".to_owned(),
                "is no URL",
            ),
            (
                "[tokens.issuer]\nurl = 'http://localhost.example.com'".to_owned(),
                "is no URL",
            ),
            (
                "[tokens.issuer]\nurl = 'http://127.0.0.1:1@example.com'".to_owned(),
                "is no URL",
            ),
            (provider("token_endpoint = 'https://x'"), "either `client_secret` or"),
            (provider("client_secret = 'secret://a'"), "either `token_endpoint` or"),
            (
                provider("client_secret = 'canary'\nissuer = 'https://x'"),
                "is no reference",
            ),
            (
                "[tokens.provider.stepfn]\nclient_id = 'c'".to_owned(),
                "is stepfn itself",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("canary"), "{text}: {error}");
        }
        assert!(parse("[tokens.issuer]\nurl = 'http://127.0.0.1:8083'").is_ok());
    }
}
