//! From a `ReaderSpec` to items, one after the other.

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::items::bucket::BucketError;
use crate::items::bucket::Buckets;
use crate::items::bucket::Listing;
use crate::items::bucket::ObjectInfo;
use crate::items::bucket::reader_failed;
use crate::items::format::Format;
use crate::items::format::Record;
use crate::items::format::Records;
use crate::items::manifest;
use crate::items::manifest::Place;
use crate::items::manifest::Places;
use crate::items::spec::ReaderSpec;
use crate::items::spec::Source;
use crate::items::text;
use crate::model::payload::Payload;
use crate::model::states_error::StatesError;

/// One item of a Distributed Map.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// `Map.Item.Value`, for JSON with the text it had in its file.
    pub value: Payload,
    /// `Map.Item.Key`: the name of a pair, where an object is iterated.
    pub key: Option<String>,
    /// `Map.Item.Source`: `S3://bucket/key`, or `S3://bucket` for a listing.
    pub source: Arc<str>,
}

impl Item {
    /// Returns the input of the child execution when there is no `ItemSelector`.
    pub fn child_input(&self) -> Payload {
        match &self.key {
            None => self.value.clone(),
            Some(key) => Payload::new(json!({"Key": key, "Value": self.value.value()})),
        }
    }
}

/// Items in their order. They end with the first error.
pub struct Items {
    buckets: Arc<dyn Buckets>,
    /// What is read when the current one is at its end.
    places: Places,
    format: Format,
    current: Option<Current>,
    n_left: u64,
}

struct Current {
    records: Box<dyn Records>,
    source: Arc<str>,
}

/// Opens what an `ItemReader` reads.
///
/// # Errors
/// `States.ItemReaderFailed`, here or from the iterator: what cannot be read, and why.
pub fn open(spec: &ReaderSpec, buckets: Arc<dyn Buckets>) -> Result<Items, StatesError> {
    let bucket = spec.bucket.as_str();
    let place = |key: &String| Place {
        bucket: bucket.to_owned(),
        key: key.clone(),
    };
    let mut current = None;
    let none: Places = Box::new(std::iter::empty());
    let (format, places) = match &spec.source {
        Source::Athena { key, version, format } => {
            check_version(version.as_deref())?;
            (format.clone(), manifest::athena(&*buckets, bucket, key)?)
        }
        Source::Contents { prefix, format } => {
            let listing = buckets.list(bucket, prefix).map_err(|error| error.reader_failed())?;
            (format.clone(), listed(bucket.to_owned(), listing))
        }
        Source::File { key, version, format } => {
            check_version(version.as_deref())?;
            current = Some(Current::open(&*buckets, format, &place(key))?);
            (format.clone(), none)
        }
        Source::Inventory { key, version } => {
            check_version(version.as_deref())?;
            manifest::inventory(&*buckets, bucket, key)?
        }
        Source::Listing { prefix } => {
            current = Some(Current {
                records: Box::new(ListingRecords {
                    listing: buckets.list(bucket, prefix).map_err(|error| error.reader_failed())?,
                    buckets: Arc::clone(&buckets),
                    bucket: bucket.to_owned(),
                }),
                source: Arc::from(format!("S3://{bucket}")),
            });
            (Format::JsonLines, none)
        }
    };
    Ok(Items {
        buckets,
        places,
        format,
        current,
        n_left: spec.max_items.unwrap_or(u64::MAX),
    })
}

/// Buckets that are directories keep no versions: the only one has S3's name for an object without.
fn check_version(version: Option<&str>) -> Result<(), StatesError> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(BucketError::no_such_version().reader_failed()),
    }
}

fn listed(bucket: String, listing: Listing) -> Places {
    Box::new(listing.map(move |object| match object {
        Ok(object) => Ok(Place {
            bucket: bucket.clone(),
            key: object.key,
        }),
        Err(error) => Err(error.reader_failed()),
    }))
}

impl Items {
    /// Passes over the first `n` items, which were read before.
    ///
    /// # Errors
    /// What reading them would give. When there are fewer, the iterator is at its end.
    pub fn after(mut self, n: u64) -> Result<Self, StatesError> {
        for _ in 0..n {
            if self
                .with_current(|records| Ok(records.skip()?.then_some(())))?
                .is_none()
            {
                break;
            }
        }
        Ok(self)
    }

    /// Asks the current records, and the next ones when they are at their end.
    fn with_current<T>(
        &mut self,
        mut ask: impl FnMut(&mut dyn Records) -> Result<Option<T>, StatesError>,
    ) -> Result<Option<(T, Arc<str>)>, StatesError> {
        if self.n_left == 0 {
            return Ok(None);
        }
        loop {
            if let Some(current) = &mut self.current {
                if let Some(answer) = ask(&mut *current.records)? {
                    self.n_left -= 1;
                    return Ok(Some((answer, Arc::clone(&current.source))));
                }
                self.current = None;
            }
            match self.places.next() {
                None => return Ok(None),
                Some(place) => self.current = Some(Current::open(&*self.buckets, &self.format, &place?)?),
            }
        }
    }
}

impl Iterator for Items {
    type Item = Result<Item, StatesError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.with_current(|records| records.next()) {
            Ok(None) => None,
            Ok(Some((Record { key, value }, source))) => Some(Ok(Item { value, key, source })),
            Err(error) => {
                self.n_left = 0;
                Some(Err(error))
            }
        }
    }
}

impl Current {
    fn open(buckets: &dyn Buckets, format: &Format, place: &Place) -> Result<Self, StatesError> {
        Ok(Self {
            records: format.open(buckets, &place.bucket, &place.key)?,
            source: Arc::from(text::source(&place.bucket, &place.key)),
        })
    }
}

/// The metadata of a listing's objects.
struct ListingRecords {
    listing: Listing,
    buckets: Arc<dyn Buckets>,
    bucket: String,
}

impl Records for ListingRecords {
    fn next(&mut self) -> Result<Option<Record>, StatesError> {
        let Some(object) = self.listing.next() else {
            return Ok(None);
        };
        let object = object.map_err(|error| error.reader_failed())?;
        let etag = self
            .buckets
            .etag(&self.bucket, &object)
            .map_err(|error| error.reader_failed())?;
        let text = listing_item(&object, &etag);
        let value = Payload::parse(&text).map_err(|error| reader_failed(error.to_string()))?;
        Ok(Some(Record { key: None, value }))
    }

    fn skip(&mut self) -> Result<bool, StatesError> {
        match self.listing.next() {
            None => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(error)) => Err(error.reader_failed()),
        }
    }
}

/// Returns an item's text as AWS writes it, its date as Java writes a `double`.
fn listing_item(object: &ObjectInfo, etag: &str) -> String {
    let (etag, key) = (Value::from(etag), Value::from(object.key.as_str()));
    let (modified, bytes) = (java_seconds(object.modified.0 / 1000), object.bytes);
    format!(r#"{{"Etag":{etag},"Key":{key},"LastModified":{modified},"Size":{bytes},"StorageClass":"STANDARD"}}"#)
}

/// Returns whole seconds as `Double.toString` does: `1.789180622E9` from ten million on.
fn java_seconds(seconds: i64) -> String {
    if seconds.unsigned_abs() < 10_000_000 {
        return format!("{seconds}.0");
    }
    let digits = seconds.unsigned_abs().to_string();
    let (first, rest) = digits.split_at(1);
    let rest = match rest.trim_end_matches('0') {
        "" => "0",
        rest => rest,
    };
    let sign = if seconds < 0 { "-" } else { "" };
    format!("{sign}{first}.{rest}E{}", digits.len() - 1)
}
