//! Changes scenarios, by chance that a seed repeats.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::asl::definition::StateKind;
use crate::explore::caller::Caller;
use crate::explore::caller::of_state;
use crate::explore::condition::NO_GROUP;
use crate::explore::run::OWN_ERRORS;
use crate::explore::run::Subject;
use crate::explore::run::Trace;
use crate::explore::scenario::Answer;
use crate::explore::scenario::Scenario;
use crate::explore::scenario::make;
use crate::explore::shape::Choice;
use crate::explore::shape::Group;
use crate::explore::shape::Shape;
use crate::explore::shape::of_group;
use crate::model::entropy::Entropy;
use crate::model::id::StateId;

/// An error that no definition names.
pub(super) const STRANGER: &str = "Explored.Error";
/// What Retry and Catch may name, but no task fails with by itself.
const NO_TASKS_ERRORS: &[&str] = &[
    "States.ALL",
    "States.ExceedToleratedFailureThreshold",
    "States.HeartbeatTimeout",
    "States.ItemReaderFailed",
    "States.ResultWriterFailed",
];
/// Lengths of lists that are always worth trying.
const LENGTHS: &[usize] = &[0, 1, 2, 3];

/// What there is to change.
pub(super) struct Mutator<'s> {
    subject: &'s Subject<'s>,
    /// The errors worth trying at each task, reader and writer.
    pub(super) errors: BTreeMap<Caller, Vec<String>>,
    /// All groups of candidates.
    pub(super) groups: Vec<Group>,
}

impl<'s> Mutator<'s> {
    pub(super) fn new(subject: &'s Subject<'s>) -> Self {
        let mut groups = BTreeSet::new();
        subject.demand.input.groups(&mut groups);
        subject
            .demand
            .results
            .values()
            .for_each(|shape| shape.groups(&mut groups));
        groups.remove(&NO_GROUP);
        Self {
            subject,
            errors: errors(subject),
            groups: groups.into_iter().collect(),
        }
    }

    /// Returns what follows systematically from a run: every task that it called fails in every way, every condition
    /// holds, every list has every length.
    pub(super) fn variants(&self, scenario: &Scenario, trace: &Trace) -> Vec<Scenario> {
        let mut variants = Vec::new();
        for caller in trace.given.keys() {
            let result = || Answer::Result(make(self.subject.demand.results.get(caller)));
            let before = scenario.answers.get(caller).cloned().unwrap_or_default();
            for name in self.errors.get(caller).into_iter().flatten() {
                let error = Answer::error(&self.subject.demand, *caller, name);
                let always = vec![error.clone()];
                let once = vec![error.clone(), before.last().cloned().unwrap_or_else(result)];
                let later = vec![before.first().cloned().unwrap_or_else(result), error];
                let is_retried = !self.subject.state(caller.state).retriers.is_empty();
                let is_repeated = 1 < trace.given.get(caller).map_or(0, Vec::len);
                let wanted = [(always, true), (once, is_retried), (later, is_repeated)];
                for (answers, _) in wanted.into_iter().filter(|(_, wanted)| *wanted) {
                    variants.push(with_answers(scenario, *caller, answers));
                }
            }
            if let StateKind::Task(task) = &self.subject.state(caller.state).kind
                && (task.timeout_seconds.is_some() || task.heartbeat_seconds.is_some())
            {
                variants.push(with_answers(scenario, *caller, vec![Answer::Never]));
            }
            // Loops that wait for another answer.
            let Some(shape) = self.subject.demand.results.get(caller) else {
                continue;
            };
            let mut groups = BTreeSet::new();
            shape.groups(&mut groups);
            for group in groups.into_iter().filter(|group| *group != NO_GROUP) {
                let before = make(Some(shape));
                let mut answer = before.clone();
                shape.patch(&mut answer, &mut of_group(group));
                if answer != before {
                    let first = Answer::Result(before);
                    let other = Answer::Result(answer);
                    variants.push(with_answers(scenario, *caller, vec![other.clone(), first.clone()]));
                    variants.push(with_answers(scenario, *caller, vec![first, other]));
                }
            }
        }
        for group in &self.groups {
            variants.push(self.with_group(scenario, *group));
        }
        for length in LENGTHS {
            let mut variant = scenario.clone();
            self.change_data(&mut variant, &mut |shape| {
                shape.lengths().is_some().then_some(Choice::Length(*length))
            });
            variants.push(variant);
        }
        variants.retain(|variant| variant != scenario);
        variants
    }

