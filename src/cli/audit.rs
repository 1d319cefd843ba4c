//! `stepfn audit`.

mod report;
mod time;

use std::io::ErrorKind;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command as Process;
use std::time::Instant;

use clap::Subcommand;
use rustix::fs::inotify;

use crate::audit::anchor::Anchor;
use crate::audit::anchor::read_public_key;
use crate::audit::files;
use crate::audit::read::Filter;
use crate::audit::read::Read;
use crate::audit::read::Reader;
use crate::audit::record::Record;
use crate::audit::verify;
use crate::cli::configuration;
use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::error::printable;

/// Show, follow, verify or report what the audit log has recorded
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print records, the oldest first: as sentences, or as they are
    Show {
        #[command(flatten)]
        wanted: Wanted,
        #[command(flatten)]
        place: Place,
    },
    /// Print records as they are written
    Follow {
        #[command(flatten)]
        wanted: Wanted,
        #[command(flatten)]
        place: Place,
    },
    /// Find what was changed, moved, inserted or deleted; with anchors, a cut tail, too
    Verify {
        /// Compare with these anchors: a file of them, or `journal` [default: the configuration's file]
        #[arg(long, value_name = "FILE|journal")]
        anchors: Option<String>,
        /// The public key that the anchors are signed with [default: `anchor.pub` of the log]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Print the records that are evidence for a control of SOC 2
    Report(report::Arguments),
}

/// Where the log is.
#[derive(Debug, clap::Args)]
struct Place {
    /// The log [default: the configuration's, else of the server here, else of `stepfn run`]
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// The configuration [default: `stepfn.toml` here, else `/etc/stepfn/stepfn.toml`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Which records are wanted.
#[derive(Debug, clap::Args)]
struct Wanted {
    /// Who did it, for whom it was done, or who had logged in: a name, user number, key or subject
    #[arg(long, value_name = "USER")]
    who: Option<String>,
    /// Not before: a date, a time, `today`, `yesterday`, or an age such as 2h or 3d
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    since: Option<time::Since>,
    /// Before
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<time::Since>,
    /// The state machine: its name or ARN
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,
    /// The state
    #[arg(long, value_name = "NAME")]
    state: Option<String>,
    /// The execution: its name or ARN
    #[arg(long, value_name = "NAME")]
    execution: Option<String>,
    /// Print the records as they stand in the log, one a line
    #[arg(long)]
    json: bool,
}

impl Wanted {
    fn filter(&self) -> Filter {
        Filter {
            who: self.who.clone(),
            since: self.since.map(|since| since.0),
            until: self.until.map(|until| until.0),
            machine: self.machine.clone(),
            state: self.state.clone(),
            execution: self.execution.clone(),
            events: Vec::new(),
        }
    }
}

impl Place {
    /// Returns the log's directory, and the configuration's file of anchors.
    fn find(&self) -> Result<(PathBuf, Option<PathBuf>), CliError> {
        let table = match configuration::file(self.config.as_deref()) {
            Some(path) => configuration::read(&path)?.audit,
            None => Default::default(),
        };
        let named = self.directory.clone().or(table.directory);
        let places = [Some(PathBuf::from("stepfn-data/audit")), configuration::default_audit()];
        let places: Vec<PathBuf> = named.map_or_else(|| places.into_iter().flatten().collect(), |named| vec![named]);
        let has_log = |place: &&PathBuf| files::list(place).is_ok_and(|files| !files.is_empty());
        if let Some(found) = places.iter().find(has_log) {
            return Ok((found.clone(), table.anchors));
        }
        let closed = places.iter().find_map(|place| {
            let error = std::fs::read_dir(place).err()?;
            (error.kind() != ErrorKind::NotFound).then(|| failed(place, &error))
        });
        let tried: Vec<String> = places.iter().map(|place| format!("`{}`", place.display())).collect();
        Err(closed.unwrap_or_else(|| {
            CliError::usage(format!("there is no audit log in {}", tried.join(" or ")))
                .hint("name its directory with --directory: `audit` below the server's --data")
        }))
    }
}

fn failed(place: &Path, error: &std::io::Error) -> CliError {
    let told = CliError::usage(format!(
        "failed to read the audit log in `{}`: {error}",
        place.display()
    ));
    match error.kind() {
        ErrorKind::PermissionDenied => told.hint("only root and the account of the server may read it"),
        _ => told,
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    match &arguments.command {
        Command::Show { wanted, place } => {
            let (directory, _) = place.find()?;
            let mut reader = Reader::open(&directory, wanted.filter()).map_err(|error| failed(&directory, &error))?;
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            let mut n_broken = 0;
            let shown = show(&mut reader, wanted.json, &mut out, &mut n_broken).and_then(|()| out.flush());
            ended(shown, &directory)?;
            match n_broken {
                0 => Ok(0),
                _ => Err(CliError::failed(format!("{n_broken} lines of the log are no records"))
                    .hint("`stepfn audit verify` tells which")),
            }
        }
        Command::Follow { wanted, place } => {
            let (directory, _) = place.find()?;
            let result = follow(&directory, wanted);
            ended(result, &directory).map(|()| 0)
        }
        Command::Verify { anchors, key, place } => {
            let (directory, configured) = place.find()?;
            verify(&directory, anchors.as_deref(), configured, key.as_deref())
        }
        Command::Report(arguments) => report::run(arguments),
    }
}

/// A reader that has gone has seen enough.
fn ended(result: std::io::Result<()>, directory: &Path) -> Result<(), CliError> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(failed(directory, &error)),
        _ => Ok(()),
    }
}

