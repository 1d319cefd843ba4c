//! The result files of a Map Run and their manifest.

use std::io::Write;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::items::bucket::BucketError;
use crate::items::bucket::Buckets;
use crate::items::bucket::NewObject;
use crate::items::record::ChildEnd;
use crate::items::record::ChildRecord;
use crate::items::record::Transformation;
use crate::items::text::Text;
use crate::model::states_error::StatesError;

/// Largest result file in AWS, in bytes.
pub const FILE_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// Largest manifest of an earlier attempt that is read, in bytes.
const MANIFEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The three kinds of result files, in the manifest's order.
const KINDS: [&str; 3] = ["FAILED", "PENDING", "SUCCEEDED"];
const FAILED: usize = 0;
const PENDING: usize = 1;
const SUCCEEDED: usize = 2;

/// `WriterConfig.OutputType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputType {
    /// One array a file.
    Json,
    /// One value a line.
    JsonLines,
}

/// A `ResultWriter` that exports, with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterSpec {
    /// `Bucket`.
    pub bucket: String,
    /// `Prefix`, verbatim; may be empty.
    pub prefix: String,
    /// `OutputType`.
    pub output_type: OutputType,
    /// `Transformation`.
    pub transformation: Transformation,
}

impl WriterSpec {
    /// Reads the evaluated `Parameters` (or `Arguments`) and the `WriterConfig`.
    ///
    /// # Errors
    /// `States.ResultWriterFailed`: a value is missing or is none of those there are.
    pub fn parse(parameters: &Value, config: Option<&Value>) -> Result<Self, StatesError> {
        let text = |object: Option<&Value>, field: &str| match object.and_then(|object| object.get(field)) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(failed(format!("{field} is no text"))),
        };
        let bucket = text(Some(parameters), "Bucket")?.filter(|bucket| !bucket.is_empty());
        Ok(Self {
            bucket: bucket.ok_or_else(|| failed("Parameters has no Bucket"))?,
            prefix: text(Some(parameters), "Prefix")?.unwrap_or_default(),
            output_type: match text(config, "OutputType")?.as_deref() {
                None | Some("JSON") => OutputType::Json,
                Some("JSONL") => OutputType::JsonLines,
                Some(other) => return Err(failed(format!("`{other}` is no OutputType"))),
            },
            transformation: match text(config, "Transformation")?.as_deref() {
                None => Transformation::None,
                Some(other) => {
                    Transformation::parse(other).ok_or_else(|| failed(format!("`{other}` is no Transformation")))?
                }
            },
        })
    }
}

/// Writes the records of a Map Run's children as they come. Files are visible once they are whole.
pub struct ResultWriter {
    buckets: Arc<dyn Buckets>,
    spec: WriterSpec,
    map_run_arn: String,
    /// The key before the names of the files, with a `/` at its end.
    folder: String,
    file_bytes_max: u64,
    kinds: [Kind; 3],
}

#[derive(Default)]
struct Kind {
    open: Option<OpenFile>,
    n_files: u32,
    /// `{"Key", "Size"}` each.
    written: Vec<Value>,
}

struct OpenFile {
    object: Box<dyn NewObject>,
    key: String,
    bytes: u64,
}

impl ResultWriter {
    /// Begins the results of a Map Run; a file is closed before it would pass `file_bytes_max`.
    ///
    /// `redrive` counts the Map Run's redrives. The results of a redrive lie in a folder of their own; its
    /// manifest also names what earlier attempts wrote about children that succeeded.
    ///
    /// # Errors
    /// `States.ResultWriterFailed`: the bucket is missing or cannot be written to.
    pub fn new(
        spec: WriterSpec,
        map_run_arn: &str,
        redrive: u32,
        buckets: Arc<dyn Buckets>,
        file_bytes_max: u64,
    ) -> Result<Self, StatesError> {
        let uuid = map_run_arn.rsplit(':').next().unwrap_or_default();
        let separator = match spec.prefix.as_str() {
            "" => "",
            prefix if prefix.ends_with('/') => "",
            _ => "/",
        };
        let run = format!("{}{separator}{uuid}/", spec.prefix);
        let folder = |attempt: u32| match attempt {
            0 => run.clone(),
            n => format!("{run}Redrive-{n}/"),
        };
        let mut writer = Self {
            folder: folder(redrive),
            kinds: std::array::from_fn(|_| Kind::default()),
            map_run_arn: map_run_arn.to_owned(),
            buckets,
            spec,
            file_bytes_max,
        };
        if let Some(earlier) = redrive.checked_sub(1) {
            let manifest = format!("{}manifest.json", folder(earlier));
            writer.kinds[SUCCEEDED].written = writer.earlier(&manifest)?;
        }
        Ok(writer)
    }

    /// Tells whether the attempt before left a manifest with children that succeeded.
    pub fn has_earlier(&self) -> bool {
        !self.kinds[SUCCEEDED].written.is_empty()
    }

