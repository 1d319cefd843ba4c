//! Tells what was found: people on stderr, programs by a report.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::cli::error;
use crate::cli::error::CliError;
use crate::cli::error::paint;
use crate::cli::replace::Replacement;
use crate::cli::table;
use crate::cli::validate::Arguments;
use crate::cli::validate::baseline::Key;
use crate::cli::validate::fix::Mended;
use crate::cli::validate::policy::Judged;
use crate::cli::validate::policy::Policy;
use crate::cli::validate::policy::Why;
use crate::cli::validate::report;
use crate::cli::validate::report::Format;
use crate::cli::validate::report::Human;
use crate::cli::validate::report::Report;
use crate::cli::validate::totals::Totals;

/// Most entries of a baseline that are told to be gone.
const GONE_SHOWN_MAX: usize = 10;

/// A file that was checked.
pub(crate) struct Done {
    pub(crate) path: String,
    pub(crate) judged: Vec<Judged>,
    pub(crate) mended: Option<Mended>,
    /// Why it could not be read, or written.
    pub(crate) failed: Option<CliError>,
}

/// Tells one file after the other.
pub(crate) struct Teller<'a> {
    arguments: &'a Arguments,
    policy: &'a Policy,
    report: Option<Written>,
    totals: Totals,
    looked_at: BTreeSet<String>,
    /// What the baseline suppresses, and how often.
    known: BTreeMap<Key, usize>,
    n_mended: usize,
    n_files_mended: usize,
}

/// A report for programs.
struct Written {
    report: Box<dyn Report>,
    /// None is stdout.
    file: Option<Replacement>,
    has_pieces: bool,
}

impl Written {
    fn add(&mut self, text: &str) -> Result<(), CliError> {
        match &mut self.file {
            Some(file) => file.add(text),
            None => table::print(text),
        }
    }

    fn add_pieces(&mut self, pieces: Vec<String>) -> Result<(), CliError> {
        for piece in pieces {
            if std::mem::replace(&mut self.has_pieces, true) {
                self.add(self.report.between())?;
            }
            self.add(&piece)?;
        }
        Ok(())
    }
}

impl<'a> Teller<'a> {
    /// Begins.
    ///
    /// # Errors
    /// The report cannot be written.
    pub(crate) fn new(arguments: &'a Arguments, policy: &'a Policy) -> Result<Self, CliError> {
        let file = arguments.output.as_deref().map(Replacement::create).transpose()?;
        let report = match (arguments.format, file) {
            // People are told on stderr.
            (Format::Human, None) => None,
            (format, file) => {
                let mut written = Written {
                    report: report::of(format),
                    file,
                    has_pieces: false,
                };
                written.add(&written.report.begin())?;
                Some(written)
            }
        };
        Ok(Self {
            arguments,
            policy,
            report,
            totals: Totals::default(),
            looked_at: BTreeSet::new(),
            known: BTreeMap::new(),
            n_mended: 0,
            n_files_mended: 0,
        })
    }

    /// Tells a file.
    ///
    /// # Errors
    /// The report cannot be written.
    pub(crate) fn take(&mut self, done: Done) -> Result<(), CliError> {
        if let Some(mended) = &done.mended {
            self.n_mended += mended.by_rule.values().sum::<usize>();
            self.n_files_mended += 1;
            self.tell_mended(&done.path, mended)?;
        }
        // Two machines of a template can have the same file: people are told once.
        let mut told = BTreeSet::new();
        for judged in &done.judged {
            self.take_definition(judged, &mut told)?;
        }
        if let Some(failed) = done.failed {
            self.unreadable(&done.path, &failed)?;
        } else if self.policy.baseline.is_some() {
            self.looked_at.insert(done.path);
        }
        Ok(())
    }

    /// Tells what could not be read, or searched.
    ///
    /// # Errors
    /// The report cannot be written.
    pub(crate) fn unreadable(&mut self, path: &str, failed: &CliError) -> Result<(), CliError> {
        failed.print();
        if let Some(written) = &mut self.report {
            written.add_pieces(written.report.unreadable(path, failed.message()))?;
        }
        self.totals
            .unreadable
            .push((path.to_owned(), failed.message().to_owned()));
        Ok(())
    }

