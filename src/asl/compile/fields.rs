//! Which fields exist where, and how plain ones are read.

use crate::asl::compile::machine::Compiler;
use crate::asl::definition::QueryLanguage;
use crate::asl::node::Kind;
use crate::asl::node::Member;
use crate::asl::node::Node;

/// Which query language a field belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Ata,
    Both,
    Path,
}

/// A list of fields.
pub(crate) type Fields = &'static [(&'static str, Mode)];

use Mode::Ata;
use Mode::Both;
use Mode::Path;

/// What every state has.
const COMMON: Fields = &[("Type", Both), ("Comment", Both), ("QueryLanguage", Both)];
pub(super) const MACHINE: Fields = &[
    ("StartAt", Both),
    ("States", Both),
    ("Comment", Both),
    ("Version", Both),
    ("QueryLanguage", Both),
    ("TimeoutSeconds", Both),
];
pub(super) const BRANCH: Fields = &[("StartAt", Both), ("States", Both), ("Comment", Both)];
pub(super) const PROCESSOR: Fields = &[
    ("StartAt", Both),
    ("States", Both),
    ("Comment", Both),
    ("ProcessorConfig", Both),
];
pub(super) const PROCESSOR_CONFIG: Fields = &[("Mode", Both), ("ExecutionType", Both)];
pub(super) const RETRIER: Fields = &[
    ("ErrorEquals", Both),
    ("IntervalSeconds", Both),
    ("MaxAttempts", Both),
    ("BackoffRate", Both),
    ("MaxDelaySeconds", Both),
    ("JitterStrategy", Both),
    ("Comment", Both),
];
pub(super) const CATCHER: Fields = &[
    ("ErrorEquals", Both),
    ("Next", Both),
    ("ResultPath", Path),
    ("Output", Ata),
    ("Assign", Both),
    ("Comment", Both),
];
pub(super) const CREDENTIALS: Fields = &[("RoleArn", Both), ("RoleArn.$", Path)];
pub(super) const ITEM_READER: Fields = &[
    ("Resource", Both),
    ("Parameters", Path),
    ("Arguments", Ata),
    ("ReaderConfig", Both),
];
pub(super) const READER_CONFIG: Fields = &[
    ("InputType", Both),
    ("Transformation", Both),
    ("ManifestType", Both),
    ("CSVHeaderLocation", Both),
    ("CSVHeaders", Both),
    ("CSVDelimiter", Both),
    ("ItemsPointer", Both),
    ("MaxItems", Both),
    ("MaxItemsPath", Path),
];
pub(super) const ITEM_BATCHER: Fields = &[
    ("BatchInput", Both),
    ("MaxItemsPerBatch", Both),
    ("MaxItemsPerBatchPath", Path),
    ("MaxInputBytesPerBatch", Both),
    ("MaxInputBytesPerBatchPath", Path),
];
pub(super) const RESULT_WRITER: Fields = &[
    ("Resource", Both),
    ("Parameters", Path),
    ("Arguments", Ata),
    ("WriterConfig", Both),
];
pub(super) const WRITER_CONFIG: Fields = &[("OutputType", Both), ("Transformation", Both)];

