//! The text that is kept.

use crate::model::history_event::HistoryEvent;

/// Returns history events as a JSON array, each as `GetExecutionHistory` shows it.
pub(super) fn history(events: &[HistoryEvent]) -> String {
    let mut text = String::from("[");
    for (index, event) in events.iter().enumerate() {
        if 0 < index {
            text.push(',');
        }
        text += &event.to_api().to_string();
    }
    text.push(']');
    text
}
