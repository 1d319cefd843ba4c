//! Reads records as they were asked for, also while somebody writes.

use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;

use crate::audit::files;
use crate::audit::files::LogFile;
use crate::audit::record::Event;
use crate::audit::record::Record;
use crate::model::principal::Principal;
use crate::model::timestamp::Timestamp;

/// Which records are wanted. What is `None` or empty does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Who did it, for whom it was done, or who had logged in: name, user number, key or subject.
    pub who: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// The state machine's name or ARN.
    pub machine: Option<String>,
    /// The state's name.
    pub state: Option<String>,
    /// The execution's name or ARN.
    pub execution: Option<String>,
    /// These events only.
    pub events: Vec<Event>,
}

impl Filter {
    /// Tells whether a record is wanted.
    pub fn takes(&self, record: &Record) -> bool {
        let people = [&record.who, &record.on_behalf_of];
        let is_who = |wanted: &String| {
            people
                .iter()
                .any(|found| found.as_ref().is_some_and(|found| is_called(found, wanted)))
        };
        let is_arn = |found: &Option<std::sync::Arc<str>>, wanted: &String| {
            found.as_deref().is_some_and(|arn| arn == wanted || name(arn) == wanted)
        };
        self.who.as_ref().is_none_or(is_who)
            && self.since.is_none_or(|since| since <= record.ts)
            && self.until.is_none_or(|until| record.ts < until)
            && self.machine.as_ref().is_none_or(|wanted| {
                let machine = record
                    .state_machine
                    .as_deref()
                    .map(|arn| arn.split('/').next().unwrap_or(arn));
                machine.is_some_and(|arn| arn == wanted || name(arn) == wanted)
            })
            && self
                .state
                .as_ref()
                .is_none_or(|wanted| record.state.as_deref() == Some(wanted))
            && self
                .execution
                .as_ref()
                .is_none_or(|wanted| is_arn(&record.execution, wanted))
            && (self.events.is_empty() || self.events.contains(&record.event))
    }
}

fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

fn is_called(principal: &Principal, wanted: &str) -> bool {
    let login = principal.login.as_ref();
    let texts = [
        Some(&principal.name),
        principal.key_id.as_ref(),
        principal.subject.as_ref(),
        login.map(|login| &login.user),
    ];
    texts.into_iter().flatten().any(|text| **text == *wanted)
        || principal.uid.is_some_and(|uid| wanted.parse() == Ok(uid))
}

/// Reads a log from its beginning, and goes on when there is more.
pub struct Reader {
    directory: std::path::PathBuf,
    filter: Filter,
    file: Option<(LogFile, BufReader<File>)>,
    line: Vec<u8>,
}

/// What a log gave.
pub enum Read {
    /// A record, and its line without the line feed.
    Record(Box<Record>, String),
    /// A line that is none, in this file.
    Broken(String),
}

impl Reader {
    /// Opens a log; files that end before `filter.since` are passed over.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn open(directory: &Path, filter: Filter) -> io::Result<Self> {
        let mut files = files::list(directory)?;
        if let Some(since) = filter.since {
            files.retain(|file| file.end().is_none_or(|end| since < end));
        }
        let file = files.into_iter().next().map(opened).transpose()?;
        Ok(Self {
            directory: directory.to_owned(),
            filter,
            file,
            line: Vec::new(),
        })
    }

    /// Goes to the end of what is there now.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn skip_to_end(&mut self) -> io::Result<()> {
        self.file = files::list(&self.directory)?.pop().map(opened).transpose()?;
        if let Some((_, file)) = &mut self.file {
            loop {
                self.line.clear();
                if file.read_until(b'\n', &mut self.line)? == 0 || self.line.last() != Some(&b'\n') {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Returns the next record that is wanted; `None` when there is none yet.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn read_next(&mut self) -> io::Result<Option<Read>> {
        loop {
            let Some((log_file, file)) = &mut self.file else {
                self.file = files::list(&self.directory)?
                    .into_iter()
                    .next()
                    .map(opened)
                    .transpose()?;
                if self.file.is_none() {
                    return Ok(None);
                }
                continue;
            };
            if file.read_until(b'\n', &mut self.line)? == 0 || self.line.last() != Some(&b'\n') {
                // The writer is in the middle of a line, or has begun the next file.
                let next = files::list(&self.directory)?.into_iter().find(|next| *log_file < *next);
                let Some(next) = next else {
                    return Ok(None);
                };
                if !file.fill_buf()?.is_empty() {
                    continue;
                }
                let left = std::mem::take(&mut self.line);
                let broken = Read::Broken(log_file.name());
                self.file = Some(opened(next)?);
                if left.is_empty() {
                    continue;
                }
                return Ok(Some(broken));
            }
            let mut line = std::mem::take(&mut self.line);
            line.pop();
            let record = serde_json::from_slice::<Record>(&line);
            match (record, String::from_utf8(line)) {
                (Ok(record), Ok(line)) if self.filter.takes(&record) => {
                    return Ok(Some(Read::Record(Box::new(record), line)));
                }
                (Ok(_), Ok(_)) => {}
                _ => return Ok(Some(Read::Broken(log_file.name()))),
            }
        }
    }
}

fn opened(file: LogFile) -> io::Result<(LogFile, BufReader<File>)> {
    let opened = BufReader::with_capacity(1 << 16, File::open(&file.path)?);
    Ok((file, opened))
}
