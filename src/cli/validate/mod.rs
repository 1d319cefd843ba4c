//! `stepfn validate`.
//!
//! `check` turns a definition into findings, `policy` says which of them are told, `report` has one file per form.
//! Definitions are checked on all cores, and told in the order of the arguments.

mod actions;
mod baseline;
mod check;
mod fix;
mod ordered;
mod policy;
mod region;
pub(in crate::cli) mod report;
mod teller;
mod totals;

use std::num::NonZeroUsize;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::configuration;
use crate::cli::discover::Candidate;
use crate::cli::discover::Discovery;
use crate::cli::discover::Looked;
use crate::cli::error::CliError;
use crate::cli::replace::Replacement;
use crate::cli::report::path::told;
use crate::cli::validate::baseline::Baseline;
use crate::cli::validate::check::Subject;
use crate::cli::validate::policy::Policy;
use crate::cli::validate::report::Format;
use crate::cli::validate::teller::Done;
use crate::cli::validate::teller::Teller;
use crate::lint::level::Level;
use crate::lint::level::Levels;
use crate::template::find::Found;
use crate::template::find::Search;
use crate::worker::configuration::Configuration;

/// Check definitions: what AWS would refuse, and what will go wrong at run time
///
/// Prints every finding with its rule or AWS's code, its place in the definition and the line of the file; `stepfn
/// explain RULE` says more. Placeholders like `${Name}` need no value here. The parameters of this machine's own actions
/// are checked, too. Exit codes: 0 no errors; 1 errors, or findings that are denied; 2 something could not be read.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Files, directories, patterns like `machines/**/*.json`, or `-` for stdin
    ///
    /// A file is a definition (JSON or YAML), or a template that holds some: of CloudFormation, SAM or the CDK
    /// (`cdk.out`), a plan of Terraform (`terraform show -json`) or a file for its `templatefile`, or a `serverless.yml`.
    /// Of a directory all such files are checked, but not those in `node_modules`, `target` and hidden directories.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// The type of the state machines whose file does not say it: EXPRESS has no `.sync`, no task tokens and no activities
    #[arg(long = "type", value_name = "TYPE", default_value = "STANDARD", ignore_case = true)]
    machine_type: MachineType,

    /// How the findings are written; all forms but `human` go to stdout
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Write the report to this file; people are told on stderr all the same
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Tell people counts by rule instead of each finding
    #[arg(long, conflicts_with = "quiet")]
    summary: bool,
    /// Tell people nothing: the report and the exit code only
    #[arg(long, short)]
    quiet: bool,
    /// Tell information, too
    #[arg(long)]
    all: bool,

    /// Fail on these findings: a rule, a code, a pattern like `time/*`, `warnings` or `all`
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    deny: Vec<String>,
    /// Take these findings as warnings
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    warn: Vec<String>,
    /// Do not tell these findings
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    allow: Vec<String>,
    /// The configuration with the table `[lint]` [default: `stepfn.toml` here, else `/etc/stepfn/stepfn.toml`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do not tell the findings that this file lists
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what is found to the baseline
    #[arg(long, requires = "baseline", conflicts_with = "fix")]
    update_baseline: bool,

    /// Change the files: mend what can be mended mechanically
    #[arg(long)]
    fix: bool,
    /// Print what --fix would change, and change nothing
    #[arg(long, requires = "fix")]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[clap(rename_all = "UPPER")]
pub(crate) enum MachineType {
    Express,
    Standard,
}

