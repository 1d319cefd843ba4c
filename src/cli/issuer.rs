//! `stepfn issuer`: the keys of the tokens that stepfn issues itself.

use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::cli::configuration;
use crate::cli::error::CliError;
use crate::cli::error::printable;
use crate::cli::table;
use crate::identity::token::grant::Grants;
use crate::identity::token::issuer;
use crate::identity::token::keyring::CACHE_SECONDS;
use crate::identity::token::keyring::Keyring;
use crate::worker::tokens;

/// Show, rotate or export the keys of the tokens that stepfn issues to states
///
/// `stepfn serve` publishes them below `/.well-known/`. Where nobody can reach this machine, `export` writes the same
/// two documents as files for any web server; the private keys stay here.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the public keys, and which of them signs
    Show {
        #[command(flatten)]
        place: Place,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a new key: it is published at once, signs five minutes later, and the old ones go when their tokens have
    Rotate {
        #[command(flatten)]
        place: Place,
    },
    /// Write the discovery document and the public keys below a directory, for a web server
    Export {
        #[command(flatten)]
        place: Place,
        /// Where the web server has the directory: the `iss` of the tokens [default: `url` of `[tokens.issuer]`]
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Where to write `.well-known/openid-configuration` and `.well-known/jwks.json`
        #[arg(value_name = "DIRECTORY")]
        to: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The configuration [default: `stepfn.toml` here, else `/etc/stepfn/stepfn.toml`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory of the keys [default: `directory` of `[tokens.issuer]`, else that of the machine's or user's state]
    #[arg(long, value_name = "DIRECTORY")]
    keys: Option<PathBuf>,
}

impl Place {
    fn find(&self) -> Result<(Grants, PathBuf), CliError> {
        let grants = match configuration::file(self.config.as_deref()) {
            Some(path) => configuration::read(&path)?.grants,
            None => Grants::default(),
        };
        let directory = tokens::keyring_directory(&grants, self.keys.as_deref());
        directory
            .map(|directory| (grants, directory))
            .map_err(|error| CliError::usage(printable(&error)))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let failed = |error: String| CliError::usage(printable(&error));
    let now = tokens::now();
    match &arguments.command {
        Command::Show { place, json } => {
            let (_, directory) = place.find()?;
            let ring = Keyring::open(&directory, now).map_err(failed)?;
            let text = match json {
                true => format!("{:#}\n", as_json(&ring, now)),
                false => as_text(&ring, &directory, now),
            };
            table::print(&text)?;
        }
        Command::Rotate { place } => {
            let (_, directory) = place.find()?;
            let ring = Keyring::rotate(&directory, now).map_err(failed)?;
            table::print(&as_text(&ring, &directory, now))?;
        }
        Command::Export { place, url, to } => {
            let (grants, directory) = place.find()?;
            let configured = grants.table.issuer.as_ref().map(|own| own.url.clone());
            let url = url.clone().or(configured).ok_or_else(|| {
                CliError::usage("nobody says where the documents will be").hint("write --url https://…")
            })?;
            let ring = Keyring::open(&directory, now).map_err(failed)?;
            write(to, issuer::DISCOVERY_PATH, &issuer::discovery(&url, &ring))?;
            write(to, issuer::KEYS_PATH, &issuer::public_keys(&ring))?;
        }
    }
    Ok(0)
}

fn write(to: &Path, path: &str, document: &Value) -> Result<(), CliError> {
    let path = to.join(path.trim_start_matches('/'));
    let directory = path.parent().unwrap_or(to);
    let written = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&path, format!("{document:#}\n")));
    written.map_err(|error| CliError::usage(format!("failed to write `{}`: {error}", path.display())))?;
    crate::cli::error::tell(&format!("wrote {}\n", path.display()));
    Ok(())
}

fn as_json(ring: &Keyring, now: i64) -> Value {
    let signing = &ring.signing(now).id;
    let row = |key: &crate::identity::token::keyring::Key| {
        json!({
            "kid": key.id,
            "algorithm": key.algorithm,
            "created": key.created,
            "signs": key.id == *signing,
            "public": key.public,
        })
    };
    let keys: Vec<Value> = ring.keys().iter().map(row).collect();
    json!({ "host": ring.host, "keys": keys })
}

fn as_text(ring: &Keyring, directory: &Path, now: i64) -> String {
    let signing = &ring.signing(now).id;
    let mut text = format!(
        "Tokens begin their `sub` with `{}`. Keys in `{}`:\n",
        ring.host,
        directory.display()
    );
    for key in ring.keys() {
        let state = match key.id == *signing {
            true => "signs".to_owned(),
            false if now < key.created + CACHE_SECONDS => {
                format!("is published, signs in {} s", key.created + CACHE_SECONDS - now)
            }
            false => "is published until its last token has expired".to_owned(),
        };
        text += &format!("  {} {:?} {state}\n", key.id, key.algorithm);
    }
    text
}
