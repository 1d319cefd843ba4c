//! What expressions see of an execution: the context object and the variables in reach.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::asl::definition::Definition;
use crate::kernel::core::Core;
use crate::kernel::frame::Frame;
use crate::kernel::frame::FrameId;
use crate::kernel::frame::Step;
use crate::kernel::isolated;
use crate::model::history_event::StateType;
use crate::model::payload::Payload;
use crate::model::timestamp::Timestamp;
use crate::query::env::Context;
use crate::query::env::ContextForm;
use crate::query::env::Env;
use crate::query::env::Variables;

/// The variables that a frame sees: its own, then those of the blocks around it.
pub(super) struct Scope<'a> {
    core: &'a Core,
    frame: FrameId,
}

impl Variables for Scope<'_> {
    fn get(&self, name: &str) -> Option<Payload> {
        let mut next = Some(self.frame);
        while let Some(id) = next {
            let frame = self.core.frame(id);
            if let Some(value) = frame.variables.get(name) {
                return Some(value.clone());
            }
            next = frame.parent.map(|(parent, _)| parent);
        }
        None
    }
}

/// What a field sees beside the frame's own facts.
#[derive(Clone, Default)]
pub(super) struct Extra {
    pub(super) result: Option<Payload>,
    pub(super) error_output: Option<Payload>,
    pub(super) item: Option<Item>,
    pub(super) token: Option<Arc<str>>,
}

/// `$$.Map.Item`.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) index: u64,
    pub(super) key: Option<String>,
    pub(super) value: Value,
    pub(super) source: Option<Arc<str>>,
}

/// Evaluates something with what `frame` sees.
pub(super) fn with_env<T>(
    definition: &Definition,
    core: &Core,
    frame: FrameId,
    input: Payload,
    extra: &Extra,
    evaluate: impl FnOnce(&Env<'_>) -> T,
) -> T {
    let make = |form| Payload::new(object(definition, core, frame, extra, form));
    let context = Context::new(&make);
    let scope = Scope { core, frame };
    let env = Env {
        input,
        result: extra.result.clone(),
        error_output: extra.error_output.clone(),
        variables: &scope,
        context: &context,
        entropy: &core.entropy,
    };
    evaluate(&env)
}

/// Makes the context object, members in AWS's order (recorded).
fn object(definition: &Definition, core: &Core, frame_id: FrameId, extra: &Extra, form: ContextForm) -> Value {
    if let Some(context) = core.watch.as_ref().and_then(|watch| watch.context.as_ref()) {
        return context.clone();
    }
    let start = core.start();
    let frame = core.frame(frame_id);
    let state = definition.state(frame.state);
    let mut execution = Map::new();
    execution.insert("Id".into(), Value::from(&*start.execution_arn));
    if form == ContextForm::Whole {
        execution.insert("Input".into(), start.input.value().clone());
    }
    execution.insert("StartTime".into(), Value::from(time_text(core.started_at)));
    execution.insert("Name".into(), Value::from(&*start.name));
    // Only a state under test may have no role.
    let role = Some(&*start.role_arn).filter(|role| !role.is_empty());
    execution.insert("RoleArn".into(), Value::from(role));
    if !start.synchronous {
        execution.insert("RedriveCount".into(), Value::from(core.redrive_count));
    }
    if let Some(at) = core.redriven_at {
        execution.insert("RedriveTime".into(), Value::from(time_text(at)));
    }
    let mut machine = Map::new();
    machine.insert("Id".into(), Value::from(&*start.state_machine_arn));
    machine.insert("Name".into(), Value::from(&*start.state_machine_name));
    let mut of_state = Map::new();
    let name = match core.watch {
        Some(_) => isolated::STATE_NAME,
        None => &*state.name,
    };
    of_state.insert("Name".into(), Value::from(name));
    of_state.insert("EnteredTime".into(), Value::from(time_text(frame.entered_at)));
    if matches!(
        state.state_type(),
        StateType::Task | StateType::Map | StateType::Parallel
    ) {
        of_state.insert("RetryCount".into(), Value::from(frame.retry_count));
    }
    let mut context = Map::new();
    context.insert("Execution".into(), Value::Object(execution));
    context.insert("StateMachine".into(), Value::Object(machine));
    context.insert("State".into(), Value::Object(of_state));
    let of_test = || core.watch.as_ref()?.item.clone();
    let item = extra.item.clone().or_else(|| enclosing_item(core, frame_id));
    if let Some(item) = item.or_else(of_test) {
        let mut of_item = Map::new();
        of_item.insert("Index".into(), Value::from(item.index));
        if let Some(key) = item.key {
            of_item.insert("Key".into(), Value::from(key));
        }
        of_item.insert("Value".into(), item.value);
        if let Some(source) = item.source {
            of_item.insert("Source".into(), Value::from(&*source));
        }
        let mut map = Map::new();
        map.insert("Item".into(), Value::Object(of_item));
        context.insert("Map".into(), Value::Object(map));
    }
    if let Some(token) = &extra.token {
        let mut task = Map::new();
        task.insert("Token".into(), Value::from(&**token));
        context.insert("Task".into(), Value::Object(task));
    }
    Value::Object(context)
}

/// The item of the nearest inline Map iteration around the frame.
fn enclosing_item(core: &Core, frame: FrameId) -> Option<Item> {
    let (index, items) = enclosing_iteration(core, core.frame(frame))?;
    let value = items.value().get(usize::try_from(index).ok()?)?.clone();
    Some(Item {
        index,
        key: None,
        value,
        source: None,
    })
}

/// The nearest inline Map iteration around the frame: its index, and the Map's items.
pub(super) fn enclosing_iteration<'a>(core: &'a Core, frame: &Frame) -> Option<(u64, &'a Payload)> {
    let mut next = frame.parent;
    while let Some((parent, index)) = next {
        let frame = core.frame(parent);
        if let Step::Join(join) = &frame.step
            && let Some(items) = &join.items
        {
            return Some((index, items));
        }
        next = frame.parent;
    }
    None
}

/// ISO 8601 with milliseconds, which are dropped when they are zero (recorded).
fn time_text(at: Timestamp) -> String {
    let text = at.to_string();
    match text.strip_suffix(".000Z") {
        Some(whole) => format!("{whole}Z"),
        None => text,
    }
}
