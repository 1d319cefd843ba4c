//! The Map state.

use std::sync::Arc;

use crate::asl::compile::fields::Object;
use crate::asl::compile::fields::PROCESSOR_CONFIG;
use crate::asl::compile::machine::Compiler;
use crate::asl::compile::number::Range;
use crate::asl::definition::Items;
use crate::asl::definition::Map;
use crate::asl::definition::MapMode;
use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::model::entropy::Entropy;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonata::expression::FieldScope;

/// Longest `Label`, in characters.
const LABEL_CHARS_MAX: usize = 40;
/// `MaxConcurrency` and `ToleratedFailureCount`.
const COUNT: Range = Range::integer(0, u32::MAX).without_context();
/// `ToleratedFailurePercentage`.
const PERCENTAGE: Range = Range {
    min: 0.0,
    max: 100.0,
    is_integer: false,
    takes_context: false,
};
/// The fields that an inline Map does not have; it does accept `ToleratedFailure…` (recorded).
const DISTRIBUTED_ONLY: &[&str] = &["ItemReader", "ItemBatcher", "ResultWriter"];

impl<'n> Compiler<'n, '_> {
    /// Reads what a Map adds.
    pub(super) fn map(&mut self, name: &str, object: &Object<'n>) -> Option<Map> {
        let processor_name = if object.has("ItemProcessor") {
            "ItemProcessor"
        } else {
            "Iterator"
        };
        let has_processor = if object.has(processor_name) {
            self.at_most_one(object, &["ItemProcessor", "Iterator"])
        } else {
            self.required(object, &["ItemProcessor"])
        };
        let processor = if has_processor {
            self.object(object, processor_name)
        } else {
            None
        };
        let mode = processor
            .as_ref()
            .map_or(MapMode::Inline, |processor| self.mode(processor));
        let is_distributed = matches!(mode, MapMode::Distributed { .. });
        if !is_distributed && processor.is_some() {
            for member in object.node.members() {
                if DISTRIBUTED_ONLY.contains(&member.key.as_str()) {
                    let message = format!("Field '{}' is not supported", member.key);
                    self.refuse(&object.at, member.key_span, message);
                }
            }
        }
        let express = self.here.express || mode == MapMode::Distributed { express: true };
        let block = processor.map(|processor| self.queue_block(processor, false, express));
        if is_distributed && let Some(block) = block {
            self.isolated.insert(block);
        }
        if !self.is_jsonata() {
            self.at_most_one(object, &["ItemSelector", "Parameters"]);
        }
        let selector = match object.has("ItemSelector") {
            true => self.template(object, "ItemSelector", FieldScope::Input),
            false => self.jsonpath_template(object, "Parameters"),
        };
        Some(Map {
            mode,
            label: self.label(object).unwrap_or_else(|| generated_label(name)),
            items: self.items(object),
            item_reader: self.item_reader(object),
            item_selector: selector,
            item_batcher: self.item_batcher(object),
            max_concurrency: self.number(object, "MaxConcurrency", COUNT),
            tolerated_failure_count: self.number(object, "ToleratedFailureCount", COUNT),
            tolerated_failure_percentage: self.number(object, "ToleratedFailurePercentage", PERCENTAGE),
            result_writer: self.result_writer(object),
            block: block?,
        })
    }

    fn mode(&mut self, processor: &Object<'n>) -> MapMode {
        let Some(config) = self.object(processor, "ProcessorConfig") else {
            return MapMode::Inline;
        };
        self.check_fields(&config, PROCESSOR_CONFIG);
        let mode = self.one_of(&config, "Mode", &["INLINE", "DISTRIBUTED"]);
        let execution_type = self.one_of(&config, "ExecutionType", &["STANDARD", "EXPRESS"]);
        if mode != Some("DISTRIBUTED") {
            return MapMode::Inline;
        }
        if self.here.express {
            self.refuse_field(
                &config,
                "Mode",
                "Express state machine does not support Map state in DISTRIBUTED mode",
            );
        }
        self.required(&config, &["ExecutionType"]);
        MapMode::Distributed {
            express: execution_type == Some("EXPRESS"),
        }
    }

    fn items(&mut self, object: &Object<'n>) -> Items {
        if self.is_jsonata() {
            return self.jsonata_items(object).unwrap_or(Items::Input);
        }
        if object.has("ItemsPath") {
            return self.path(object, "ItemsPath").map_or(Items::Input, Items::Path);
        }
        Items::Input
    }

    fn jsonata_items(&mut self, object: &Object<'n>) -> Option<Items> {
        let node = object.get("Items")?;
        let is_items = match &node.kind {
            Kind::Array(_) | Kind::Object(_) | Kind::Open(_) => true,
            Kind::String(text) => Expression::is_expression(text),
            _ => false,
        };
        if !is_items {
            self.wrong_type(&object.at("Items"), node, "ARRAY");
            return None;
        }
        self.template(object, "Items", FieldScope::Input).map(Items::Template)
    }

    fn label(&mut self, object: &Object<'n>) -> Option<Arc<str>> {
        let label = self.string(object, "Label")?;
        if object.get("Label").is_some_and(Node::is_open) {
            return Some(Arc::from(label));
        }
        let span = object.get("Label").map_or(object.node.span, |node| node.span);
        let at = object.at("Label");
        let n_chars = label.chars().count();
        if n_chars == 0 || LABEL_CHARS_MAX < n_chars || label.chars().any(is_forbidden) {
            self.report("INVALID_LABEL_NAME", &at, span, format!("Invalid Label name: {label}"));
        }
        if !self.labels.insert(label) {
            self.report(
                "DUPLICATE_LABEL_NAME",
                &at,
                span,
                format!("Duplicate Label name: {label}"),
            );
        }
        Some(Arc::from(label))
    }
}

/// Returns the label of a Map without one: the same for all executions, and other than those of the other states.
fn generated_label(name: &str) -> Arc<str> {
    // FNV-1a.
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Entropy::new(seed).uuid().into()
}

fn is_forbidden(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "?*<>{}[]:;,\\|^~$#%&`\"".contains(c)
}
