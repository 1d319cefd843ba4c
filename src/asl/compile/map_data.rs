//! Where a Distributed Map's items come from and its results go: `ItemReader`, `ItemBatcher`, `ResultWriter`.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::asl::compile::fields::ITEM_BATCHER;
use crate::asl::compile::fields::ITEM_READER;
use crate::asl::compile::fields::Object;
use crate::asl::compile::fields::READER_CONFIG;
use crate::asl::compile::fields::RESULT_WRITER;
use crate::asl::compile::fields::WRITER_CONFIG;
use crate::asl::compile::machine::Compiler;
use crate::asl::compile::number::Range;
use crate::asl::compile::task::not_recognized;
use crate::asl::definition::Export;
use crate::asl::definition::ItemBatcher;
use crate::asl::definition::ItemReader;
use crate::asl::definition::ResultWriter;
use crate::asl::definition::Transformation;
use crate::asl::node::Node;
use crate::model::payload::Payload;
use crate::query::jsonata::expression::FieldScope;

/// `MaxItems`.
const MAX_ITEMS: Range = Range::integer(0, 100_000_000).without_context();
/// `MaxItemsPerBatch`.
const ITEMS_PER_BATCH: Range = Range::integer(0, u32::MAX).without_context();
/// `MaxInputBytesPerBatch`.
const INPUT_BYTES_PER_BATCH: Range = Range::integer(0, 262_144).without_context();

