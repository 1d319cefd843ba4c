//! Who is told what happens in a run.

use crate::model::history_event::HistoryEvent;

/// Is told what happens, in order.
pub trait Observer {
    /// A history event: of the execution itself, or of a child execution of a Distributed Map.
    fn history(&mut self, event: &HistoryEvent, is_child: bool);
    /// A line that a task wrote for people.
    fn log(&mut self, state: &str, line: &str);
    /// The run is about to wait.
    fn waiting(&mut self);
}
