//! What an `ItemReader` asks for, once its templates are evaluated.

use serde_json::Map;
use serde_json::Value;

use crate::items::bucket::reader_failed;
use crate::items::format::Format;
use crate::items::format::csv;
use crate::items::format::csv::CsvOptions;
use crate::model::states_error::StatesError;

/// More items than that are not read, whatever `MaxItems` says.
pub const ITEMS_MAX: u64 = 100_000_000;
/// Longest `ItemsPointer`, in characters, not counting this one.
const POINTER_CHARS_MAX: usize = 2000;

/// An `ItemReader` with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderSpec {
    /// `Bucket`.
    pub bucket: String,
    /// What is read there.
    pub source: Source,
    /// How many items at most; `None`: all.
    pub max_items: Option<u64>,
}

/// The combinations of `Resource`, `Parameters` and `ReaderConfig` that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An Athena `UNLOAD`: its manifest names data files of one format.
    Athena {
        /// The manifest's key.
        key: String,
        /// `VersionId`.
        version: Option<String>,
        /// How the data files are read.
        format: Format,
    },
    /// The records of all objects of a listing.
    Contents {
        /// `Prefix`.
        prefix: String,
        /// How the objects are read.
        format: Format,
    },
    /// The records of one file.
    File {
        /// `Key`.
        key: String,
        /// `VersionId`.
        version: Option<String>,
        /// How it is read.
        format: Format,
    },
    /// An S3 inventory: the rows of its data files.
    Inventory {
        /// The key of its `manifest.json`.
        key: String,
        /// `VersionId`.
        version: Option<String>,
    },
    /// The metadata of all objects of a listing.
    Listing {
        /// `Prefix`.
        prefix: String,
    },
}

impl ReaderSpec {
    /// Reads the evaluated fields of an `ItemReader`. `MaxItemsPath` is given as the `MaxItems` it led to.
    ///
    /// # Errors
    /// `States.ItemReaderFailed`: a value is missing, of the wrong kind, or goes with no other.
    pub fn parse(resource: &str, parameters: &Value, config: Option<&Value>) -> Result<Self, StatesError> {
        let empty = Value::Object(Map::new());
        let parameters = Fields::new("Parameters", parameters)?;
        let config = Fields::new("ReaderConfig", config.unwrap_or(&empty))?;
        let bucket = parameters.required("Bucket")?.to_owned();
        let source = match resource.rsplit_once(":::") {
            Some((_, "s3:getObject")) => file(&parameters, &config)?,
            Some((_, "s3:listObjectsV2")) => listing(&parameters, &config)?,
            _ => return Err(reader_failed(format!("`{resource}` is no resource of an ItemReader"))),
        };
        Ok(Self {
            bucket,
            source,
            max_items: max_items(config.object.get("MaxItems"))?,
        })
    }
}

fn file(parameters: &Fields<'_>, config: &Fields<'_>) -> Result<Source, StatesError> {
    let key = parameters.required("Key")?.to_owned();
    let version = parameters.text("VersionId")?.map(str::to_owned);
    if !matches!(config.text("Transformation")?, None | Some("NONE")) {
        return Err(config.refuse("Transformation", "s3:getObject"));
    }
    match (config.text("ManifestType")?, config.text("InputType")?) {
        (None, Some("MANIFEST")) | (Some("S3_INVENTORY"), None) => {
            config.refuse_fields(&["ItemsPointer"], "an S3 inventory")?;
            Ok(Source::Inventory { key, version })
        }
        (None, Some(input_type)) => {
            if input_type == "PARQUET" && version.is_some() {
                return Err(parameters.refuse("VersionId", "PARQUET"));
            }
            let format = format(config, input_type)?;
            Ok(Source::File { key, version, format })
        }
        (Some("ATHENA_DATA"), Some(input_type @ ("CSV" | "JSONL" | "PARQUET"))) => {
            let format = format(config, input_type)?;
            Ok(Source::Athena { key, version, format })
        }
        (None, None) => Err(reader_failed("ReaderConfig has no InputType")),
        (Some(kind), input_type) => Err(reader_failed(format!(
            "the ManifestType `{kind}` does not go with {}",
            input_type.map_or("no InputType".to_owned(), |kind| format!("the InputType `{kind}`"))
        ))),
    }
}

fn listing(parameters: &Fields<'_>, config: &Fields<'_>) -> Result<Source, StatesError> {
    let prefix = parameters.text("Prefix")?.unwrap_or_default().to_owned();
    if config.object.contains_key("ManifestType") {
        return Err(config.refuse("ManifestType", "s3:listObjectsV2"));
    }
    match (config.text("Transformation")?, config.text("InputType")?) {
        (None | Some("NONE"), None) => {
            config.refuse_fields(&CSV_FIELDS, "a listing")?;
            config.refuse_fields(&["ItemsPointer"], "a listing")?;
            Ok(Source::Listing { prefix })
        }
        (Some("LOAD_AND_FLATTEN"), Some(input_type)) => Ok(Source::Contents {
            prefix,
            format: format(config, input_type)?,
        }),
        (Some("LOAD_AND_FLATTEN"), None) => Err(reader_failed("LOAD_AND_FLATTEN needs an InputType")),
        (None | Some("NONE"), Some(_)) => Err(config.refuse("InputType", "s3:listObjectsV2 without LOAD_AND_FLATTEN")),
        (Some(other), _) => Err(reader_failed(format!("`{other}` is no Transformation"))),
    }
}

