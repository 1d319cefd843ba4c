//! Lets Distributed Maps read and write.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::kernel::event::Command;
use crate::kernel::event::EventKind;
use crate::kernel::event::ReadItem;
use crate::model::id::MapRunId;
use crate::model::payload::Payload;
use crate::sim::driver::Driver;
use crate::sim::driver::Due;
use crate::sim::driver::RunId;
use crate::sim::exchange::Exchange;
use crate::sim::exchange::Field;

impl Driver<'_> {
    /// Carries out `ReadItems` or `WriteResults`.
    pub(super) fn exchange(&mut self, id: RunId, command: Command, events: &mut VecDeque<(RunId, EventKind)>) {
        match command {
            Command::ReadItems {
                map_run,
                reader,
                offset,
                wanted,
            } => {
                // What was read, but was more than was wanted, waits here.
                if 0 < offset
                    && let Some(items) = self.unread.remove(&(id, map_run))
                {
                    let kind = self.some_of(id, map_run, items, wanted);
                    events.push_back((id, kind));
                    return;
                }
                let Some(exchange) = self.asked(id, map_run, (Field::ItemReader, reader), None) else {
                    return;
                };
                let read = self.tasks.read(&exchange);
                let kind = read.end.map(|end| match end {
                    Ok(items) => self.some_of(id, map_run, items.into(), wanted),
                    Err(error) => Field::ItemReader.failed(map_run, error),
                });
                self.answer(id, read.delay_millis, kind);
            }
            Command::WriteResults {
                map_run,
                map_run_arn,
                writer,
            } => {
                let asks = (Field::ResultWriter, writer);
                let Some(exchange) = self.asked(id, map_run, asks, Some(map_run_arn)) else {
                    return;
                };
                let written = self.tasks.write(&exchange);
                let kind = written.end.map(|end| match end {
                    Ok(result) => EventKind::ResultsWritten { map_run, result },
                    Err(error) => Field::ResultWriter.failed(map_run, error),
                });
                self.answer(id, written.delay_millis, kind);
            }
            _ => {}
        }
    }

    fn asked(
        &self,
        id: RunId,
        map_run: MapRunId,
        (field, request): (Field, Payload),
        map_run_arn: Option<Arc<str>>,
    ) -> Option<Exchange> {
        let state = self.runs.get(&id)?.execution.map_run_state(map_run)?;
        Some(Exchange {
            field,
            state,
            state_name: Arc::clone(&self.definition.state(state).name),
            request,
            map_run_arn,
        })
    }

    fn some_of(&mut self, id: RunId, map_run: MapRunId, mut items: VecDeque<ReadItem>, wanted: u64) -> EventKind {
        let n = usize::try_from(wanted).unwrap_or(usize::MAX).min(items.len());
        let rest = items.split_off(n);
        let is_last = rest.is_empty();
        if !is_last {
            self.unread.insert((id, map_run), rest);
        }
        EventKind::ItemsRead {
            map_run,
            items: items.into(),
            is_last,
        }
    }

    fn answer(&mut self, run: RunId, delay_millis: u64, kind: Option<EventKind>) {
        if let Some(kind) = kind {
            let due = Due { run, kind, task: None };
            self.enqueue(delay_millis, due);
        }
    }
}
