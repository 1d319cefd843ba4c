//! What a Distributed Map reads from a bucket and writes to one, as whoever answers tasks gives it.

use std::sync::Arc;

use serde_json::Value;

use crate::kernel::event::EventKind;
use crate::kernel::event::ReadItem;
use crate::model::id::MapRunId;
use crate::model::id::StateId;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;

/// The field of a Distributed Map that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `ItemReader`.
    ItemReader,
    /// `ResultWriter`.
    ResultWriter,
}

impl Field {
    /// Returns the name of the field.
    pub fn name(self) -> &'static str {
        match self {
            Self::ItemReader => "ItemReader",
            Self::ResultWriter => "ResultWriter",
        }
    }

    /// Returns the error that a bucket raises here, with a cause.
    pub fn error(self, cause: impl Into<String>) -> StatesError {
        let name = match self {
            Self::ItemReader => "States.ItemReaderFailed",
            Self::ResultWriter => "States.ResultWriterFailed",
        };
        StatesError::new(name, cause)
    }

    /// Returns the event that says what failed.
    pub(super) fn failed(self, map_run: MapRunId, error: StatesError) -> EventKind {
        match self {
            Self::ItemReader => EventKind::ItemsFailed { map_run, error },
            Self::ResultWriter => EventKind::ResultsFailed { map_run, error },
        }
    }
}

/// A Distributed Map asks for its items, or gives its results away.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// The field that asks.
    pub field: Field,
    /// The Map state.
    pub state: StateId,
    /// Its name.
    pub state_name: Arc<str>,
    /// `{"Resource": …, "Arguments": {…}, "ReaderConfig": {…}}`, evaluated, or with `WriterConfig`.
    pub request: Payload,
    /// Of the Map Run, when it writes.
    pub map_run_arn: Option<Arc<str>>,
}

impl Exchange {
    /// Returns a text of the evaluated arguments; an empty one if it is none.
    pub fn argument(&self, name: &str) -> &str {
        let value = self.request.value();
        let argument = value.get("Arguments").and_then(|arguments| arguments.get(name));
        argument.and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns what a `ResultWriter` gives when it has written: `{"MapRunArn": …, "ResultWriterDetails": {"Bucket": …,
    /// "Key": PREFIX/UUID/manifest.json}}`.
    pub fn written(&self) -> Payload {
        let arn = self.map_run_arn.as_deref().unwrap_or_default();
        let uuid = arn.rsplit(':').next().unwrap_or_default();
        let prefix = self.argument("Prefix");
        let separator = if prefix.is_empty() || prefix.ends_with('/') {
            ""
        } else {
            "/"
        };
        Payload::new(serde_json::json!({
            "MapRunArn": arn,
            "ResultWriterDetails": {
                "Bucket": self.argument("Bucket"),
                "Key": format!("{prefix}{separator}{uuid}/manifest.json"),
            },
        }))
    }

    /// Returns what is read of a list, or of an object whose pairs are the items: the first `MaxItems`. `None`: it is
    /// neither.
    pub fn items(&self, all: &Payload) -> Option<Vec<ReadItem>> {
        let max_items = self.request.value().pointer("/ReaderConfig/MaxItems");
        // 0 is no limit.
        let max_items = max_items.and_then(Value::as_u64).filter(|n| 0 < *n);
        let n_max = max_items.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let source = self.source();
        let item = |key: Option<&String>, value: &Value| ReadItem {
            key: key.cloned(),
            value: Payload::new(value.clone()),
            source: Arc::clone(&source),
        };
        Some(match all.value() {
            Value::Array(items) => items.iter().take(n_max).map(|value| item(None, value)).collect(),
            Value::Object(pairs) => {
                let pairs = pairs.iter().take(n_max);
                pairs.map(|(key, value)| item(Some(key), value)).collect()
            }
            _ => return None,
        })
    }

    /// Returns where the items come from: `S3://bucket/key`, `S3://bucket` for a listing.
    pub fn source(&self) -> Arc<str> {
        let bucket = self.argument("Bucket");
        Arc::from(match self.argument("Key") {
            "" => format!("S3://{bucket}"),
            key => format!("S3://{bucket}/{key}"),
        })
    }
}

/// What comes of an exchange, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchanged<T> {
    /// How long after it was asked.
    pub delay_millis: u64,
    /// What comes; `None`: nothing, ever.
    pub end: Option<Result<T, StatesError>>,
}

impl<T> Exchanged<T> {
    /// Comes at once.
    pub fn now(end: Result<T, StatesError>) -> Self {
        Self {
            delay_millis: 0,
            end: Some(end),
        }
    }
}
