//! Where a Distributed Map's items come from and its results go: `ItemReader`, `ItemBatcher`, `ResultWriter`.

use crate::asl::compile::fields::ITEM_BATCHER;
use crate::asl::compile::fields::ITEM_READER;
use crate::asl::compile::fields::Object;
use crate::asl::compile::fields::READER_CONFIG;
use crate::asl::compile::fields::RESULT_WRITER;
use crate::asl::compile::fields::WRITER_CONFIG;
use crate::asl::compile::machine::Compiler;
use crate::asl::compile::number::Range;
use crate::asl::compile::task::not_recognized;
use crate::asl::definition::ItemBatcher;
use crate::asl::definition::ResultWriter;
use crate::asl::node::Node;
use crate::query::jsonata::expression::FieldScope;

/// `MaxItems`.
const MAX_ITEMS: Range = Range::integer(0, 100_000_000).without_context();
/// `MaxItemsPerBatch`.
const ITEMS_PER_BATCH: Range = Range::integer(0, u32::MAX).without_context();
/// `MaxInputBytesPerBatch`.
const INPUT_BYTES_PER_BATCH: Range = Range::integer(0, 262_144).without_context();

impl<'n> Compiler<'n, '_> {
    /// Checks `ItemReader` and tells whether there is one.
    pub(super) fn item_reader(&mut self, object: &Object<'n>) -> bool {
        if !object.has("ItemReader") {
            return false;
        }
        let Some(reader) = self.object(object, "ItemReader") else {
            return true;
        };
        self.check_language_fields(&reader, ITEM_READER);
        self.required(&reader, &["Resource"]);
        self.s3_resource(&reader, &["s3:getObject", "s3:listObjectsV2"]);
        self.parameters(&reader);
        if let Some(config) = self.object(&reader, "ReaderConfig") {
            self.reader_config(&config);
        }
        true
    }

    fn reader_config(&mut self, config: &Object<'n>) {
        self.check_language_fields(config, READER_CONFIG);
        self.one_of(config, "InputType", &["CSV", "JSON", "JSONL", "PARQUET", "MANIFEST"]);
        self.one_of(config, "Transformation", &["NONE", "LOAD_AND_FLATTEN"]);
        self.one_of(config, "ManifestType", &["ATHENA_DATA", "S3_INVENTORY"]);
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
        self.number(config, "MaxItems", MAX_ITEMS);
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
        self.s3_resource(&writer, &["s3:putObject"]);
        self.parameters(&writer);
        let mut transformation = None;
        if let Some(config) = self.object(&writer, "WriterConfig") {
            self.check_fields(&config, WRITER_CONFIG);
            self.one_of(&config, "OutputType", &["JSON", "JSONL"]);
            transformation = self.one_of(&config, "Transformation", &["NONE", "COMPACT", "FLATTEN"]);
        }
        Some(ResultWriter {
            exports: writer.has("Resource"),
            flattens: transformation == Some("FLATTEN"),
        })
    }

    fn s3_resource(&mut self, object: &Object<'n>, actions: &[&str]) {
        let Some(text) = self.string(object, "Resource") else {
            return;
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let known = matches!(parts.as_slice(), ["arn", _, "states", _, _, action] if actions.contains(action));
        if !known && !object.get("Resource").is_some_and(Node::is_open) {
            self.refuse_field(object, "Resource", not_recognized(text));
        }
    }
}