/// The state types, in AWS's order, and their fields beside `Type`, `Comment` and `QueryLanguage`.
pub(crate) const STATE_TYPES: &[(&str, Fields)] = &[
    (
        "Task",
        &[
            ("Resource", Both),
            ("InputPath", Path),
            ("OutputPath", Path),
            ("Parameters", Path),
            ("ResultSelector", Path),
            ("ResultPath", Path),
            ("Arguments", Ata),
            ("Output", Ata),
            ("Assign", Both),
            ("Credentials", Both),
            ("TimeoutSeconds", Both),
            ("TimeoutSecondsPath", Path),
            ("HeartbeatSeconds", Both),
            ("HeartbeatSecondsPath", Path),
            ("Retry", Both),
            ("Catch", Both),
            ("Next", Both),
            ("End", Both),
        ],
    ),
    (
        "Wait",
        &[
            ("InputPath", Path),
            ("OutputPath", Path),
            ("Output", Ata),
            ("Assign", Both),
            ("Seconds", Both),
            ("SecondsPath", Path),
            ("Timestamp", Both),
            ("TimestampPath", Path),
            ("Next", Both),
            ("End", Both),
        ],
    ),
    (
        "Pass",
        &[
            ("Result", Path),
            ("InputPath", Path),
            ("OutputPath", Path),
            ("Parameters", Path),
            ("ResultPath", Path),
            ("Output", Ata),
            ("Assign", Both),
            ("Next", Both),
            ("End", Both),
        ],
    ),
    ("Succeed", &[("InputPath", Path), ("OutputPath", Path), ("Output", Ata)]),
    (
        "Fail",
        &[
            ("Error", Both),
            ("ErrorPath", Path),
            ("Cause", Both),
            ("CausePath", Path),
        ],
    ),
    (
        "Choice",
        &[
            ("Choices", Both),
            ("Default", Both),
            ("InputPath", Path),
            ("OutputPath", Path),
            ("Output", Ata),
            ("Assign", Both),
        ],
    ),
    (
        "Parallel",
        &[
            ("Branches", Both),
            ("InputPath", Path),
            ("OutputPath", Path),
            ("Parameters", Path),
            ("ResultSelector", Path),
            ("ResultPath", Path),
            ("Arguments", Ata),
            ("Output", Ata),
            ("Assign", Both),
            ("Retry", Both),
            ("Catch", Both),
            ("Next", Both),
            ("End", Both),
        ],
    ),
    (
        "Map",
        &[
            ("ItemProcessor", Both),
            ("Iterator", Both),
            ("ItemsPath", Path),
            ("Items", Ata),
            ("ItemSelector", Both),
            ("Parameters", Path),
            ("ItemReader", Both),
            ("ItemBatcher", Both),
            ("ResultWriter", Both),
            ("Label", Both),
            ("MaxConcurrency", Both),
            ("MaxConcurrencyPath", Path),
            ("ToleratedFailureCount", Both),
            ("ToleratedFailureCountPath", Path),
            ("ToleratedFailurePercentage", Both),
            ("ToleratedFailurePercentagePath", Path),
            ("InputPath", Path),
            ("OutputPath", Path),
            ("ResultSelector", Path),
            ("ResultPath", Path),
            ("Output", Ata),
            ("Assign", Both),
            ("Retry", Both),
            ("Catch", Both),
            ("Next", Both),
            ("End", Both),
        ],
    ),
];

/// An object and where AWS says it is.
#[derive(Clone)]
pub(super) struct Object<'n> {
    pub(super) node: &'n Node,
    /// Empty for the machine itself.
    pub(super) at: String,
}

impl<'n> Object<'n> {
    pub(super) fn new(node: &'n Node, at: String) -> Self {
        Self { node, at }
    }

    /// Returns a field.
    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        self.node.get(name)
    }

    /// Tells whether a field is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns the location of a field.
    pub(super) fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }
}

