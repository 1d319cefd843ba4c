//! From a Map Run's items to its children's inputs, one after the other.

use serde_json::Value;

use crate::asl::definition::ItemBatcher;
use crate::asl::definition::ItemReader;
use crate::asl::definition::Map;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::ResultWriter;
use crate::asl::definition::StateKind;
use crate::kernel::context::Extra;
use crate::kernel::context::Item;
use crate::kernel::core::Cx;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;
use crate::kernel::map_run::state::Batching;
use crate::kernel::map_run::state::MapRun;
use crate::kernel::map_run::state::Source;
use crate::model::payload::Payload;
use crate::model::quota::MAX_ITEMS_MAX;
use crate::model::quota::PAYLOAD_BYTES_MAX;
use crate::query::template::Template;

/// A child's input, and how many items are in it.
pub(super) struct Input {
    pub(super) input: Payload,
    pub(super) n_items: u64,
}

impl Cx<'_> {
    /// Returns the evaluated `ItemReader`. A negative `MaxItems` stays: it fails the Map Run, not the state.
    pub(super) fn reader_request(
        &self,
        frame: FrameId,
        reader: &ItemReader,
        effective: &Payload,
    ) -> Result<Payload, Failure> {
        let mut config = reader.config.value().clone();
        if let Some(field) = &reader.max_items {
            let max_items = self.signed_number(frame, field, "MaxItems", effective)?;
            config["MaxItems"] = Value::from(max_items.min(MAX_ITEMS_MAX));
        }
        let arguments = self.arguments(frame, "ItemReader", reader.parameters.as_ref(), effective)?;
        Ok(Payload::new(serde_json::json!({
            "Resource": &*reader.resource,
            "Arguments": arguments,
            "ReaderConfig": config,
        })))
    }

    /// Returns the evaluated `ResultWriter` when it exports.
    pub(super) fn writer_request(
        &self,
        frame: FrameId,
        writer: &ResultWriter,
        effective: &Payload,
    ) -> Result<Option<Payload>, Failure> {
        let Some(export) = &writer.export else {
            return Ok(None);
        };
        let arguments = self.arguments(frame, "ResultWriter", export.parameters.as_ref(), effective)?;
        Ok(Some(Payload::new(serde_json::json!({
            "Resource": &*export.resource,
            "Arguments": arguments,
            "WriterConfig": writer.config.value(),
        }))))
    }

    fn arguments(
        &self,
        frame: FrameId,
        owner: &str,
        template: Option<&Template>,
        effective: &Payload,
    ) -> Result<Value, Failure> {
        let Some(template) = template else {
            return Ok(Value::Object(serde_json::Map::new()));
        };
        let name = match self.state(frame).language {
            QueryLanguage::JsonPath => "Parameters",
            QueryLanguage::JsonAta => "Arguments",
        };
        let field = format!("{owner}/{name}");
        let found = self.evaluate(frame, template, effective.clone(), &Extra::default(), &field)?;
        Ok(found.value().clone())
    }

    /// Evaluates `ItemBatcher`, once for all batches.
    pub(super) fn batching(
        &self,
        frame: FrameId,
        batcher: &ItemBatcher,
        effective: &Payload,
    ) -> Result<Batching, Failure> {
        let items_max = match &batcher.items_per_batch {
            Some(field) => self.whole_number(frame, field, "MaxItemsPerBatch", effective, 1)?,
            None => u64::MAX,
        };
        let bytes_max = match &batcher.input_bytes_per_batch {
            Some(field) => self.whole_number(frame, field, "MaxInputBytesPerBatch", effective, 1)?,
            None => PAYLOAD_BYTES_MAX as u64,
        };
        let batch_input = match &batcher.batch_input {
            Some(template) => {
                let field = "ItemBatcher/BatchInput";
                Some(self.evaluate(frame, template, effective.clone(), &Extra::default(), field)?)
            }
            None => None,
        };
        let mut batching = Batching {
            batch_input,
            items_max,
            bytes_max,
            items: Vec::new(),
            bytes: 0,
        };
        batching.empty();
        Ok(batching)
    }

    /// Groups all items at once.
    pub(in crate::kernel) fn batches(
        &self,
        frame: FrameId,
        batcher: &ItemBatcher,
        effective: &Payload,
        items: Vec<Value>,
    ) -> Result<Vec<Value>, Failure> {
        let mut batching = self.batching(frame, batcher, effective)?;
        let mut inputs: Vec<Input> = items
            .into_iter()
            .filter_map(|item| batching.add(Payload::new(item)))
            .collect();
        if !batching.items.is_empty() {
            inputs.push(batching.finish());
        }
        Ok(inputs.iter().map(|input| input.input.value().clone()).collect())
    }

    /// Takes items until a child's input is complete; `None` when there is no item now.
    pub(super) fn next_input(&mut self, frame: FrameId) -> Result<Option<Input>, Failure> {
        loop {
            let Some(run) = self.core.map_run_mut(frame) else {
                return Ok(None);
            };
            let Some(item) = run.take_item() else {
                let is_end = run.has_all_items();
                let batch = run.batching.as_mut().filter(|batch| is_end && !batch.items.is_empty());
                return Ok(batch.map(Batching::finish));
            };
            let effective = run.effective.clone();
            let selected = self.select(frame, effective, item)?;
            let Some(run) = self.core.map_run_mut(frame) else {
                return Ok(None);
            };
            match &mut run.batching {
                None => {
                    return Ok(Some(Input {
                        input: selected,
                        n_items: 1,
                    }));
                }
                Some(batching) => {
                    if let Some(input) = batching.add(selected) {
                        return Ok(Some(input));
                    }
                }
            }
        }
    }

    fn select(&self, frame: FrameId, effective: Payload, item: Item) -> Result<Payload, Failure> {
        let StateKind::Map(map) = &self.state(frame).kind else {
            return Ok(Payload::new(item.value));
        };
        let Map { item_selector, .. } = &**map;
        match (item_selector, item.key) {
            (Some(template), key) => {
                let extra = Extra {
                    item: Some(Item { key, ..item }),
                    ..Extra::default()
                };
                self.evaluate(frame, template, effective, &extra, "ItemSelector")
            }
            (None, key) => Ok(Payload::new(plain(key, item.value))),
        }
    }
}