    /// Writes one child's record.
    ///
    /// # Errors
    /// `States.ResultWriterFailed`: it could not be written.
    pub fn write(&mut self, child: &ChildRecord<'_>) -> Result<(), StatesError> {
        let kind = match child.end {
            ChildEnd::Failed { .. } => FAILED,
            ChildEnd::Pending => PENDING,
            ChildEnd::Succeeded { .. } => SUCCEEDED,
        };
        let texts = child.texts(self.spec.transformation).map_err(as_failed)?;
        texts.iter().try_for_each(|text| self.put(kind, text))
    }

    /// Closes the files and writes the manifest. Returns the state's result.
    ///
    /// # Errors
    /// `States.ResultWriterFailed`: it could not be written.
    pub fn finish(mut self) -> Result<Value, StatesError> {
        let mut files = Map::new();
        for (kind, name) in KINDS.iter().enumerate() {
            self.close(kind)?;
            let written = std::mem::take(&mut self.kinds[kind].written);
            files.insert((*name).to_owned(), Value::Array(written));
        }
        let manifest = json!({
            "DestinationBucket": self.spec.bucket,
            "MapRunArn": self.map_run_arn,
            "ResultFiles": files,
        });
        let key = format!("{}manifest.json", self.folder);
        let mut file = self.create(key)?;
        self.append(&mut file, &manifest.to_string())?;
        file.object.finish().map_err(|error| error.writer_failed())?;
        Ok(json!({
            "MapRunArn": self.map_run_arn,
            "ResultWriterDetails": {"Bucket": self.spec.bucket, "Key": file.key},
        }))
    }

    fn put(&mut self, kind: usize, text: &str) -> Result<(), StatesError> {
        let (between, end) = match self.spec.output_type {
            OutputType::Json => (",", "]"),
            OutputType::JsonLines => ("\n", "\n"),
        };
        let more = (between.len() + text.len() + end.len()) as u64;
        let is_full = |file: &OpenFile| file.bytes + more > self.file_bytes_max;
        if self.kinds[kind].open.as_ref().is_some_and(is_full) {
            self.close(kind)?;
        }
        let (mut file, before) = match self.kinds[kind].open.take() {
            Some(file) => (file, between),
            None => {
                let key = format!("{}{}_{}.json", self.folder, KINDS[kind], self.kinds[kind].n_files);
                self.kinds[kind].n_files += 1;
                let start = match self.spec.output_type {
                    OutputType::Json => "[",
                    OutputType::JsonLines => "",
                };
                (self.create(key)?, start)
            }
        };
        self.append(&mut file, before)?;
        match self.spec.output_type {
            // An output keeps its text, which may hold line feeds between its tokens.
            OutputType::JsonLines if text.contains('\n') => {
                let value: Value = serde_json::from_str(text).map_err(failed)?;
                self.append(&mut file, &value.to_string())?;
            }
            _ => self.append(&mut file, text)?,
        }
        self.kinds[kind].open = Some(file);
        Ok(())
    }

    fn close(&mut self, kind: usize) -> Result<(), StatesError> {
        let Some(mut file) = self.kinds[kind].open.take() else {
            return Ok(());
        };
        let end = match self.spec.output_type {
            OutputType::Json => "]",
            OutputType::JsonLines => "\n",
        };
        self.append(&mut file, end)?;
        file.object.finish().map_err(|error| error.writer_failed())?;
        let written = json!({"Key": file.key, "Size": file.bytes});
        self.kinds[kind].written.push(written);
        Ok(())
    }

    fn create(&self, key: String) -> Result<OpenFile, StatesError> {
        let created = self.buckets.create(&self.spec.bucket, &key);
        Ok(OpenFile {
            object: created.map_err(|error| error.writer_failed())?,
            key,
            bytes: 0,
        })
    }

    fn append(&self, file: &mut OpenFile, text: &str) -> Result<(), StatesError> {
        file.object.write_all(text.as_bytes()).map_err(|source| {
            let (bucket, key) = (self.spec.bucket.clone(), file.key.clone());
            BucketError::Io { bucket, key, source }.writer_failed()
        })?;
        file.bytes += text.len() as u64;
        Ok(())
    }

    /// Returns what an earlier attempt wrote about children that succeeded; nothing when it wrote no manifest.
    fn earlier(&self, key: &str) -> Result<Vec<Value>, StatesError> {
        if let Err(BucketError::Service(_)) = self.buckets.open(&self.spec.bucket, key) {
            return Ok(Vec::new());
        }
        let text = Text::open(&*self.buckets, &self.spec.bucket, key).map_err(as_failed)?;
        let manifest = text.whole(MANIFEST_BYTES_MAX).map_err(as_failed)?;
        let mut manifest: Value = serde_json::from_slice(&manifest).map_err(failed)?;
        match manifest.pointer_mut("/ResultFiles/SUCCEEDED").map(Value::take) {
            Some(Value::Array(files)) => Ok(files),
            _ => Err(failed(format!("{key} is not the manifest of a Map Run"))),
        }
    }
}

fn failed(cause: impl std::fmt::Display) -> StatesError {
    StatesError::new("States.ResultWriterFailed", cause.to_string())
}

/// What cannot be read here is a failure of the writer.
fn as_failed(error: StatesError) -> StatesError {
    failed(error.cause.unwrap_or_default())
}
