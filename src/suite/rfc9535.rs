//! RFC 9535 JSONPath: of `--query`, and of what a test expects.

use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::model::Segment;
use jsonpath_rust::parser::model::Selector;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::Value;

/// A query that is known to be well-formed.
#[derive(Debug)]
pub struct Query(JpQuery);

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// What is wrong with it, in a line.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse_json_path(text)
            .map(Self)
            .map_err(|error| shorten(&error.to_string()))
    }

    /// Returns the value of a query that names one place (`null` when nothing is there), or the list of all
    /// values of one that names many.
    ///
    /// # Errors
    /// It cannot be applied.
    pub fn apply(&self, value: &Value) -> Result<Value, String> {
        let found = js_path_process(&self.0, value).map_err(|error| error.to_string())?;
        let mut values = found.into_iter().map(|found| found.val().clone());
        Ok(if self.names_one_place() {
            values.next().unwrap_or(Value::Null)
        } else {
            Value::Array(values.collect())
        })
    }

    fn names_one_place(&self) -> bool {
        self.0
            .segments
            .iter()
            .all(|segment| matches!(segment, Segment::Selector(Selector::Name(_) | Selector::Index(_))))
    }
}

/// Makes one line of the parser's drawing, which has `--> LINE:COLUMN` and `= WHAT IS WRONG`.
fn shorten(drawing: &str) -> String {
    let place = drawing.split_once("--> ").and_then(|(_, rest)| rest.lines().next());
    let column = place.and_then(|place| place.trim().split_once(':'));
    let what = drawing.lines().rev().find_map(|line| line.trim().strip_prefix("= "));
    match (column, what) {
        // The grammar's name of a whole query, which begins like this.
        (Some((_, column)), Some(what)) => format!("{} at column {column}", what.replace("jp_query", "`$`")),
        _ => drawing.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_query_of_one_place_gives_its_value() {
        let value = json!({"a": [{"b": 1}, {"b": 2}], "c d": null});
        for (query, expected) in [
            ("$", json!({"a": [{"b": 1}, {"b": 2}], "c d": null})),
            ("$.a[1].b", json!(2)),
            ("$.a[-1].b", json!(2)),
            ("$['c d']", json!(null)),
            ("$.none", json!(null)),
            ("$.a[*].b", json!([1, 2])),
            ("$..b", json!([1, 2])),
            ("$.a[?@.b > 1].b", json!([2])),
            ("$.a[?@.b > 9]", json!([])),
        ] {
            assert_eq!(Query::parse(query).unwrap().apply(&value), Ok(expected), "{query}");
        }
        for (query, expected) in [
            ("", "expected `$` at column 1"),
            ("a", "expected `$` at column 1"),
            ("$.a.length()", "expected EOI, segment, or ALPHA at column 11"),
        ] {
            assert_eq!(Query::parse(query).unwrap_err(), expected, "{query}");
        }
    }
}
