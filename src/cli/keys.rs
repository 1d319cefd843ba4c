//! `stepfn keys`.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::Value;
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::configuration;
use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::table;
use crate::identity::keys::KeyError;
use crate::identity::keys::Keys;
use crate::identity::keys::Listed;
use crate::identity::keys::New;
use crate::model::timestamp::Timestamp;

const DAY_SECONDS: i64 = 86_400;
const DAYS_MAX: i64 = 3_650;

/// Make, list and revoke access keys, with which AWS's programs sign what they ask a server
///
/// A key speaks for a Debian user until it expires or is revoked. Only root and the owner of the directory of keys can
/// use this command.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The keys [default: `/var/lib/stepfn/keys` for root, else `stepfn/keys` among the user's state]
    #[arg(long, value_name = "DIRECTORY", global = true)]
    keys: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key, and print its secret: this once
    Create(Create),
    /// List the keys; a damaged one gives exit code 1
    List,
    /// Revoke a key: the next request that it signs is refused
    Revoke {
        /// The key's id
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The Debian user whom the key speaks for
    #[arg(long = "for", value_name = "USER")]
    user: String,
    /// How long the key is good: minutes, hours, days or weeks, such as `12h` or `30d`
    #[arg(long, value_name = "DURATION", default_value = "90d", value_parser = duration)]
    expires: i64,
    /// Write the key as a profile of AWS's credentials file, instead of printing it
    #[arg(long, value_name = "NAME", requires = "file", value_parser = profile)]
    profile: Option<String>,
    /// The new credentials file; only its owner may read it
    #[arg(long, value_name = "PATH", requires = "profile")]
    file: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    let directory = arguments.keys.clone().or_else(default_keys);
    let directory = directory.ok_or_else(|| {
        CliError::usage("nothing says where the keys are").hint("name the directory with --keys, or set HOME")
    })?;
    let keys = Keys::new(directory);
    match &arguments.command {
        Command::Create(create) => make(&keys, create, arguments.json),
        Command::List => list(&keys, arguments.json),
        Command::Revoke { id } => {
            let key = keys.revoke(id, now()).map_err(told)?;
            match arguments.json {
                true => table::print_json(&json!(key))?,
                false => table::print(&format!("revoked: {id}, of {}\n", key.user))?,
            }
            Ok(0)
        }
    }
}

/// Returns where the keys are when nobody says it: with the service's state, or the user's.
pub(crate) fn default_keys() -> Option<PathBuf> {
    // systemd says where a service's own state is.
    let of_service = std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    let of_service = of_service.filter(|path| path.is_absolute() && !rustix::process::geteuid().is_root());
    of_service
        .map(|path| path.join("keys"))
        .or_else(|| configuration::state("keys"))
}

fn make(keys: &Keys, create: &Create, json: bool) -> Result<u8, CliError> {
    // The file first: a key whose secret nobody got is of no use.
    let file = create.file.as_deref().map(new_file).transpose()?;
    let now = now();
    let made = keys.create(&create.user, now, Timestamp(now.0 + create.expires * 1000));
    let New { key, secret } = match made {
        Ok(made) => made,
        Err(error) => {
            if let Some(path) = &create.file {
                let _ = std::fs::remove_file(path);
            }
            return Err(told(error));
        }
    };
    let secret = secret.expose_secret();
    let place = match (file, &create.file, &create.profile) {
        (Some(mut file), Some(path), Some(profile)) => {
            let text = Zeroizing::new(format!(
                "[{profile}]\naws_access_key_id = {}\naws_secret_access_key = {secret}\n",
                key.id
            ));
            let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
            written.map_err(|error| unwritable(path, &error))?;
            Some(path)
        }
        _ => None,
    };
    if json {
        let mut value = json!({
            "id": key.id,
            "user": key.user,
            "created": key.created.to_string(),
            "expires": key.expires.to_string(),
        });
        match place {
            Some(path) => value["file"] = json!(path),
            None => value["secret"] = json!(secret),
        }
        table::print_json(&value)?;
        return Ok(0);
    }
    let mut text = Zeroizing::new(format!(
        "key:     {}\nuser:    {}\nexpires: {}\n",
        key.id, key.user, key.expires
    ));
    match place {
        Some(path) => text.push_str(&format!("written: {}\n", path.display())),
        None => text.push_str(&format!("secret:  {secret}\n")),
    }
    table::print(&text)?;
    if place.is_none() {
        error::tell("The secret is not shown again: keep it where only its user can read it.\n");
    }
    Ok(0)
}

