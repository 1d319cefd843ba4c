//! The text that is kept.

use serde_json::Value;

use crate::model::history_event::HistoryEvent;

/// Returns history events as a JSON array, each as `GetExecutionHistory` shows it, one a line: a reader finds an event
/// without reading those before it.
pub(super) fn history(events: &[HistoryEvent]) -> String {
    let mut text = String::from("[");
    for (index, event) in events.iter().enumerate() {
        if 0 < index {
            text.push_str(",\n");
        }
        text += &event.to_api().to_string();
    }
    text.push(']');
    text
}

/// Reads those events of such a text that are wanted, in its order; the first has the id `first`.
///
/// # Errors
/// The text is damaged.
pub(super) fn wanted_history(
    text: &str,
    first: u64,
    n_events: u64,
    wanted: impl Fn(u64) -> bool,
) -> Result<Vec<Value>, serde_json::Error> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    // No text in JSON holds a line end as it is.
    let n_lines = 1 + text.bytes().filter(|byte| *byte == b'\n').count() as u64;
    match inner {
        Some(inner) if n_lines == n_events => (first..)
            .zip(inner.split('\n'))
            .filter(|(id, _)| wanted(*id))
            .map(|(_, line)| serde_json::from_str(line.strip_suffix(',').unwrap_or(line)))
            .collect(),
        // An earlier version wrote all events in one line.
        _ => {
            let events: Vec<Value> = serde_json::from_str(text)?;
            let events = (first..).zip(events).filter(|(id, _)| wanted(*id));
            Ok(events.map(|(_, event)| event).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_found_in_both_forms() {
        let lines = "[{\"id\":7},\n{\"id\":8,\"t\":\"a,\\n\"},\n{\"id\":9}]";
        let one_line = lines.replace(",\n{", ",{");
        for text in [lines, &one_line] {
            let found = wanted_history(text, 7, 3, |id| 8 <= id).unwrap();
            assert_eq!(found, [json!({ "id": 8, "t": "a,\n" }), json!({ "id": 9 })], "{text}");
        }
        assert_eq!(
            wanted_history("[{\"id\":1}]", 1, 1, |_| true).unwrap(),
            [json!({ "id": 1 })]
        );
        assert_eq!(wanted_history("[]", 1, 0, |_| true).unwrap(), [] as [Value; 0]);
        assert!(wanted_history("[{]", 1, 1, |_| true).is_err());
    }
}