pub(crate) fn run(arguments: &Arguments) -> Result<u8, CliError> {
    if arguments.dry_run && arguments.format != Format::Human {
        let error = CliError::usage("`--dry-run` prints a difference to stdout, where the report would be");
        return Err(error.hint("leave `--format` out"));
    }
    let policy = arguments.policy()?;
    let n_threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut teller = Teller::new(arguments, &policy)?;
    let mut discovery = Discovery::new(&arguments.paths);
    for failure in discovery.failures.drain(..) {
        teller.unreadable("", &failure)?;
    }
    let first = std::mem::take(&mut discovery.first);
    let mut later = std::mem::take(&mut discovery.later);
    let work = |candidate: &Candidate| match discovery.look(candidate) {
        Ok(Looked::Later) => Err(candidate.clone()),
        looked => Ok(arguments.check(&discovery, candidate, looked, &policy)),
    };
    ordered::each(&first, n_threads, work, |looked| match looked {
        Ok(done) => teller.take(done),
        Err(candidate) => {
            later.push(candidate);
            Ok(())
        }
    })?;
    let work = |candidate: &Candidate| {
        let looked = discovery.look_later(candidate);
        arguments.check(&discovery, candidate, looked, &policy)
    };
    ordered::each(&later, n_threads, work, |done| teller.take(done))?;
    teller.finish()
}

impl Arguments {
    /// Puts together what is said of levels.
    fn policy(&self) -> Result<Policy, CliError> {
        let configuration = match configuration::file(self.config.as_deref()) {
            Some(path) => configuration::read(&path)?,
            None => Configuration::default(),
        };
        let mut asked = Levels::default();
        let options = [
            ("deny", &self.deny, Level::Deny),
            ("warn", &self.warn, Level::Warn),
            ("allow", &self.allow, Level::Allow),
        ];
        for (option, texts, level) in options {
            for text in texts {
                let set = asked.set(text, level);
                set.map_err(|error| CliError::usage(format!("`--{option} {text}` cannot be obeyed: {error}")))?;
            }
        }
        let baseline = match &self.baseline {
            Some(path) if self.update_baseline && !path.exists() => Some(Baseline::empty(path)),
            Some(path) => Some(Baseline::read(path)?),
            None => None,
        };
        Ok(Policy {
            configured: configuration.lint,
            for_files: configuration.lint_for_files,
            asked,
            baseline,
            updates_baseline: self.update_baseline,
            all: self.all,
        })
    }

    /// Checks what is in a file, and mends it if that is asked for.
    fn check(
        &self,
        discovery: &Discovery,
        candidate: &Candidate,
        looked: Result<Looked, CliError>,
        policy: &Policy,
    ) -> Done {
        let path = &candidate.path;
        let mut done = Done {
            path: told(path),
            judged: Vec::new(),
            mended: None,
            failed: None,
        };
        let mut search = match looked {
            Ok(Looked::Found(search)) => search,
            Ok(Looked::Later | Looked::Nothing) => return done,
            Err(error) => {
                done.failed = Some(error);
                return done;
            }
        };
        let express = self.machine_type == MachineType::Express;
        // A file that a template names is mended where it is named itself.
        let is_own = |found: &Found| path.is_file() && told(Path::new(&found.origin.path)) == done.path;
        let own = |search: Search| -> Vec<Subject> {
            let own = search.definitions.into_iter().filter(is_own);
            own.map(|found| Subject::of(found, express)).collect()
        };
        let text = search.definitions.iter().find(|found| is_own(found));
        let text = text.filter(|_| self.fix).map(|found| Arc::clone(&found.origin.text));
        let mended = text.and_then(|text| fix::mend(&text, policy, |text| own(discovery.search_text(candidate, text))));
        if let Some(mended) = mended {
            if !self.dry_run {
                if let Err(error) = Replacement::write(path, &mended.after) {
                    done.failed = Some(error);
                    return done;
                }
                search = discovery.search_text(candidate, &mended.after);
            }
            done.mended = Some(mended);
        }
        done.judged
            .extend(check::notices(search.notices).map(|checked| policy.judge(checked)));
        let subjects = search.definitions.into_iter().map(|found| Subject::of(found, express));
        done.judged
            .extend(subjects.map(|subject| policy.judge(subject.check())));
        done
    }
}
