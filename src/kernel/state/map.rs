//! Map: its items, then iterations or a Map Run.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::asl::definition::Items;
use crate::asl::definition::Map;
use crate::asl::definition::MapMode;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::State;
use crate::kernel::context::Extra;
use crate::kernel::core::Cx;
use crate::kernel::event::Status;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::Join;
use crate::kernel::frame::Step;
use crate::model::history_event::HistoryEventKind;
use crate::model::id::EventId;
use crate::model::payload::Payload;
use crate::model::quota::INLINE_MAP_CONCURRENCY_MAX;
use crate::query::jsonata::expression::unexpected_type;

impl Cx<'_> {
    pub(super) fn map(&mut self, frame: FrameId, state: &State, map: &Map) -> Result<(), Failure> {
        let raw = self.core.frame(frame).input.clone();
        let effective = self.apply_path(frame, &state.input_path, &raw)?;
        match self.items(frame, state, map, &effective) {
            Ok(items) => match map.mode {
                MapMode::Inline => self.map_inline(frame, map, effective, items),
                MapMode::Distributed { .. } => self.map_run(frame, state, map, effective, items),
            },
            Err(failure) => Err(failure),
        }
    }

    pub(in crate::kernel) fn items(
        &self,
        frame: FrameId,
        state: &State,
        map: &Map,
        effective: &Payload,
    ) -> Result<Payload, Failure> {
        if map.item_reader.is_some() {
            return Ok(Payload::new(Value::Array(Vec::new())));
        }
        let distributed = map.mode != MapMode::Inline;
        let fits = |value: &Value| value.is_array() || (distributed && value.is_object());
        match &map.items {
            Items::Input => match (fits(effective.value()), state.language) {
                (true, _) => Ok(effective.clone()),
                (false, QueryLanguage::JsonPath) => Err(not_an_array("$")),
                (false, QueryLanguage::JsonAta) => {
                    let cause = format!("Map state input must be an array but was: {}", effective.value());
                    Err(Failure::Evaluation { cause, location: None })
                }
            },
            Items::Path(path) => {
                let found = self.path(frame, path, effective)?;
                match fits(found.value()) {
                    true => Ok(found),
                    false => Err(not_an_array(&path.text().replacen("$$", "$", 1))),
                }
            }
            Items::Template(template) => {
                let found = self.evaluate(frame, template, effective.clone(), &Extra::default(), "Items")?;
                match (fits(found.value()), template.as_expression()) {
                    (true, _) => Ok(found),
                    (false, Some(expression)) => {
                        Err(unexpected_type(expression, "Items", "array", found.value()).into())
                    }
                    (false, None) => {
                        let cause = format!("Map state input must be an array but was: {}", found.value());
                        Err(Failure::Evaluation { cause, location: None })
                    }
                }
            }
        }
    }

    fn map_inline(&mut self, frame: FrameId, map: &Map, effective: Payload, items: Payload) -> Result<(), Failure> {
        // Inline, AWS looks at MaxConcurrencyPath before it counts the items (recorded); distributed, after.
        let concurrency = match &map.max_concurrency {
            Some(field) => self.whole_number(frame, field, "MaxConcurrency", &effective, 0)?,
            None => 0,
        };
        let n_children = items.value().as_array().map_or(0, Vec::len);
        let started = self.chain(
            frame,
            HistoryEventKind::MapStateStarted {
                length: n_children as u64,
            },
        );
        if self.core.status != Status::Running {
            return Ok(());
        }
        // AWS takes the thresholds of a Distributed Map here, too (recorded): their values are checked, and the first
        // failed iteration still fails the state.
        if let Some(field) = &map.tolerated_failure_count {
            self.whole_number(frame, field, "ToleratedFailureCount", &effective, 0)?;
        }
        if let Some(field) = &map.tolerated_failure_percentage {
            self.percentage(frame, field, &effective)?;
        }
        let most = INLINE_MAP_CONCURRENCY_MAX as u64;
        let concurrency = if concurrency == 0 { most } else { concurrency.min(most) };
        let join = Join {
            items: Some(items),
            effective,
            n_children: n_children as u64,
            concurrency,
            next_index: 0,
            running: BTreeMap::new(),
            cut: BTreeMap::new(),
            results: vec![None; n_children],
            n_done: 0,
            started,
            last: EventId::NONE,
        };
        self.core.frame_mut(frame).step = Step::Join(Box::new(join));
        match n_children {
            0 => self.join_ended(frame, started),
            _ => self.start_iterations(frame, started),
        }
        Ok(())
    }
}

fn not_an_array(path: &str) -> Failure {
    // Recorded without the usual prefix.
    Failure::Runtime {
        text: format!("Reference path \"{path}\" must point to array."),
        prefixed: false,
    }
}
