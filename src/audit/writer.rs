//! The one thread that writes: groups, syncs, anchors.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use std::time::Instant;

use crate::audit::anchor::Signer;
use crate::audit::append::Appender;
use crate::audit::append::Entry;
use crate::audit::append::Place;
use crate::audit::journal;
use crate::audit::journal::Journal;
use crate::audit::log::AuditError;
use crate::audit::log::Done;
use crate::audit::log::Options;
use crate::audit::log::State;
use crate::audit::record;

/// Records in one group, at most.
const GROUP_MAX: usize = 4_096;
/// Bytes in one group, about.
const GROUP_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a record that nobody waits for may be unsafe.
const UNSAFE_TIME_MAX: Duration = Duration::from_millis(200);
/// The pause before a disk that did not take a group is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// An anchor is made after so many records.
const ANCHOR_RECORDS: u64 = 10_000;
/// And after so long, when there was any.
const ANCHOR_TIME: Duration = Duration::from_secs(60);

/// What comes to the thread.
pub(super) enum Item {
    Record {
        entry: Entry,
        copy: Option<Vec<u8>>,
        done: Option<Done>,
    },
    Close(mpsc::Sender<()>),
}

/// What goes to the thread that serves the journal and the anchors' targets.
enum Parcel {
    Copy(Vec<u8>),
    Anchor(Place),
}

pub(super) fn unopened(options: &Options, why: &dyn std::fmt::Display) -> AuditError {
    AuditError::Open {
        directory: options.directory.display().to_string().into(),
        why: why.to_string().into(),
    }
}

/// The thread's own.
pub(super) struct Writer {
    options: Options,
    appender: Option<Appender>,
    state: Arc<State>,
    /// Opening failed, and is not tried again.
    refused: Option<AuditError>,
    /// Given to the disk, but not yet safe.
    risky: Vec<Entry>,
    risky_since: Option<Instant>,
    anchored: u64,
    anchored_at: Instant,
    courier: Option<(mpsc::Sender<Parcel>, std::thread::JoinHandle<()>)>,
}

impl Writer {
    pub(super) fn new(
        options: Options,
        appender: Option<Appender>,
        state: Arc<State>,
        journal: Option<Journal>,
    ) -> Self {
        let (sender, parcels) = mpsc::channel();
        let courier = std::thread::Builder::new().name("audit-anchors".to_owned()).spawn({
            let options = options.clone();
            move || deliver(&options, journal.as_ref(), &parcels)
        });
        Self {
            anchored: appender.as_ref().map_or(0, |appender| appender.synced.seq),
            courier: courier.ok().map(|thread| (sender, thread)),
            options,
            appender,
            state,
            refused: None,
            risky: Vec::new(),
            risky_since: None,
            anchored_at: Instant::now(),
        }
    }

    pub(super) fn run(mut self, items: &mpsc::Receiver<Item>) {
        let mut closer = None;
        while closer.is_none() {
            let first = match self.patience() {
                Some(patience) => match items.recv_timeout(patience) {
                    Ok(item) => Some(item),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                },
                None => match items.recv() {
                    Ok(item) => Some(item),
                    Err(_) => break,
                },
            };
            let (mut group, mut dones, mut copies) = (Vec::new(), Vec::new(), Vec::new());
            let (mut next, mut n_bytes) = (first, 0);
            while let Some(item) = next.take() {
                match item {
                    Item::Record { entry, copy, done } => {
                        n_bytes += entry.members.len();
                        group.push(entry);
                        copies.extend(copy);
                        dones.extend(done);
                    }
                    Item::Close(sender) => {
                        closer = Some(sender);
                        break;
                    }
                }
                if group.len() < GROUP_MAX && n_bytes < GROUP_BYTES_MAX {
                    next = items.try_recv().ok();
                }
            }
            let result = self.take(group, !dones.is_empty() || closer.is_some());
            for done in dones {
                done(result.clone());
            }
            if let Some((courier, _)) = &self.courier {
                for copy in copies {
                    let _ = courier.send(Parcel::Copy(copy));
                }
            }
            self.anchor(closer.is_some());
        }
        let _ = self.take(Vec::new(), true);
        self.anchor(true);
        if let Some((sender, thread)) = self.courier.take() {
            drop(sender);
            let _ = thread.join();
        }
        // Whoever opens the log next must find it free.
        self.appender = None;
        if let Some(closer) = closer {
            let _ = closer.send(());
        }
    }