    /// Changes the data so that it fulfils an alternative of a condition.
    pub(super) fn with_group(&self, scenario: &Scenario, group: Group) -> Scenario {
        let mut changed = scenario.clone();
        self.change_data(&mut changed, &mut of_group(group));
        changed
    }

    /// Changes the input and all results.
    fn change_data(&self, scenario: &mut Scenario, choose: &mut dyn FnMut(&Shape) -> Option<Choice>) {
        self.subject.demand.input.patch(&mut scenario.input, choose);
        for (caller, shape) in &self.subject.demand.results {
            match scenario.answers.get_mut(caller) {
                Some(answers) => {
                    for answer in answers {
                        if let Answer::Result(value) = answer {
                            shape.patch(value, choose);
                        }
                    }
                }
                None => {
                    let before = make(Some(shape));
                    let mut value = before.clone();
                    shape.patch(&mut value, choose);
                    if value != before {
                        scenario.answers.insert(*caller, vec![Answer::Result(value)]);
                    }
                }
            }
        }
    }

    /// Changes a scenario somewhere.
    pub(super) fn mutate(&self, scenario: &Scenario, callers: &[Caller], entropy: &mut Entropy) -> Scenario {
        let mut changed = scenario.clone();
        for _ in 0..=draw(entropy, 3) {
            match draw(entropy, 8) {
                0..=2 if !self.groups.is_empty() => {
                    let group = self.groups[draw(entropy, self.groups.len())];
                    changed = self.with_group(&changed, group);
                }
                3..=4 if !callers.is_empty() => {
                    let caller = callers[draw(entropy, callers.len())];
                    self.change_answers(&mut changed, caller, entropy);
                }
                _ => {
                    let rarity = 1 + draw(entropy, 6);
                    self.change_data(&mut changed, &mut |shape| one_of(shape, rarity, entropy));
                }
            }
        }
        changed
    }

    fn change_answers(&self, scenario: &mut Scenario, caller: Caller, entropy: &mut Entropy) {
        let names = self.errors.get(&caller).map(Vec::as_slice).unwrap_or_default();
        let mut answers = scenario.answers.get(&caller).cloned().unwrap_or_default();
        let result = Answer::Result(make(self.subject.demand.results.get(&caller)));
        let new = match names {
            [] => result.clone(),
            names => match draw(entropy, 3) {
                0 => result.clone(),
                _ => Answer::error(&self.subject.demand, caller, &names[draw(entropy, names.len())]),
            },
        };
        match draw(entropy, 4) {
            0 => answers = vec![new],
            1 => {
                answers.insert(0, new);
                if answers.len() == 1 {
                    answers.push(result);
                }
            }
            2 => answers.push(new),
            _ => {
                let n = 1 + draw(entropy, 4);
                answers = vec![new; n];
                answers.push(result);
            }
        }
        answers.truncate(12);
        scenario.answers.insert(caller, answers);
    }

    /// Returns what may get past an error that data cause: everything there and as it is most expected, each length of
    /// lists, each condition fulfilled.
    pub(super) fn repairs(&self, scenario: &Scenario) -> Vec<Scenario> {
        let mut plain = scenario.clone();
        plain.input = make(Some(&self.subject.demand.input));
        for (caller, answers) in &mut plain.answers {
            for answer in answers {
                if let Answer::Result(value) = answer {
                    *value = make(self.subject.demand.results.get(caller));
                }
            }
        }
        let mut repairs = Vec::new();
        for begin in [scenario, &plain] {
            for length in LENGTHS {
                let mut variant = begin.clone();
                self.change_data(&mut variant, &mut |shape| {
                    shape.lengths().is_some().then_some(Choice::Length(*length))
                });
                repairs.push(variant);
            }
            repairs.extend(self.groups.iter().map(|group| self.with_group(begin, *group)));
        }
        repairs.push(self.with_all_reads(scenario));
        repairs.push(self.with_all_reads(&plain));
        repairs.push(plain);
        repairs
    }

    /// Adds to the input what any state reads, though nothing leads from there to the state.
    pub(super) fn with_all_reads(&self, scenario: &Scenario) -> Scenario {
        let mut changed = scenario.clone();
        let mut input = make(Some(&self.subject.demand.reads));
        overlay(&mut input, &scenario.input);
        changed.input = input;
        changed
    }

