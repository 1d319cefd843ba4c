//! Payloads as the engine reads them: one level at a time, nothing copied before it is reached.

use std::cell::RefCell;
use std::rc::Rc;
use std::rc::Weak;

use jlens_core::input::Sink;
use jlens_core::input::Source;
use jlens_core::input::Sources;
use jlens_core::output::Member;
use serde_json::Value;

/// The index of the object that holds `$states` and the variables.
const ROOT: u32 = 0;
/// The index of `$states`.
const STATES: u32 = 1;
/// The indexes from here on are arrays and objects of payloads.
const FIRST: u32 = 2;

/// The field of the root that holds `$states`.
pub(super) const STATES_FIELD: &str = "s";

/// Returns the field of the root that holds the variable at `position`.
pub(super) fn variable_field(position: usize) -> String {
    format!("v{position}")
}

/// Everything an evaluation may read.
pub(super) struct Table<'a> {
    me: Weak<Self>,
    states: Vec<(&'static str, &'a Value)>,
    variables: Vec<Option<&'a Value>>,
    met: RefCell<Vec<&'a Value>>,
}

impl<'a> Table<'a> {
    /// Lays out the members of `$states` and the variables, by position.
    pub(super) fn new(states: Vec<(&'static str, &'a Value)>, variables: Vec<Option<&'a Value>>) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            states,
            variables,
            met: RefCell::default(),
        })
    }

    /// Returns the part of a payload that `member` stands for.
    pub(super) fn payload(self: &Rc<Self>, member: Member) -> Option<&'a Value> {
        if !member.of(self) {
            return None;
        }
        self.value(member.index())
    }

    fn value(&self, index: u32) -> Option<&'a Value> {
        let place = usize::try_from(index.checked_sub(FIRST)?).ok()?;
        self.met.borrow().get(place).copied()
    }

    fn write(&self, value: &'a Value, sink: &mut Sink<'_, 'a>) {
        match value {
            Value::Null => sink.null(),
            Value::Bool(value) => sink.bool(*value),
            Value::Number(number) => sink.number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => sink.string(text),
            Value::Array(_) | Value::Object(_) => {
                let mut met = self.met.borrow_mut();
                let index = u32::try_from(met.len())
                    .unwrap_or(u32::MAX - FIRST)
                    .saturating_add(FIRST);
                met.push(value);
                drop(met);
                if let Some(me) = self.me.upgrade() {
                    if value.is_array() {
                        sink.array_of(&me, index);
                    } else {
                        sink.object_of(&me, index);
                    }
                }
            }
        }
    }

    fn write_states(&self, sink: &mut Sink<'_, 'a>) {
        if let Some(me) = self.me.upgrade() {
            sink.object_of(&me, STATES);
        }
    }
}

impl<'a> Sources<'a> for Table<'a> {
    fn read(&self, index: u32, sink: &mut Sink<'_, 'a>) -> Result<(), String> {
        match index {
            ROOT => {
                sink.key(STATES_FIELD);
                self.write_states(sink);
                for (position, value) in self.variables.iter().enumerate() {
                    if let Some(value) = value {
                        sink.key(&variable_field(position));
                        self.write(value, sink);
                    }
                }
            }
            STATES => {
                for (name, value) in &self.states {
                    sink.key(name);
                    self.write(value, sink);
                }
            }
            _ => match self.value(index) {
                Some(Value::Array(items)) => {
                    sink.reserve(items.len());
                    for item in items {
                        self.write(item, sink);
                    }
                }
                Some(Value::Object(fields)) => {
                    sink.reserve(fields.len());
                    for (name, value) in fields {
                        sink.key(name);
                        self.write(value, sink);
                    }
                }
                _ => {}
            },
        }
        Ok(())
    }

    fn read_field(&self, index: u32, key: &str, sink: &mut Sink<'_, 'a>) -> Result<bool, String> {
        match index {
            ROOT if key == STATES_FIELD => self.write_states(sink),
            ROOT => {
                let position = key.get(1..).and_then(|digits| digits.parse::<usize>().ok());
                if let Some(Some(value)) = position.and_then(|position| self.variables.get(position)) {
                    self.write(value, sink);
                }
            }
            STATES => {
                if let Some((_, value)) = self.states.iter().find(|(name, _)| *name == key) {
                    self.write(value, sink);
                }
            }
            _ => match self.value(index) {
                Some(Value::Object(fields)) => {
                    if let Some(value) = fields.get(key) {
                        self.write(value, sink);
                    }
                }
                _ => return Ok(false),
            },
        }
        Ok(true)
    }

    fn length(&self, index: u32) -> Option<usize> {
        match self.value(index) {
            Some(Value::Array(items)) => Some(items.len()),
            _ => None,
        }
    }

    fn read_item(&self, index: u32, item: usize, sink: &mut Sink<'_, 'a>) -> Result<bool, String> {
        match self.value(index) {
            Some(Value::Array(items)) => {
                if let Some(value) = items.get(item) {
                    self.write(value, sink);
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// The input of an evaluation that reads a table.
pub(super) struct Root<'a>(pub(super) Rc<Table<'a>>);

impl<'a> Source<'a> for Root<'a> {
    fn read(&self, sink: &mut Sink<'_, 'a>) -> Result<(), String> {
        sink.object_of(&self.0, ROOT);
        Ok(())
    }
}

/// No input at all.
pub(super) struct Nothing;

impl<'a> Source<'a> for Nothing {
    fn read(&self, _: &mut Sink<'_, 'a>) -> Result<(), String> {
        Ok(())
    }
}