    /// Returns how long it may be waited for the next record.
    fn patience(&self) -> Option<Duration> {
        let sync = self
            .risky_since
            .map(|since| UNSAFE_TIME_MAX.saturating_sub(since.elapsed()));
        let is_ahead = self
            .appender
            .as_ref()
            .is_some_and(|appender| self.anchored < appender.synced.seq);
        let anchor = is_ahead.then(|| ANCHOR_TIME.saturating_sub(self.anchored_at.elapsed()));
        sync.into_iter().chain(anchor).min()
    }

    /// Writes a group. A disk that does not take it is tried again until it does, unless the log is shared.
    fn take(&mut self, group: Vec<Entry>, must_sync: bool) -> Result<(), AuditError> {
        let is_due = self.risky_since.is_some_and(|since| UNSAFE_TIME_MAX <= since.elapsed());
        let sync = must_sync || is_due;
        if group.is_empty() && (!sync || self.risky.is_empty()) {
            return Ok(());
        }
        if let Some(refused) = &self.refused {
            return if self.options.is_optional {
                Ok(())
            } else {
                Err(refused.clone())
            };
        }
        if self.appender.is_none() {
            match Appender::open(self.options.keeping()) {
                Ok(appender) => {
                    self.anchored = appender.synced.seq;
                    self.appender = Some(appender);
                }
                Err(error) => return self.refuse(unopened(&self.options, &error)),
            }
        }
        let Some(appender) = &mut self.appender else {
            return Err(AuditError::Closed);
        };
        let mut result = appender.append(&group, sync);
        self.risky.extend(group);
        if result.is_err() && self.options.is_shared {
            self.risky.clear();
            let error = AuditError::Write(result.err().map_or_else(String::new, |error| error.to_string()).into());
            return self.refuse(error);
        }
        while let Err(error) = result {
            let mut trouble = self.state.lock();
            if trouble.is_none() {
                tracing::error!(
                    %error,
                    "The audit log cannot be written: no task starts until it can be."
                );
            }
            *trouble = Some(AuditError::Write(error.to_string().into()));
            drop(trouble);
            if self.state.is_closing.load(Ordering::Relaxed) {
                return Err(AuditError::Write(error.to_string().into()));
            }
            std::thread::sleep(RETRY_PAUSE);
            appender.back();
            result = appender.append(&self.risky, true);
        }
        if self.state.lock().take().is_some() {
            tracing::info!("The audit log can be written again.");
        }
        if appender.synced == appender.written {
            self.risky.clear();
            self.risky_since = None;
        } else {
            self.risky_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn refuse(&mut self, error: AuditError) -> Result<(), AuditError> {
        if self.options.is_optional {
            tracing::warn!("What this process does is not recorded: {error}.");
        }
        *self.state.lock() = Some(error.clone());
        self.refused = Some(error.clone());
        if self.options.is_optional { Ok(()) } else { Err(error) }
    }

    fn anchor(&mut self, is_last: bool) {
        let Some(appender) = &self.appender else {
            return;
        };
        let place = appender.synced;
        let n_new = place.seq.saturating_sub(self.anchored);
        let is_due = is_last || ANCHOR_RECORDS <= n_new || ANCHOR_TIME <= self.anchored_at.elapsed();
        if n_new == 0 || !is_due {
            return;
        }
        self.anchored = place.seq;
        self.anchored_at = Instant::now();
        if let Some((courier, _)) = &self.courier {
            let _ = courier.send(Parcel::Anchor(place));
        }
    }
}

/// Gives the journal its copies and the anchors to where they go. A failure is told once, and once more when another
/// follows a success.
fn deliver(options: &Options, journal: Option<&Journal>, parcels: &mpsc::Receiver<Parcel>) {
    let mut signer = None;
    let mut is_failing = false;
    while let Ok(parcel) = parcels.recv() {
        let result = match parcel {
            Parcel::Copy(copy) => journal.map_or(Ok(()), |journal| to_journal(journal, &copy)),
            Parcel::Anchor(place) => {
                if signer.is_none() {
                    signer = Some(Signer::open(&options.directory).map_err(|error| error.to_string()));
                }
                match &signer {
                    Some(Ok(signer)) => {
                        let anchor = signer.sign(place.seq, &place.hash, record::now());
                        let told =
                            journal.map_or(Ok(()), |journal| to_journal(journal, &journal::anchor_entry(&anchor)));
                        told.and(options.anchors.give(&anchor))
                    }
                    Some(Err(error)) => Err(format!("the key: {error}")),
                    None => Ok(()),
                }
            }
        };
        if let Err(what) = &result
            && !is_failing
        {
            tracing::error!("An anchor or a copy of the audit log could not be kept: {what}.");
        }
        is_failing = result.is_err();
    }
}

fn to_journal(journal: &Journal, entry: &[u8]) -> Result<(), String> {
    journal.send(entry).map_err(|error| format!("the journal: {error}"))
}
