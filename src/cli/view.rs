//! What a person sees while an execution runs: a live tree on a terminal, else plain lines.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use indicatif::MultiProgress;
use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;

use crate::asl::definition::Definition;
use crate::cli::error;
use crate::cli::error::printable;
use crate::cli::history::HistoryFile;
use crate::cli::places::Change;
use crate::cli::places::Places;
use crate::cli::places::Visit;
use crate::cli::table::elapsed;
use crate::engine::observer::Observer;
use crate::model::history_event::HistoryEvent;
use crate::model::history_event::HistoryEventKind;
use crate::model::history_event::StateType;
use crate::model::id::EventId;
use crate::model::states_error::StatesError;
use crate::model::timestamp::Timestamp;

/// Live lines at the same time, at most.
const BARS_MAX: usize = 20;

/// Where progress goes.
enum Screen {
    Quiet,
    /// Lines, collected until the execution waits.
    Lines(Vec<u8>),
    Live(Live),
}

#[derive(Default)]
struct Live {
    /// Made when the execution waits for the first time.
    screen: Option<MultiProgress>,
    bars: BTreeMap<EventId, ProgressBar>,
}

/// Follows one execution.
pub(crate) struct View {
    screen: Screen,
    pub(crate) places: Places,
    pub(crate) history: Option<HistoryFile>,
    depths: BTreeMap<Arc<str>, usize>,
    now: Timestamp,
    colored: bool,
}

impl View {
    pub(crate) fn new(definition: &Definition, quiet: bool, history: Option<HistoryFile>) -> Self {
        let screen = match (quiet, can_redraw()) {
            (true, _) => Screen::Quiet,
            (false, true) => Screen::Live(Live::default()),
            (false, false) => Screen::Lines(Vec::new()),
        };
        let depths = match screen {
            Screen::Quiet => BTreeMap::new(),
            _ => depths(definition),
        };
        Self {
            screen,
            places: Places::default(),
            history,
            depths,
            now: Timestamp::default(),
            colored: error::colored(),
        }
    }

    /// Takes the live tree away.
    pub(crate) fn close(&mut self) {
        self.flush();
        if let Screen::Live(live) = &mut self.screen {
            for (_, bar) in std::mem::take(&mut live.bars) {
                bar.finish_and_clear();
            }
            live.screen = None;
        }
    }

    fn flush(&mut self) {
        if let Screen::Lines(lines) = &mut self.screen {
            // Nobody is left to tell when this fails.
            let _ = std::io::stderr().lock().write_all(lines);
            lines.clear();
        }
    }

    fn line(&mut self, text: &str) {
        match &mut self.screen {
            Screen::Quiet => {}
            Screen::Lines(lines) => {
                lines.extend_from_slice(text.as_bytes());
                lines.push(b'\n');
                if lines.len() > 16 * 1024 {
                    self.flush();
                }
            }
            Screen::Live(Live {
                screen: Some(screen), ..
            }) => {
                let _ = screen.println(text);
            }
            Screen::Live(_) => error::tell(&format!("{text}\n")),
        }
    }

    fn indent(&self, name: &str) -> String {
        "  ".repeat(self.depths.get(name).copied().unwrap_or(0))
    }

