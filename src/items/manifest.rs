//! Manifests: files that name the files which hold the items.

use serde::Deserialize;

use crate::items::bucket::Buckets;
use crate::items::bucket::reader_failed;
use crate::items::format::Format;
use crate::items::format::csv::CsvOptions;
use crate::items::format::csv::Rows;
use crate::items::text::Text;
use crate::model::states_error::StatesError;

/// Largest `manifest.json` of an inventory, in bytes: several hundred thousand data files.
const MANIFEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where one data file lies.
pub(super) struct Place {
    pub(super) bucket: String,
    pub(super) key: String,
}

/// Data files, in the order in which they are read.
pub(super) type Places = Box<dyn Iterator<Item = Result<Place, StatesError>> + Send>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inventory {
    destination_bucket: String,
    file_format: String,
    file_schema: String,
    files: Vec<InventoryFile>,
}

#[derive(Deserialize)]
struct InventoryFile {
    key: String,
}

/// Reads the `manifest.json` of an S3 inventory: its data files are CSV whose columns the manifest names.
pub(super) fn inventory(buckets: &dyn Buckets, bucket: &str, key: &str) -> Result<(Format, Places), StatesError> {
    let text = Text::open(buckets, bucket, key)?;
    let wrong = |why: &dyn std::fmt::Display| {
        reader_failed(format!(
            "S3://{bucket}/{key} is not the manifest of an S3 inventory: {why}"
        ))
    };
    let bytes = text.whole(MANIFEST_BYTES_MAX)?;
    let inventory: Inventory = serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?;
    if inventory.file_format != "CSV" {
        return Err(wrong(&format_args!(
            "its fileFormat is `{}`, only CSV can be read",
            inventory.file_format
        )));
    }
    let names = inventory.file_schema.split(',').map(|name| name.trim().to_owned());
    let format = Format::Csv(CsvOptions {
        delimiter: b',',
        headers: Some(names.collect()),
    });
    // An ARN, `arn:aws:s3:::bucket`.
    let destination = inventory.destination_bucket;
    let bucket = destination.rsplit(':').next().unwrap_or_default().to_owned();
    let places = inventory.files.into_iter().map(move |file| {
        Ok(Place {
            bucket: bucket.clone(),
            key: file.key,
        })
    });
    Ok((format, Box::new(places)))
}

/// Reads the manifest of an Athena `UNLOAD`: one `s3://bucket/key` a row.
pub(super) fn athena(buckets: &dyn Buckets, bucket: &str, key: &str) -> Result<Places, StatesError> {
    let text = Text::open(buckets, bucket, key)?;
    let source = format!("S3://{bucket}/{key}");
    let mut rows = Rows::new(text, b',');
    Ok(Box::new(std::iter::from_fn(move || {
        let place = |rows: &Rows| {
            let uri = rows.fields()?.next().unwrap_or_default().trim().to_owned();
            let place = uri.strip_prefix("s3://").and_then(|path| path.split_once('/'));
            let (bucket, key) = place
                .ok_or_else(|| reader_failed(format!("{source} holds `{uri}`, which is not `s3://bucket/key`")))?;
            Ok(Place {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            })
        };
        match rows.advance() {
            Ok(true) => Some(place(&rows)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    })))
}