impl<'n> Compiler<'n, '_> {
    /// Refuses every field that is not in the list.
    pub(super) fn check_fields(&mut self, object: &Object<'n>, fields: Fields) {
        self.check_fields_of(object, fields, None);
    }

    /// Refuses every field that is not in the list or is only for the other language.
    pub(super) fn check_language_fields(&mut self, object: &Object<'n>, fields: Fields) {
        self.check_fields_of(object, fields, Some(self.here.language));
    }

    /// Refuses every field that a state does not have; `is_mixed` spares those of the other language.
    pub(super) fn check_state_fields(&mut self, object: &Object<'n>, fields: Fields, is_mixed: bool) {
        for member in object.node.members() {
            let mode = fields
                .iter()
                .chain(COMMON)
                .find(|(name, _)| *name == member.key)
                .map(|(_, mode)| *mode);
            let language = (!is_mixed).then_some(self.here.language);
            self.check_field(object, member, mode, language);
        }
    }

    fn check_fields_of(&mut self, object: &Object<'n>, fields: Fields, language: Option<QueryLanguage>) {
        for member in object.node.members() {
            let mode = fields
                .iter()
                .find(|(name, _)| *name == member.key)
                .map(|(_, mode)| *mode);
            self.check_field(object, member, mode, language);
        }
    }

    /// Refuses one field that does not exist here or is only for the other language.
    pub(super) fn check_field(
        &mut self,
        object: &Object<'n>,
        member: &Member,
        mode: Option<Mode>,
        language: Option<QueryLanguage>,
    ) {
        let message = match (mode, language) {
            (None, _) => format!("Field '{}' is not supported", member.key),
            (Some(Ata), Some(QueryLanguage::JsonPath)) => wrong_language("JSONPath", &member.key, "JSONata"),
            (Some(Path), Some(QueryLanguage::JsonAta)) => wrong_language("JSONata", &member.key, "JSONPath"),
            _ => return,
        };
        self.refuse(&object.at, member.key_span, message);
    }

    /// Refuses the object when one of these fields is missing.
    pub(super) fn required(&mut self, object: &Object<'n>, names: &[&str]) -> bool {
        let missing: Vec<&str> = names.iter().copied().filter(|name| !object.has(name)).collect();
        if missing.is_empty() {
            return true;
        }
        let message = format!("These fields are required: [{}]", missing.join(", "));
        self.refuse(&object.at, object.node.span, message);
        false
    }

    /// Refuses the object when more than one of these fields is there; tells whether that is not so.
    pub(super) fn at_most_one(&mut self, object: &Object<'n>, names: &[&str]) -> bool {
        let present: Vec<&str> = names.iter().copied().filter(|name| object.has(name)).collect();
        if present.len() < 2 {
            return true;
        }
        let message = format!(
            "There should only be one of the following fields: [{}]",
            present.join(", ")
        );
        self.refuse(&object.at, object.node.span, message);
        false
    }

    /// Refuses the object unless exactly one of these fields is there.
    pub(super) fn exactly_one(&mut self, object: &Object<'n>, names: &[&str]) -> bool {
        if names.iter().any(|name| object.has(name)) {
            return self.at_most_one(object, names);
        }
        let message = format!("There should be one of the following fields: [{}]", names.join(", "));
        self.refuse(&object.at, object.node.span, message);
        false
    }

    /// Reads a text.
    pub(super) fn string(&mut self, object: &Object<'n>, name: &str) -> Option<&'n str> {
        let node = object.get(name)?;
        let text = node.text();
        if text.is_none() {
            self.wrong_type(&object.at(name), node, "STRING");
        }
        text
    }

    /// Reads a text out of a list.
    pub(super) fn one_of(&mut self, object: &Object<'n>, name: &str, values: &[&str]) -> Option<&'n str> {
        let text = self.string(object, name)?;
        if values.contains(&text) || object.get(name).is_some_and(Node::is_open) {
            return Some(text);
        }
        let message = format!("Value should be one of the following: [{}]", values.join(", "));
        self.refuse_field(object, name, message);
        None
    }

    /// Reads a whole number that is written out.
    pub(super) fn integer(&mut self, object: &Object<'n>, name: &str, min: u64, max: u64) -> Option<u64> {
        let node = object.get(name)?;
        let number = match &node.kind {
            Kind::Open(_) => return Some(min),
            Kind::Number(number) => number,
            _ => {
                self.wrong_type(&object.at(name), node, "INTEGER");
                return None;
            }
        };
        let value = number.as_f64().unwrap_or(f64::NAN);
        if value.fract() != 0.0 {
            self.wrong_type(&object.at(name), node, "INTEGER");
            return None;
        }
        if value < min as f64 {
            self.refuse_field(object, name, format!("Minimum value is {min}"));
            return None;
        }
        if (max as f64) < value {
            self.refuse_field(object, name, format!("Maximum value is {max}"));
            return None;
        }
        // In range, so the conversion is exact.
        Some(value as u64)
    }

    /// Reads a boolean.
    pub(super) fn boolean(&mut self, object: &Object<'n>, name: &str) -> Option<bool> {
        let node = object.get(name)?;
        match node.kind {
            Kind::Bool(value) => Some(value),
            Kind::Open(_) => Some(true),
            _ => {
                self.wrong_type(&object.at(name), node, "BOOLEAN");
                None
            }
        }
    }

    /// Reads an object.
    pub(super) fn object(&mut self, object: &Object<'n>, name: &str) -> Option<Object<'n>> {
        let node = object.get(name)?;
        self.as_object(node, object.at(name))
    }

    /// Takes a value as an object.
    pub(super) fn as_object(&mut self, node: &'n Node, at: String) -> Option<Object<'n>> {
        if matches!(node.kind, Kind::Object(_)) {
            return Some(Object::new(node, at));
        }
        if node.is_open() {
            self.leave_hole();
        } else {
            self.wrong_type(&at, node, "OBJECT");
        }
        None
    }

    /// Reads a list of objects.
    pub(super) fn objects(&mut self, object: &Object<'n>, name: &str) -> Vec<Object<'n>> {
        let elements = self.array(object, name).unwrap_or_default();
        let mut objects = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            objects.extend(self.as_object(element, format!("{}[{index}]", object.at(name))));
        }
        objects
    }

    /// Reads a list.
    pub(super) fn array(&mut self, object: &Object<'n>, name: &str) -> Option<&'n [Node]> {
        let node = object.get(name)?;
        if matches!(node.kind, Kind::Array(_)) {
            return Some(node.elements());
        }
        if node.is_open() {
            self.leave_hole();
        } else {
            self.wrong_type(&object.at(name), node, "ARRAY");
        }
        None
    }

    /// Refuses a field's value.
    pub(super) fn refuse_field(&mut self, object: &Object<'n>, name: &str, message: impl Into<String>) {
        let span = object.get(name).map_or(object.node.span, |node| node.span);
        self.refuse(&object.at(name), span, message);
    }

    /// Refuses a value of the wrong type.
    pub(super) fn wrong_type(&mut self, at: &str, node: &Node, expected: &str) {
        self.refuse(at, node.span, format!("Expected value of type [{expected}]"));
    }
}

fn wrong_language(is: &str, field: &str, needed: &str) -> String {
    format!(
        "The QueryLanguage is set to '{is}', but field '{field}' is only supported for the '{needed}' QueryLanguage"
    )
}
