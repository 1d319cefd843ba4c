//! What the server tells its administrator: the journal under systemd, else plain lines on stderr.

use std::os::fd::AsFd;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Where the lines of this process go from now on.
pub(crate) fn start(level: LevelFilter) {
    // A second subscriber of one process changes nothing.
    let _ = match journal() {
        Some(journal) => tracing_subscriber::registry()
            .with(journal.with_filter(level))
            .try_init(),
        None => {
            let lines = tracing_subscriber::fmt::layer()
                .with_ansi(false)
                .with_target(false)
                .with_writer(std::io::stderr);
            tracing_subscriber::registry().with(lines.with_filter(level)).try_init()
        }
    };
}

/// Returns the way to the journal when systemd has tied stderr to it: `JOURNAL_STREAM` names stderr's file. A
/// child that was given another stderr inherits the variable all the same.
fn journal() -> Option<tracing_journald::Layer> {
    let stream = std::env::var("JOURNAL_STREAM").ok()?;
    let stderr = rustix::fs::fstat(std::io::stderr().as_fd()).ok()?;
    if stream != format!("{}:{}", stderr.st_dev, stderr.st_ino) {
        return None;
    }
    tracing_journald::layer()
        .ok()
        .map(|layer| layer.with_syslog_identifier("stepfn".to_owned()))
}