fn new_file(path: &Path) -> Result<std::fs::File, CliError> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    let message = format!("failed to write the credentials file `{}`: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => CliError::usage(message).hint("name a file that is not there yet"),
        _ => CliError::usage(message),
    }
}

fn list(keys: &Keys, json: bool) -> Result<u8, CliError> {
    let listed = keys.list().map_err(told)?;
    let is_damaged = listed.iter().any(|listed| listed.key.is_err());
    let now = now();
    if json {
        let values: Vec<Value> = listed.iter().map(|listed| value(listed, now)).collect();
        table::print_json(&Value::Array(values))?;
    } else {
        let mut rows = vec![
            ["KEY", "USER", "STATUS", "CREATED", "EXPIRES", "LAST USED"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(listed.iter().map(|listed| row(listed, now)));
        table::print(&table::lines(&rows))?;
    }
    for listed in &listed {
        if let Err(error) = &listed.key {
            error::tell(&format!("{} {error}\n", error::paint("1;33", "warning:")));
        }
    }
    Ok(if is_damaged { error::FAILED } else { 0 })
}

fn status(listed: &Listed, now: Timestamp) -> &'static str {
    match &listed.key {
        Err(_) => "damaged",
        Ok(key) if key.revoked.is_some() => "revoked",
        Ok(key) if key.expires <= now => "expired",
        Ok(_) => "active",
    }
}

fn value(listed: &Listed, now: Timestamp) -> Value {
    let mut value = json!({"id": listed.id, "status": status(listed, now)});
    match &listed.key {
        Ok(key) => {
            value["user"] = json!(key.user);
            value["created"] = json!(key.created.to_string());
            value["expires"] = json!(key.expires.to_string());
            if let Some(revoked) = key.revoked {
                value["revoked"] = json!(revoked.to_string());
            }
        }
        Err(error) => value["error"] = json!(error.to_string()),
    }
    if let Some(used) = listed.used {
        value["lastUsed"] = json!(used.to_string());
    }
    value
}

fn row(listed: &Listed, now: Timestamp) -> Vec<String> {
    let (user, created, expires) = match &listed.key {
        Ok(key) => (key.user.clone(), short(key.created), short(key.expires)),
        Err(_) => Default::default(),
    };
    let used = listed.used.map_or_else(|| "never".to_owned(), short);
    vec![
        listed.id.clone(),
        user,
        status(listed, now).to_owned(),
        created,
        expires,
        used,
    ]
}

/// A time in UTC, to the minute.
fn short(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..16).unwrap_or(&text).replacen('T', " ", 1)
}

fn told(error: KeyError) -> CliError {
    let told = CliError::usage(error.to_string());
    match error {
        KeyError::Unknown(_) => told.hint("`stepfn keys list` shows the keys"),
        KeyError::Loose(_) => told.hint("only root and the owner of the keys can use them; --keys names others"),
        _ => told,
    }
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// Reads `30d` as seconds.
fn duration(text: &str) -> Result<i64, String> {
    let wrong = || "write a number and `m`, `h`, `d` or `w`, such as `30d`".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => DAY_SECONDS,
        'w' => 7 * DAY_SECONDS,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - unit.len_utf8()];
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<i64> = number.parse().ok().filter(|_| is_number);
    let seconds = number.ok_or_else(wrong)?.checked_mul(seconds);
    let is_possible = |seconds: &i64| (1..=DAYS_MAX * DAY_SECONDS).contains(seconds);
    seconds
        .filter(is_possible)
        .ok_or_else(|| format!("a key is good for 1m to {DAYS_MAX}d"))
}

/// Reads the name of a profile.
fn profile(text: &str) -> Result<String, String> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_part) {
        true => Ok(text.to_owned()),
        false => Err("a profile's name has letters, digits, `-`, `_`, `.` and `@` only".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("30d", 2_592_000),
            ("12h", 43_200),
            ("1m", 60),
            ("2w", 1_209_600),
            ("3650d", 315_360_000),
        ] {
            assert_eq!(duration(text), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "d",
            "30",
            "30y",
            "-1d",
            "+1d",
            "0d",
            "3651d",
            "1.5d",
            "9223372036854775807w",
            "1é",
            " 1d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