    fn take_definition(&mut self, judged: &Judged, told: &mut BTreeSet<String>) -> Result<(), CliError> {
        self.totals.add(judged);
        if let Some(written) = &mut self.report {
            written.add_pieces(written.report.definition(judged))?;
        }
        // A report on stdout says it all.
        let is_told = match &self.report {
            Some(written) => written.file.is_some(),
            None => true,
        };
        if is_told && !self.arguments.quiet && !self.arguments.summary {
            let people = Human { is_plain: false };
            for text in people.definition(judged) {
                if !told.contains(&text) {
                    error::tell(&text);
                    told.insert(text);
                }
            }
        }
        for (told, why) in &judged.suppressed {
            if *why == Why::Baseline {
                *self.known.entry(told.key().clone()).or_default() += 1;
            }
        }
        Ok(())
    }

    fn tell_mended(&self, path: &str, mended: &Mended) -> Result<(), CliError> {
        if self.arguments.dry_run {
            return table::print(&mended.difference(path));
        }
        if !self.arguments.quiet {
            let by_rule = mended.by_rule.iter();
            let by_rule = by_rule.map(|(rule, n)| match n {
                1 => (*rule).to_owned(),
                n => format!("{rule} ({n} times)"),
            });
            let rules = by_rule.collect::<Vec<_>>().join(", ");
            error::tell(&format!("{} {path}: {rules}\n", paint("1;32", "mended")));
        }
        Ok(())
    }

    /// Ends the report, writes the baseline, and says what all came to. Returns the exit code.
    ///
    /// # Errors
    /// The report or the baseline cannot be written.
    pub(crate) fn finish(mut self) -> Result<u8, CliError> {
        if self.totals.n_definitions + self.totals.n_notices == 0 && self.totals.unreadable.is_empty() {
            // A mistyped path must not pass for a checked one.
            return Err(
                CliError::usage("there is no state machine definition in what was named")
                    .hint("Definitions are recognized by `StartAt` and `States`, or as a resource of a template."),
            );
        }
        if let Some(mut written) = self.report.take() {
            written.add(&written.report.end(&self.totals))?;
            if let Some(file) = written.file {
                file.finish()?;
            }
        }
        let mut text = String::new();
        if self.arguments.summary {
            let rows = self.totals.by_rule.iter();
            let rows: Vec<_> = rows
                .map(|(rule, n)| vec![format!("{n:>6}"), (*rule).to_owned()])
                .collect();
            text += &table::lines(&rows);
        }
        if self.totals.n_out_of_reach > 0 && self.arguments.fix {
            let n = self.totals.n_out_of_reach;
            text += &format!(
                "note: {} cannot be mended here: the text is put together from pieces, or written with escapes\n",
                counted(n, "finding")
            );
        }
        if self.n_mended > 0 {
            let verb = match self.arguments.dry_run {
                true => "can be mended",
                false => "mended",
            };
            text += &format!(
                "{} {verb} in {}.\n",
                counted(self.n_mended, "finding"),
                counted(self.n_files_mended, "file")
            );
        }
        if let Some(baseline) = &self.policy.baseline {
            if self.policy.updates_baseline {
                let n_known = self.known.values().sum();
                baseline.update(&self.looked_at, std::mem::take(&mut self.known))?;
                text += &format!("{} of these files in the baseline now.\n", counted(n_known, "finding"));
            } else {
                let gone: Vec<_> = baseline.gone(&self.looked_at, &self.known).collect();
                for (key, n) in gone.iter().take(GONE_SHOWN_MAX) {
                    let times = if *n == 1 { String::new() } else { format!("{n} times ") };
                    let (path, rule, message) = (&key.path, &key.rule, &key.message);
                    text += &format!("note: the baseline lists {times}what is gone: {path}: {rule}: {message}\n");
                }
                if GONE_SHOWN_MAX < gone.len() {
                    text += &format!("note: {} more of the baseline are gone\n", gone.len() - GONE_SHOWN_MAX);
                }
                if !gone.is_empty() {
                    text += "hint: --update-baseline removes them\n";
                }
            }
        }
        if !self.arguments.quiet {
            error::tell(&(error::printable(&text) + &self.totals.summary()));
        }
        Ok(match (self.totals.unreadable.is_empty(), self.totals.n_errors) {
            (false, _) => error::USAGE,
            (true, 0) => 0,
            (true, _) => error::FAILED,
        })
    }
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
