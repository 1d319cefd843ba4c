//! `stepfn config`.

use std::fmt::Write;
use std::path::PathBuf;

use crate::cli::configuration;
use crate::cli::error::CliError;
use crate::cli::table;
use crate::lint::level::Levels;

/// Look at the configuration
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Check a configuration and print what it says
    Check(Arguments),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file [default: `stepfn.toml` here, else `/etc/stepfn/stepfn.toml`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(crate) fn run(command: &Command) -> Result<u8, CliError> {
    let Command::Check(arguments) = command;
    let Some(path) = configuration::file(arguments.config.as_deref()) else {
        return Err(CliError::usage("there is no configuration").hint("write `stepfn.toml`, or name it with --config"));
    };
    let configuration = configuration::read(&path)?;
    let mut text = format!("configuration: {}\n", path.display());
    for mapping in configuration.mappings.iter() {
        let _ = writeln!(text, "mapping: {} -> {}", mapping.resource, mapping.command.join(" "));
    }
    for (name, place) in configuration.mappings.functions().describe() {
        let _ = writeln!(text, "function: {name} -> {place}");
    }
    for (name, directory) in &configuration.buckets {
        let _ = writeln!(text, "bucket: {name} -> {}", directory.display());
        if !directory.is_dir() {
            return Err(CliError::usage(format!(
                "the bucket `{name}` of `{}` names no directory: `{}`",
                path.display(),
                directory.display()
            )));
        }
    }
    for (word, patterns) in [
        ("allow", &configuration.allowed.allow),
        ("deny", &configuration.allowed.deny),
    ] {
        for pattern in patterns {
            let _ = writeln!(text, "{word}: {pattern}");
        }
    }
    if let Some(directory) = &configuration.checkpoints {
        let _ = writeln!(text, "checkpoints: {}", directory.display());
    }
    if configuration.rollback_on_failure {
        text.push_str("rollback on failure: yes\n");
    }
    text += &levels("lint", &configuration.lint);
    for (path, of_file) in &configuration.lint_for_files {
        text += &levels(&format!("lint of {path}"), of_file);
    }
    for (pattern, kind) in configuration.secrets.describe() {
        let _ = writeln!(text, "secrets: {pattern} -> {kind}");
    }
    if let Some(socket) = &configuration.socket {
        let _ = writeln!(text, "tasks are started at: {}", socket.display());
    }
    for issuer in &configuration.issuers {
        let _ = writeln!(
            text,
            "tokens are taken of: {}, for `{}`",
            issuer.issuer, issuer.audience
        );
    }
    table::print(&text)?;
    Ok(0)
}

/// Says how findings are taken, a line for each.
fn levels(what: &str, levels: &Levels) -> String {
    let rows = levels.rows();
    rows.map(|(which, level)| format!("{what}: {level} {which}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::level::Level;

    #[test]
    fn all_that_is_said_of_findings_is_told() {
        let mut all = Levels::default();
        for (which, level) in [
            ("warnings", Level::Deny),
            ("time/*", Level::Allow),
            ("time/no-timeout", Level::Warn),
            ("all", Level::Warn),
        ] {
            all.set(which, level).unwrap();
        }
        assert_eq!(
            levels("lint of old/*", &all),
            "lint of old/*: deny warnings\nlint of old/*: allow time/*\nlint of old/*: warn time/no-timeout\n\
             lint of old/*: warn all\n"
        );
    }
}
