//! Makes a scenario small that shows a finding.

use serde_json::Map;
use serde_json::Value;

use crate::explore::caller::Caller;
use crate::explore::scenario::Answer;
use crate::explore::scenario::Scenario;

/// Runs that one scenario is worth, at most.
pub(super) const RUNS_MAX: usize = 400;
/// Runs that one is worth that goes on until the history is full.
pub(super) const LONG_RUNS_MAX: usize = 60;

/// Takes away from a scenario what `still` does not need, within so many runs; names in `kept` stay.
pub(super) fn minimize(
    scenario: Scenario,
    kept: &str,
    runs_max: usize,
    still: &mut dyn FnMut(&Scenario) -> bool,
) -> Scenario {
    let mut small = Small {
        scenario,
        kept,
        still,
        n_left: runs_max,
    };
    small.answers();
    small.values();
    small.scenario
}

struct Small<'a> {
    scenario: Scenario,
    kept: &'a str,
    still: &'a mut dyn FnMut(&Scenario) -> bool,
    n_left: usize,
}

/// Where a value of a scenario is.
#[derive(Clone, Copy)]
enum Place {
    Answer(Caller, usize),
    Input,
}

impl Small<'_> {
    /// Tries a change; keeps it if the finding stays.
    fn attempt(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        if self.n_left == 0 {
            return false;
        }
        let mut changed = self.scenario.clone();
        change(&mut changed);
        if changed == self.scenario {
            return false;
        }
        self.n_left -= 1;
        let is_good = (self.still)(&changed);
        if is_good {
            self.scenario = changed;
        }
        is_good
    }

    fn answers(&mut self) {
        let nothing = || Answer::Result(Value::Object(Map::new()));
        let callers: Vec<Caller> = self.scenario.answers.keys().copied().collect();
        for caller in callers {
            if self.attempt(|scenario| {
                scenario.answers.insert(caller, vec![nothing()]);
            }) {
                continue;
            }
            // One answer for all calls is shorter than a sequence.
            for n in (0..self.count(caller)).rev() {
                if self.count(caller) <= 1 {
                    break;
                }
                self.attempt(|scenario| {
                    if let Some(answers) = scenario.answers.get_mut(&caller) {
                        answers.remove(n);
                    }
                });
            }
            for n in 0..self.count(caller) {
                self.attempt(|scenario| {
                    if let Some(answer) = scenario.answers.get_mut(&caller).and_then(|answers| answers.get_mut(n)) {
                        *answer = nothing();
                    }
                });
            }
        }
    }

    fn count(&self, caller: Caller) -> usize {
        self.scenario.answers.get(&caller).map_or(0, Vec::len)
    }

    fn values(&mut self) {
        let mut places = vec![Place::Input];
        for (caller, answers) in &self.scenario.answers {
            places.extend((0..answers.len()).map(|n| Place::Answer(*caller, n)));
        }
        for place in places {
            self.value(place);
        }
    }

    /// Takes away members and elements, the outermost first, the last first.
    fn value(&mut self, place: Place) {
        let keeps_one = !self.kept.is_empty();
        let mut open = vec![String::new()];
        while let Some(pointer) = open.pop() {
            let names: Vec<String> = match value_at(&self.scenario, place).and_then(|value| value.pointer(&pointer)) {
                Some(Value::Object(members)) => members.keys().rev().cloned().collect(),
                Some(Value::Array(elements)) => (0..elements.len()).rev().map(|n| n.to_string()).collect(),
                _ => continue,
            };
            for name in names {
                let is_kept = !name.chars().all(|c| c.is_ascii_digit()) && self.kept.contains(&name);
                let gone = !is_kept
                    && self.attempt(|scenario| {
                        let value = value_at_mut(scenario, place).and_then(|value| value.pointer_mut(&pointer));
                        match value {
                            Some(Value::Object(members)) => {
                                members.shift_remove(&name);
                            }
                            // Where data fail, an empty list would be a reason of its own.
                            Some(Value::Array(elements)) if keeps_one && elements.len() == 1 => {}
                            Some(Value::Array(elements)) => {
                                if let Ok(n) = name.parse::<usize>()
                                    && n < elements.len()
                                {
                                    elements.remove(n);
                                }
                            }
                            _ => {}
                        }
                    });
                if !gone {
                    open.push(format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")));
                }
            }
        }
    }
}

fn value_at(scenario: &Scenario, place: Place) -> Option<&Value> {
    match place {
        Place::Input => Some(&scenario.input),
        Place::Answer(caller, n) => match scenario.answers.get(&caller)?.get(n)? {
            Answer::Result(value) => Some(value),
            _ => None,
        },
    }
}

fn value_at_mut(scenario: &mut Scenario, place: Place) -> Option<&mut Value> {
    match place {
        Place::Input => Some(&mut scenario.input),
        Place::Answer(caller, n) => match scenario.answers.get_mut(&caller)?.get_mut(n)? {
            Answer::Result(value) => Some(value),
            _ => None,
        },
    }
}