    fn paint(&self, style: &str, text: &str) -> String {
        match (&self.screen, self.colored) {
            (Screen::Live(_), true) => format!("\u{1b}[{style}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }

    fn show(&mut self, change: &Change) {
        let is_live = matches!(self.screen, Screen::Live(_));
        match change {
            Change::Attempt(id, visit) => {
                if is_live {
                    self.refresh(*id, visit);
                } else {
                    let attempt = attempt(visit);
                    self.line(&format!(
                        "{}started   {}{attempt}",
                        self.indent(&visit.name),
                        visit.name
                    ));
                }
            }
            Change::AttemptFailed(visit, error) => {
                let indent = self.indent(&visit.name);
                self.line(&format!(
                    "{indent}failed    {}{}: {}",
                    name(visit),
                    attempt(visit),
                    printable(error)
                ));
            }
            Change::Iterated(id, visit) => self.refresh(*id, visit),
            Change::Left(id, visit) => {
                let took = elapsed(visit.since, self.now);
                let indent = self.indent(&visit.name);
                self.line(&format!(
                    "{indent}done      {} ({}{took})",
                    visit.name,
                    kind(visit.state)
                ));
                self.drop_bar(*id);
            }
            Change::Aborted(id, visit) => {
                self.line(&format!("{}aborted   {}", self.indent(&visit.name), name(visit)));
                self.drop_bar(*id);
            }
        }
    }

    fn child_failed(&mut self, map: &Visit, error: &StatesError) {
        let indent = self.indent(&map.name);
        let mut text = format!("{indent}failed    a child of {}", name(map));
        for part in [&error.name, &error.cause].into_iter().flatten() {
            text += &format!(": {}", printable(part.lines().next().unwrap_or_default()));
        }
        self.line(&text);
    }

    fn refresh(&mut self, id: EventId, visit: &Visit) {
        if let Screen::Live(live) = &self.screen
            && let Some(bar) = live.bars.get(&id)
        {
            dress(bar, visit);
        }
    }

    fn drop_bar(&mut self, id: EventId) {
        if let Screen::Live(live) = &mut self.screen
            && let Some(bar) = live.bars.remove(&id)
        {
            bar.finish_and_clear();
        }
    }
}

impl Observer for View {
    fn history(&mut self, event: &HistoryEvent, is_child: bool) {
        // A child's events have ids of their own; the whole child is one step of its Map.
        if is_child {
            if event.kind.ends_execution()
                && let Some(change) = self.places.child_ended()
                && !matches!(self.screen, Screen::Quiet)
            {
                self.show(&change);
                // The Map's own failure does not say what went wrong in its children.
                if let (HistoryEventKind::ExecutionFailed(error), Change::Iterated(_, visit)) = (&event.kind, &change) {
                    self.child_failed(visit, error);
                }
            }
            return;
        }
        self.now = event.at;
        if let Some(history) = &mut self.history {
            history.add(event);
        }
        if let Some(change) = self.places.take(event)
            && !matches!(self.screen, Screen::Quiet)
        {
            self.show(&change);
        }
    }

    fn log(&mut self, state: &str, line: &str) {
        let state = self.paint("2", &printable(state));
        self.line(&format!("{state} | {}", printable(line)));
    }

    fn waiting(&mut self) {
        self.flush();
        let Screen::Live(live) = &mut self.screen else { return };
        let screen = live.screen.get_or_insert_with(MultiProgress::new);
        for (id, visit) in self.places.visits() {
            if live.bars.len() >= BARS_MAX {
                break;
            }
            if live.bars.contains_key(&id) {
                continue;
            }
            let bar = screen.add(ProgressBar::new_spinner());
            bar.set_prefix("  ".repeat(self.depths.get(&visit.name).copied().unwrap_or(0)));
            dress(&bar, visit);
            bar.enable_steady_tick(Duration::from_millis(100));
            live.bars.insert(id, bar);
        }
    }
}

/// Tells whether live lines would be drawn: on a terminal that can move its cursor, which `TERM=dumb` cannot.
fn can_redraw() -> bool {
    !ProgressDrawTarget::stderr().is_hidden()
}

/// Gives a live line its text.
fn dress(bar: &ProgressBar, visit: &Visit) {
    let style = match visit.iterations {
        Some((done, all)) => {
            bar.set_length(all);
            bar.set_position(done);
            "{prefix}{spinner} {msg} [{bar:30}] {pos}/{len} {elapsed}"
        }
        None => "{prefix}{spinner} {msg} {elapsed}",
    };
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.set_message(format!("{}{}", name(visit), attempt(visit)));
}

fn name(visit: &Visit) -> String {
    printable(&visit.name)
}

fn attempt(visit: &Visit) -> String {
    if visit.attempt > 1 {
        format!(" (attempt {})", visit.attempt)
    } else {
        String::new()
    }
}

fn kind(state: StateType) -> &'static str {
    match state {
        StateType::Task => "Task, ",
        StateType::Wait => "Wait, ",
        StateType::Map => "Map, ",
        StateType::Parallel => "Parallel, ",
        StateType::Choice => "Choice, ",
        StateType::Fail => "Fail, ",
        StateType::Pass => "Pass, ",
        StateType::Succeed => "Succeed, ",
    }
}

/// Returns how deep each state stands in Parallel and Map states.
fn depths(definition: &Definition) -> BTreeMap<Arc<str>, usize> {
    let mut of_block: Vec<usize> = Vec::with_capacity(definition.blocks.len());
    for block in &definition.blocks {
        // A block comes after the block of the state that holds it, so its depth is known.
        let parent = block.parent.and_then(|state| definition.states.get(state.index()));
        let above = parent.and_then(|state| of_block.get(state.block.index()));
        of_block.push(above.map_or(0, |depth| depth + 1));
    }
    let depth = |block: usize| of_block.get(block).copied().unwrap_or(0);
    definition
        .states
        .iter()
        .map(|state| (Arc::clone(&state.name), depth(state.block.index())))
        .collect()
}