    /// Changes the data of a scenario more boldly than a definition would have it: other types, absent members.
    pub(super) fn go_wild(&self, scenario: &Scenario, entropy: &mut Entropy) -> Scenario {
        let mut changed = scenario.clone();
        changed.is_wild = true;
        let rarity = 1 + draw(entropy, 8);
        self.change_data(&mut changed, &mut |shape| {
            if draw(entropy, rarity) != 0 {
                return None;
            }
            match draw(entropy, 24) {
                0 => Some(Choice::Value(json!("text"))),
                1 => Some(Choice::Value(json!(1))),
                2 => Some(Choice::Value(json!([]))),
                3 => Some(Choice::Value(json!([1]))),
                4 => Some(Choice::Value(json!({}))),
                5 => Some(Choice::Value(json!(true))),
                6 => Some(Choice::Value(json!(["text"]))),
                7 => Some(Choice::Value(json!("2026-01-02T00:00:00Z"))),
                8 => Some(Choice::Value(json!([{}]))),
                9 => Some(Choice::Value(json!("{}"))),
                10 => Some(Choice::Absent),
                _ => one_of(shape, 1, entropy),
            }
        });
        changed
    }
}

fn with_answers(scenario: &Scenario, caller: Caller, answers: Vec<Answer>) -> Scenario {
    let mut variant = scenario.clone();
    variant.answers.insert(caller, answers);
    variant
}

/// Chooses one of the values worth trying at one place of `rarity`.
fn one_of(shape: &Shape, rarity: usize, entropy: &mut Entropy) -> Option<Choice> {
    if let Some(lengths) = shape.lengths() {
        if draw(entropy, rarity) != 0 {
            return None;
        }
        let at = draw(entropy, LENGTHS.len() + lengths.len());
        let length = LENGTHS.get(at).copied();
        return Some(Choice::Length(length.unwrap_or_else(|| lengths[at - LENGTHS.len()].0)));
    }
    let (candidates, usual) = (shape.candidates(), shape.usual());
    let n_all = candidates.len() + usual.len();
    if n_all == 0 || draw(entropy, rarity) != 0 {
        return None;
    }
    let at = draw(entropy, n_all);
    match candidates.get(at) {
        Some(candidate) => Some(candidate.choice.clone()),
        None => serde_json::from_str(usual[at - candidates.len()])
            .ok()
            .map(Choice::Value),
    }
}

/// Puts one value over another: what both have is the upper one's.
fn overlay(lower: &mut Value, upper: &Value) {
    let (Value::Object(lower), Value::Object(upper)) = (&mut *lower, upper) else {
        return *lower = upper.clone();
    };
    for (name, value) in upper {
        overlay(lower.entry(name.as_str()).or_insert(Value::Null), value);
    }
}

/// Draws a number below `n`; 0 if there is none.
pub(super) fn draw(entropy: &mut Entropy, n: usize) -> usize {
    match u64::try_from(n) {
        Ok(n @ 1..) => usize::try_from(entropy.next_u64() % n).unwrap_or(0),
        _ => 0,
    }
}

/// Returns the errors that are worth trying at each task: those that it or what is around it names, those of all
/// tasks, and one that nobody names. A reader and a writer have one of their own.
fn errors(subject: &Subject<'_>) -> BTreeMap<Caller, Vec<String>> {
    let definition = &subject.machine.definition;
    let mut errors = BTreeMap::new();
    for (number, state) in definition.states.iter().enumerate() {
        let id = StateId(u32::try_from(number).unwrap_or(u32::MAX));
        for caller in of_state(definition, id) {
            let name = caller.field.and_then(|field| field.error("").name);
            errors.insert(caller, name.into_iter().collect());
        }
        if !matches!(state.kind, StateKind::Task(_)) {
            continue;
        }
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: &str| {
            // What the definition itself raises is not made up, nor what is no error of a task.
            let is_reserved = OWN_ERRORS.contains(&name) || NO_TASKS_ERRORS.contains(&name);
            if !is_reserved && !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        };
        let mut around = Some(state);
        while let Some(state) = around {
            state
                .retriers
                .iter()
                .flat_map(|retrier| &retrier.error_equals)
                .for_each(|name| add(name));
            state
                .catchers
                .iter()
                .flat_map(|catcher| &catcher.error_equals)
                .for_each(|name| add(name));
            around = definition
                .block(state.block)
                .parent
                .map(|parent| definition.state(parent));
        }
        if let Some(shape) = subject.demand.errors.get(&Caller::task(id)) {
            for candidate in shape.member("Error").candidates() {
                if let Choice::Value(Value::String(name)) = &candidate.choice {
                    add(name);
                }
            }
        }
        ["States.TaskFailed", "States.Timeout", STRANGER]
            .into_iter()
            .for_each(&mut add);
        errors.insert(Caller::task(id), names);
    }
    errors
}