impl MapRun {
    fn take_item(&mut self) -> Option<Item> {
        let index = self.n_taken;
        let item = match &mut self.source {
            Source::Data(items) => {
                let place = usize::try_from(index).ok()?;
                let (key, value) = match items.value() {
                    Value::Array(items) => (None, items.get(place)?.clone()),
                    Value::Object(pairs) => {
                        let (key, value) = pairs.iter().nth(place)?;
                        (Some(key.clone()), value.clone())
                    }
                    _ => return None,
                };
                Item {
                    index,
                    key,
                    value,
                    source: Some("STATE_DATA".into()),
                }
            }
            Source::Reader {
                buffer, buffer_bytes, ..
            } => {
                let item = buffer.pop_front()?;
                *buffer_bytes -= item.value.text().len();
                Item {
                    index,
                    key: item.key,
                    value: item.value.value().clone(),
                    source: Some(item.source),
                }
            }
        };
        self.n_taken += 1;
        Some(item)
    }
}

impl Batching {
    /// Adds an item; returns the batch that it completes, or that was full without it.
    ///
    /// An item that is too large for any batch is one of its own.
    fn add(&mut self, item: Payload) -> Option<Input> {
        let size = item.text().len() as u64 + 1;
        let overflows = !self.items.is_empty() && self.bytes + size > self.bytes_max;
        let before = overflows.then(|| self.finish());
        self.bytes += size;
        self.items.push(item);
        if before.is_none() && self.items_max <= self.items.len() as u64 {
            return Some(self.finish());
        }
        before
    }

    /// Returns the batch as a child's input: `{"BatchInput"?: …, "Items": […]}`.
    fn finish(&mut self) -> Input {
        let items = std::mem::take(&mut self.items);
        let n_items = items.len() as u64;
        let mut input = serde_json::Map::new();
        if let Some(shared) = &self.batch_input {
            input.insert("BatchInput".to_owned(), shared.value().clone());
        }
        let items = items.iter().map(|item| item.value().clone()).collect();
        input.insert("Items".to_owned(), Value::Array(items));
        self.empty();
        Input {
            input: Payload::new(Value::Object(input)),
            n_items,
        }
    }

    /// Counts the bytes around the items.
    fn empty(&mut self) {
        let shared = self.batch_input.as_ref().map_or(0, |shared| shared.text().len() + 14);
        self.bytes = (shared + "{\"Items\":[]}".len()) as u64;
    }
}

/// An item without `ItemSelector`.
pub(in crate::kernel) fn plain(key: Option<String>, value: Value) -> Value {
    match key {
        Some(key) => serde_json::json!({ "Key": key, "Value": value }),
        None => value,
    }
}

/// The items with their keys, where they have some.
pub(in crate::kernel) fn pairs(items: &Value) -> Vec<(Option<String>, Value)> {
    match items {
        Value::Array(items) => items.iter().map(|item| (None, item.clone())).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (Some(key.clone()), value.clone()))
            .collect(),
        _ => Vec::new(),
    }
}