impl<'n> Compiler<'n, '_> {
    /// Reads `ItemReader`.
    pub(super) fn item_reader(&mut self, object: &Object<'n>) -> Option<ItemReader> {
        let reader = self.object(object, "ItemReader")?;
        self.check_language_fields(&reader, ITEM_READER);
        self.required(&reader, &["Resource"]);
        let resource = self.s3_resource(&reader, &["s3:getObject", "s3:listObjectsV2"]);
        let parameters = self.parameters(&reader);
        let mut item_reader = ItemReader {
            resource: Arc::from(resource.unwrap_or_default()),
            parameters,
            config: Payload::new(Value::Object(Map::new())),
            max_items: None,
        };
        if let Some(config) = self.object(&reader, "ReaderConfig") {
            let lists = resource.is_some_and(|resource| resource.ends_with(":listObjectsV2"));
            self.reader_config(&config, lists);
            item_reader.config = without(config.node, &["MaxItems", "MaxItemsPath"]);
            item_reader.max_items = self.number(&config, "MaxItems", MAX_ITEMS);
        }
        Some(item_reader)
    }

    fn reader_config(&mut self, config: &Object<'n>, lists: bool) {
        self.check_language_fields(config, READER_CONFIG);
        let input_type = self.one_of(config, "InputType", &["CSV", "JSON", "JSONL", "PARQUET", "MANIFEST"]);
        let transformation = self.one_of(config, "Transformation", &["NONE", "LOAD_AND_FLATTEN"]);
        let manifest_type = self.one_of(config, "ManifestType", &["ATHENA_DATA", "S3_INVENTORY"]);
        self.one_of(config, "CSVDelimiter", &["COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB"]);
        if self.one_of(config, "CSVHeaderLocation", &["FIRST_ROW", "GIVEN"]) == Some("GIVEN") {
            self.required(config, &["CSVHeaders"]);
        }
        let headers = self.array(config, "CSVHeaders");
        if headers.is_some_and(<[Node]>::is_empty) {
            self.refuse_field(config, "CSVHeaders", "Value cannot be empty");
        }
        for (index, header) in headers.unwrap_or_default().iter().enumerate() {
            if header.text().is_none() {
                self.wrong_type(&format!("{}[{index}]", config.at("CSVHeaders")), header, "STRING");
            }
        }
        self.string(config, "ItemsPointer");
        // The guide's table of combinations; its words for the others are not known.
        let unsupported: &[&str] = match (lists, transformation, manifest_type) {
            (true, Some("LOAD_AND_FLATTEN"), _) => &["ManifestType"],
            (true, ..) => &["ManifestType", "InputType"],
            (false, _, Some("S3_INVENTORY")) => &["InputType"],
            (false, ..) => &[],
        };
        for name in unsupported.iter().filter(|name| config.has(name)) {
            let message = format!("Field '{name}' is not supported");
            self.refuse(&config.at, config.node.span, message);
        }
        match (lists, transformation, manifest_type, input_type) {
            (false, Some("LOAD_AND_FLATTEN"), ..) => {
                self.refuse_field(config, "Transformation", "Value should be one of the following: [NONE]");
            }
            (true, Some("LOAD_AND_FLATTEN"), _, None) | (false, _, Some("ATHENA_DATA"), None) => {
                self.required(config, &["InputType"]);
            }
            (true, Some("LOAD_AND_FLATTEN"), _, Some("MANIFEST")) => {
                let message = "Value should be one of the following: [CSV, JSON, JSONL, PARQUET]";
                self.refuse_field(config, "InputType", message);
            }
            (false, _, Some("ATHENA_DATA"), Some("JSON" | "MANIFEST")) => {
                let message = "Value should be one of the following: [CSV, JSONL, PARQUET]";
                self.refuse_field(config, "InputType", message);
            }
            _ => {}
        }
        if config.has("ItemsPointer") && input_type.is_some_and(|input_type| input_type != "JSON") {
            let message = "Field 'ItemsPointer' is not supported";
            self.refuse(&config.at, config.node.span, message);
        }
    }

    /// Reads `ItemBatcher`.
    pub(super) fn item_batcher(&mut self, object: &Object<'n>) -> Option<ItemBatcher> {
        let batcher = self.object(object, "ItemBatcher")?;
        self.check_language_fields(&batcher, ITEM_BATCHER);
        let limits: Vec<&str> = ITEM_BATCHER
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| *name != "BatchInput")
            .collect();
        if !limits.iter().any(|name| batcher.has(name)) {
            let message =
                "There should be at least one of the following fields: [MaxItemsPerBatch, MaxInputBytesPerBatch]";
            self.refuse(&batcher.at, batcher.node.span, message);
        }
        Some(ItemBatcher {
            batch_input: self.template(&batcher, "BatchInput", FieldScope::Input),
            items_per_batch: self.number(&batcher, "MaxItemsPerBatch", ITEMS_PER_BATCH),
            input_bytes_per_batch: self.number(&batcher, "MaxInputBytesPerBatch", INPUT_BYTES_PER_BATCH),
        })
    }

    /// Reads `ResultWriter`.
    pub(super) fn result_writer(&mut self, object: &Object<'n>) -> Option<ResultWriter> {
        let writer = self.object(object, "ResultWriter")?;
        self.check_language_fields(&writer, RESULT_WRITER);
        let resource = self.s3_resource(&writer, &["s3:putObject"]);
        let parameters = self.parameters(&writer);
        let mut result_writer = ResultWriter {
            export: resource.map(|resource| Export {
                resource: Arc::from(resource),
                parameters,
            }),
            config: Payload::new(Value::Object(Map::new())),
            transformation: None,
        };
        if let Some(config) = self.object(&writer, "WriterConfig") {
            self.check_fields(&config, WRITER_CONFIG);
            self.one_of(&config, "OutputType", &["JSON", "JSONL"]);
            result_writer.config = without(config.node, &[]);
            let transformation = self.one_of(&config, "Transformation", &["NONE", "COMPACT", "FLATTEN"]);
            result_writer.transformation = transformation.map(|transformation| match transformation {
                "COMPACT" => Transformation::Compact,
                "FLATTEN" => Transformation::Flatten,
                _ => Transformation::None,
            });
        }
        Some(result_writer)
    }

    fn s3_resource(&mut self, object: &Object<'n>, actions: &[&str]) -> Option<&'n str> {
        let text = self.string(object, "Resource")?;
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let known = matches!(parts.as_slice(), ["arn", _, "states", _, _, action] if actions.contains(action));
        if !known && !object.get("Resource").is_some_and(Node::is_open) {
            self.refuse_field(object, "Resource", not_recognized(text));
        }
        Some(text)
    }
}

/// Returns an object's value without some of its members.
fn without(node: &Node, names: &[&str]) -> Payload {
    let mut value = node.to_value();
    if let Some(members) = value.as_object_mut() {
        members.retain(|name, _| !names.contains(&name.as_str()));
    }
    Payload::new(value)
}
