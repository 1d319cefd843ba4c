//! The Wait state.

use crate::asl::compile::fields::Object;
use crate::asl::compile::machine::Compiler;
use crate::asl::compile::number::Range;
use crate::asl::definition::Wait;
use crate::asl::node::Node;
use crate::model::timestamp::Timestamp;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonata::expression::FieldScope;

/// `Seconds`.
const SECONDS: Range = Range::integer(0, 99_999_999);

impl<'n> Compiler<'n, '_> {
    /// Reads what a Wait state adds.
    pub(super) fn wait(&mut self, object: &Object<'n>) -> Option<Wait> {
        let names: &[&str] = if self.is_jsonata() {
            &["Seconds", "Timestamp"]
        } else {
            &["Seconds", "SecondsPath", "Timestamp", "TimestampPath"]
        };
        if !self.exactly_one(object, names) {
            return None;
        }
        if object.has("Timestamp") {
            return self.timestamp(object);
        }
        if !self.is_jsonata() && object.has("TimestampPath") {
            return self.reference_path(object, "TimestampPath").map(Wait::TimestampPath);
        }
        self.number(object, "Seconds", SECONDS).map(Wait::Seconds)
    }

    fn timestamp(&mut self, object: &Object<'n>) -> Option<Wait> {
        let text = self.string(object, "Timestamp")?;
        if self.is_jsonata() && Expression::is_expression(text) {
            return self
                .expression(object, "Timestamp", text, FieldScope::Input)
                .map(Wait::TimestampExpression);
        }
        if object.get("Timestamp").is_some_and(Node::is_open) {
            return Some(Wait::Until(Timestamp(0)));
        }
        let instant = Timestamp::parse_rfc3339(text);
        if instant.is_none() {
            self.refuse_field(object, "Timestamp", "String does not match RFC3339 timestamp");
        }
        instant.map(Wait::Until)
    }
}
