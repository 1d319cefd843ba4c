//! `Retry` and `Catch`.

use std::sync::Arc;

use crate::asl::compile::fields::CATCHER;
use crate::asl::compile::fields::Object;
use crate::asl::compile::fields::RETRIER;
use crate::asl::compile::machine::Compiler;
use crate::asl::compile::number::Range;
use crate::asl::definition::Catcher;
use crate::asl::definition::NumberField;
use crate::asl::definition::Retrier;
use crate::query::jsonata::expression::FieldScope;

/// Largest interval and number of attempts.
const LIMIT: u64 = 99_999_999;
/// Largest `MaxDelaySeconds`.
const DELAY_SECONDS_MAX: u64 = 31_622_400;

impl<'n> Compiler<'n, '_> {
    /// Reads `Retry`.
    pub(super) fn retriers(&mut self, object: &Object<'n>) -> Vec<Retrier> {
        let entries = self.objects(object, "Retry");
        let n_entries = entries.len();
        let mut retriers = Vec::with_capacity(n_entries);
        for (index, entry) in entries.iter().enumerate() {
            self.check_fields(entry, RETRIER);
            self.string(entry, "Comment");
            let rate = Range {
                min: 1.0,
                max: f64::MAX,
                is_integer: false,
                takes_context: false,
            };
            let interval_seconds = self.integer(entry, "IntervalSeconds", 1, LIMIT);
            let max_attempts = self.integer(entry, "MaxAttempts", 0, LIMIT);
            let backoff_rate = match self.plain_number(entry, "BackoffRate", rate) {
                Some(NumberField::Literal(rate)) => rate,
                _ => 2.0,
            };
            let max_delay_seconds = self.integer(entry, "MaxDelaySeconds", 1, DELAY_SECONDS_MAX);
            let jitter = self.one_of(entry, "JitterStrategy", &["NONE", "FULL"]);
            retriers.push(Retrier {
                error_equals: self.error_equals(entry, index + 1 == n_entries),
                interval_seconds: interval_seconds.unwrap_or(1),
                max_attempts: max_attempts.and_then(|n| u32::try_from(n).ok()).unwrap_or(3),
                backoff_rate,
                max_delay_seconds,
                full_jitter: jitter == Some("FULL"),
            });
        }
        retriers
    }

    /// Reads `Catch`.
    pub(super) fn catchers(&mut self, object: &Object<'n>) -> Vec<Catcher> {
        let entries = self.objects(object, "Catch");
        let n_entries = entries.len();
        let mut catchers = Vec::with_capacity(n_entries);
        for (index, entry) in entries.iter().enumerate() {
            self.check_language_fields(entry, CATCHER);
            self.string(entry, "Comment");
            let error_equals = self.error_equals(entry, index + 1 == n_entries);
            self.required(entry, &["Next"]);
            catchers.push(Catcher {
                error_equals,
                next: self.target(entry, "Next"),
                result_path: self.result_path(entry),
                output: self.jsonata_template(entry, "Output", FieldScope::ErrorOutput),
                assign: self.assign(entry, FieldScope::ErrorOutput),
            });
        }
        catchers
    }

    /// Reads `ErrorEquals`.
    fn error_equals(&mut self, entry: &Object<'n>, is_last: bool) -> Vec<Arc<str>> {
        if !self.required(entry, &["ErrorEquals"]) {
            return Vec::new();
        }
        let Some(elements) = self.array(entry, "ErrorEquals") else {
            return Vec::new();
        };
        if elements.is_empty() {
            self.refuse_field(entry, "ErrorEquals", "Value cannot be empty");
        }
        let mut names = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            match element.text() {
                Some(name) => names.push(Arc::<str>::from(name)),
                None => self.wrong_type(&format!("{}[{index}]", entry.at("ErrorEquals")), element, "STRING"),
            }
        }
        if names.iter().any(|name| &**name == "States.ALL") {
            if 1 < names.len() {
                self.refuse_field(
                    entry,
                    "ErrorEquals",
                    "'States.ALL' can not be used with other error names",
                );
            }
            if !is_last {
                self.refuse_field(
                    entry,
                    "ErrorEquals",
                    "'States.ALL' can only be used in the last element",
                );
            }
        }
        names
    }
}