/// What only CSV has.
const CSV_FIELDS: [&str; 3] = ["CSVDelimiter", "CSVHeaderLocation", "CSVHeaders"];

fn format(config: &Fields<'_>, input_type: &str) -> Result<Format, StatesError> {
    if input_type != "CSV" {
        config.refuse_fields(&CSV_FIELDS, input_type)?;
    }
    if input_type != "JSON" {
        config.refuse_fields(&["ItemsPointer"], input_type)?;
    }
    match input_type {
        "CSV" => csv_options(config).map(Format::Csv),
        "JSON" => Ok(Format::Json {
            pointer: pointer(config.text("ItemsPointer")?.unwrap_or_default())?,
        }),
        "JSONL" => Ok(Format::JsonLines),
        "PARQUET" => Ok(Format::Parquet),
        other => Err(reader_failed(format!("`{other}` is no InputType for this"))),
    }
}

fn csv_options(config: &Fields<'_>) -> Result<CsvOptions, StatesError> {
    let delimiter = match config.text("CSVDelimiter")? {
        None | Some("COMMA") => b',',
        Some("PIPE") => b'|',
        Some("SEMICOLON") => b';',
        Some("SPACE") => b' ',
        Some("TAB") => b'\t',
        Some(other) => return Err(reader_failed(format!("`{other}` is no CSVDelimiter"))),
    };
    let headers = match config.text("CSVHeaderLocation")? {
        Some("FIRST_ROW") => None,
        Some("GIVEN") => Some(given_headers(config.object.get("CSVHeaders"))?),
        Some(other) => return Err(reader_failed(format!("`{other}` is no CSVHeaderLocation"))),
        None => return Err(reader_failed("CSV needs a CSVHeaderLocation")),
    };
    Ok(CsvOptions { delimiter, headers })
}

fn given_headers(given: Option<&Value>) -> Result<Vec<String>, StatesError> {
    let headers: Option<Vec<String>> = given
        .and_then(Value::as_array)
        .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
    let headers = headers
        .filter(|headers| !headers.is_empty())
        .ok_or_else(|| reader_failed("CSVHeaderLocation `GIVEN` needs CSVHeaders, an array of texts"))?;
    csv::check_headers(&headers)?;
    Ok(headers)
}

/// Reads an RFC 6901 pointer.
fn pointer(text: &str) -> Result<Vec<String>, StatesError> {
    if text.chars().count() >= POINTER_CHARS_MAX {
        return Err(reader_failed(format!(
            "ItemsPointer has {POINTER_CHARS_MAX} characters or more"
        )));
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let steps = text
        .strip_prefix('/')
        .ok_or_else(|| reader_failed(format!("the ItemsPointer `{text}` does not begin with `/`")))?;
    let unescape = |step: &str| step.replace("~1", "/").replace("~0", "~");
    Ok(steps.split('/').map(unescape).collect())
}

/// AWS reads the number's text as a 64-bit integer, so `"2"` is one and `2.0` is none. 0 is no limit.
fn max_items(value: Option<&Value>) -> Result<Option<u64>, StatesError> {
    let text = match value {
        None => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    match text.parse::<i64>() {
        Ok(0) => Ok(None),
        Ok(n) => match u64::try_from(n) {
            Ok(n) => Ok(Some(n.min(ITEMS_MAX))),
            Err(_) => Err(reader_failed("field MaxItems must be positive")),
        },
        Err(_) => Err(reader_failed(format!(
            "MaxItems is `{text}`, which is not a valid integer"
        ))),
    }
}

/// The members of an evaluated object.
struct Fields<'v> {
    name: &'static str,
    object: &'v Map<String, Value>,
}

impl<'v> Fields<'v> {
    fn new(name: &'static str, value: &'v Value) -> Result<Self, StatesError> {
        match value {
            Value::Object(object) => Ok(Self { name, object }),
            _ => Err(reader_failed(format!("{name} is no object"))),
        }
    }

    fn text(&self, field: &str) -> Result<Option<&'v str>, StatesError> {
        match self.object.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(reader_failed(format!("{}.{field} is no text", self.name))),
        }
    }

    fn required(&self, field: &str) -> Result<&'v str, StatesError> {
        let text = self.text(field)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| reader_failed(format!("{} has no {field}", self.name)))
    }

    fn refuse(&self, field: &str, what: &str) -> StatesError {
        reader_failed(format!("{}.{field} does not go with {what}", self.name))
    }

    fn refuse_fields(&self, fields: &[&str], what: &str) -> Result<(), StatesError> {
        match fields.iter().find(|field| self.object.contains_key(**field)) {
            Some(field) => Err(self.refuse(field, what)),
            None => Ok(()),
        }
    }
}