/// Prints what there is.
fn show(reader: &mut Reader, as_json: bool, out: &mut impl Write, n_broken: &mut u64) -> std::io::Result<()> {
    while let Some(read) = reader.read_next()? {
        match read {
            Read::Record(_, line) if as_json => writeln!(out, "{line}")?,
            Read::Record(record, _) => writeln!(out, "{}", sentence(&record))?,
            Read::Broken(_) => *n_broken += 1,
        }
    }
    Ok(())
}

fn sentence(record: &Record) -> String {
    let at = record.ts.to_string();
    let at = at
        .split_once('.')
        .map_or(&*at, |(seconds, _)| seconds)
        .replacen('T', " ", 1);
    format!("{at}  {}", printable(&record.say).replace(['\n', '\t'], " "))
}

fn follow(directory: &Path, wanted: &Wanted) -> std::io::Result<()> {
    // Before the end is looked for: what is written meanwhile wakes us.
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    inotify::add_watch(&watch, directory, flags)?;
    let mut reader = Reader::open(directory, wanted.filter())?;
    if wanted.since.is_none() {
        reader.skip_to_end()?;
    }
    let mut out = std::io::stdout().lock();
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    loop {
        show(&mut reader, wanted.json, &mut out, &mut 0)?;
        out.flush()?;
        inotify::Reader::new(&watch, &mut buffer).next()?;
    }
}

fn verify(
    directory: &Path,
    anchors: Option<&str>,
    configured: Option<PathBuf>,
    key: Option<&Path>,
) -> Result<u8, CliError> {
    let anchors = match anchors {
        Some("journal") => of_journal()?,
        Some(path) => of_file(Path::new(path))?,
        None => match configured.filter(|path| path.exists()) {
            Some(path) => of_file(&path)?,
            None => Vec::new(),
        },
    };
    let key = match (anchors.is_empty(), key) {
        (true, _) => None,
        (false, key) => {
            let path = key.unwrap_or(directory);
            let read = read_public_key(path);
            Some(read.map_err(|error| CliError::usage(format!("the public key cannot be read: {error}")))?)
        }
    };
    let begin = Instant::now();
    let found = verify::verify(directory, &anchors, key.as_deref()).map_err(|error| failed(directory, &error))?;
    let seconds = begin.elapsed().as_secs_f64();
    let mut text = String::new();
    for finding in &found.findings {
        let place = match (finding.file.as_str(), finding.line) {
            ("", _) => "anchors".to_owned(),
            (file, line) => format!("{file}:{line}"),
        };
        let seq = finding.seq.map_or_else(String::new, |seq| format!(" record {seq}:"));
        text += &format!("{} {place}:{seq} {}\n", error::paint("1;31", "finding:"), finding.what);
    }
    for note in &found.notes {
        text += &format!("{} {}\n", error::paint("1;36", "note:"), printable(note));
    }
    error::tell(&text);
    let last = found
        .last
        .map_or_else(String::new, |(seq, hash)| format!(", the last is record {seq}, {hash}"));
    let n_anchors = match found.n_anchors {
        0 => "no anchor was compared, so a cut end would not be found".to_owned(),
        n => format!("{n} anchors compared"),
    };
    let n_findings = found.findings.len();
    let (n_records, rate) = (found.n_records, found.n_records as f64 / seconds.max(1e-9));
    crate::cli::table::print(&format!(
        "{n_records} records{last}; {n_anchors}; {n_findings} findings; {seconds:.2} s, {rate:.0} records/s\n"
    ))?;
    Ok(if n_findings == 0 { 0 } else { error::FAILED })
}

fn of_file(path: &Path) -> Result<Vec<Anchor>, CliError> {
    let text = crate::cli::source::read_text(path)?;
    parse(text.lines(), &format!("`{}`", path.display()))
}

/// Only root and the group `systemd-journal` see what the server wrote. Whoever forges an entry cannot sign it.
fn of_journal() -> Result<Vec<Anchor>, CliError> {
    let mut command = Process::new("journalctl");
    command.args([
        "--quiet",
        "--output=json",
        "--output-fields=SFN_ANCHOR",
        "SFN_EVENT=anchor",
    ]);
    let output = command
        .output()
        .map_err(|error| CliError::usage(format!("journalctl cannot be started: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(CliError::usage(format!("journalctl failed: {}", printable(&said))));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let entries = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let lines: Vec<String> = entries
        .filter_map(|entry| Some(entry.get("SFN_ANCHOR")?.as_str()?.to_owned()))
        .collect();
    if lines.is_empty() {
        return Err(CliError::usage("the journal has no anchor of a log").hint("root sees all of the journal"));
    }
    parse(lines.iter().map(String::as_str), "the journal")
}

fn parse<'a>(lines: impl Iterator<Item = &'a str>, place: &str) -> Result<Vec<Anchor>, CliError> {
    let lines = lines.enumerate().filter(|(_, line)| !line.trim().is_empty());
    let anchors = lines.map(|(index, line)| {
        serde_json::from_str(line)
            .map_err(|error| CliError::usage(format!("line {} of {place} is no anchor: {error}", index + 1)))
    });
    anchors.collect()
}
