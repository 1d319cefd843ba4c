//! Looks for scenarios that reach something new.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::definition::Transition;
use crate::explore::caller::Caller;
use crate::explore::effect;
use crate::explore::effect::Effects;
use crate::explore::finding::Key;
use crate::explore::finding::Kind;
use crate::explore::finding::is_limit;
use crate::explore::finding::observe;
use crate::explore::mutate::Mutator;
use crate::explore::mutate::draw;
use crate::explore::run;
use crate::explore::run::STEPS_OF_A_LOOP;
use crate::explore::run::Subject;
use crate::explore::run::Trace;
use crate::explore::run::Visit;
use crate::explore::run::number;
use crate::explore::run::run_for;
use crate::explore::scenario::Scenario;
use crate::explore::scenario::make;
use crate::kernel::event::Status;
use crate::model::entropy::Entropy;
use crate::model::id::StateId;
use crate::suite::coverage::Coverage;
use crate::suite::coverage::Taken;

/// Scenarios that wait for their turn, at most.
const QUEUE_MAX: usize = 20_000;
/// Runs in a row without anything new after which all is thought to be seen, once all is covered.
const QUIET_RUNS: usize = 300;
/// The longest round of a loop, in states.
const PERIOD_MAX: usize = 200;
/// How often a round must repeat to be one.
const ROUNDS: usize = 3;
/// Changes of the data that are tried against an error.
const REPAIRS: usize = 240;
/// The seed of every run, unless the scenario has its own.
pub(super) const SEED: u64 = 1;

/// A search at work.
pub(super) struct Search<'s> {
    pub(super) subject: &'s Subject<'s>,
    pub(super) effects: Effects,
    pub(super) mutator: Mutator<'s>,
    entropy: Entropy,
    kept: Vec<Kept>,
    queue: VecDeque<Scenario>,
    /// Numbers of the scenarios that were run.
    seen: BTreeSet<u64>,
    /// What has happened, in numbers.
    features: BTreeSet<u64>,
    pub(super) taken: Taken,
    /// The first scenario that showed each finding.
    pub(super) found: BTreeMap<Key, Scenario>,
    /// Loops that were followed to their end.
    followed: BTreeSet<Key>,
    pub(super) n_runs: usize,
    n_quiet: usize,
}

struct Kept {
    scenario: Scenario,
    /// Who asks for something in it.
    callers: Vec<Caller>,
}

impl<'s> Search<'s> {
    pub(super) fn new(subject: &'s Subject<'s>, seed: u64) -> Self {
        let first = Scenario {
            input: make(Some(&subject.demand.input)),
            answers: BTreeMap::new(),
            seed: SEED,
            is_wild: false,
        };
        Self {
            subject,
            effects: effect::of_definition(&subject.machine.definition),
            mutator: Mutator::new(subject),
            entropy: Entropy::new(seed),
            kept: Vec::new(),
            queue: VecDeque::from([first]),
            seen: BTreeSet::new(),
            features: BTreeSet::new(),
            taken: Taken::default(),
            found: BTreeMap::new(),
            followed: BTreeSet::new(),
            n_runs: 0,
            n_quiet: 0,
        }
    }

    /// Runs at most so many scenarios; `go_on` is asked before each.
    pub(super) fn search(&mut self, runs_max: usize, go_on: &mut dyn FnMut() -> bool) {
        let mut n_drawn = 0;
        while self.n_runs < runs_max && n_drawn < 4 * runs_max && go_on() {
            let scenario = match self.queue.pop_front() {
                Some(scenario) => scenario,
                None if QUIET_RUNS < self.n_quiet && self.is_all_covered() => break,
                None => {
                    n_drawn += 1;
                    self.drawn()
                }
            };
            if self.seen.insert(number(&format!("{scenario:?}"))) {
                self.step(scenario);
            } else {
                self.n_quiet += 1;
            }
        }
    }

    fn is_all_covered(&self) -> bool {
        let (covered, all) = Coverage::of(&self.subject.machine.definition, &self.taken).all();
        covered == all
    }

    /// Draws a change of something that was kept.
    fn drawn(&mut self) -> Scenario {
        // What was found last is changed most.
        let n = self.kept.len();
        let at = draw(&mut self.entropy, n).max(draw(&mut self.entropy, n));
        let Some(kept) = self.kept.get(at) else {
            return Scenario {
                input: make(Some(&self.subject.demand.input)),
                answers: BTreeMap::new(),
                seed: SEED,
                is_wild: false,
            };
        };
        match draw(&mut self.entropy, 10) {
            0 => self.mutator.go_wild(&kept.scenario, &mut self.entropy),
            _ => self.mutator.mutate(&kept.scenario, &kept.callers, &mut self.entropy),
        }
    }

    fn step(&mut self, scenario: Scenario) {
        let trace = run::run(self.subject, &scenario);
        self.n_runs += 1;
        self.n_quiet += 1;
        self.taken.add(&trace.taken);
        let n_before = self.features.len();
        self.features.extend(&trace.features);
        let is_new = n_before < self.features.len();
        if !scenario.is_wild {
            for key in observe(self.subject, &self.effects, &trace) {
                self.found.entry(key).or_insert_with(|| scenario.clone());
            }
            self.follow(&scenario, &trace);
        }
        if is_new {
            self.n_quiet = 0;
            for variant in self.mutator.variants(&scenario, &trace) {
                if self.queue.len() < QUEUE_MAX {
                    self.queue.push_back(variant);
                }
            }
            self.kept.push(Kept {
                callers: trace.given.keys().copied().collect(),
                scenario,
            });
        }
    }

    /// Looks how a run ends that was cut off, or ended for the length of its history.
    fn follow(&mut self, scenario: &Scenario, trace: &Trace) {
        let Some(key) = loop_of(self.subject, trace) else {
            return;
        };
        if !self.followed.insert(key.clone()) {
            return;
        }
        let whole = run_for(self.subject, scenario, STEPS_OF_A_LOOP);
        let is_found = match &whole.status {
            Status::New | Status::Running => true,
            Status::Failed(error) => error.cause.as_deref().is_some_and(is_limit),
            // The author has thought of an end, if it is not AWS's year.
            Status::TimedOut(_) => self.subject.machine.definition.timeout_seconds.is_none(),
            Status::Succeeded(_) | Status::Aborted(_) => false,
        };
        if is_found {
            self.found.entry(key).or_insert_with(|| scenario.clone());
        }
    }

    /// Tells whether other data let the state go on where it failed, on the same way.
    pub(super) fn is_repaired(&self, scenario: &Scenario, key: &Key) -> bool {
        let trace = run::run(self.subject, scenario);
        let is_it = |fault: &&run::Fault| fault.state == key.state && fault.error == key.error;
        let Some(fault) = trace.faults.iter().find(is_it) else {
            return false;
        };
        let states = |visits: &[Visit]| {
            visits
                .iter()
                .take(fault.n_visits)
                .map(|visit| visit.state)
                .collect::<Vec<_>>()
        };
        let way = states(&trace.visits);
        let mut entropy = Entropy::new(number(key));
        let systematic = self.mutator.repairs(scenario);
        let wild = (0..REPAIRS).map(|_| self.mutator.go_wild(scenario, &mut entropy));
        systematic.into_iter().chain(wild).any(|changed| {
            let changed = run::run(self.subject, &changed);
            changed.passed.contains(&key.state)
                && changed.faults.iter().all(|fault| fault.state != key.state)
                && states(&changed.visits) == way
        })
    }

    /// Tells whether a run shows a finding.
    pub(super) fn shows(&self, trace: &Trace, key: &Key) -> bool {
        match key.kind {
            Kind::UnboundedLoop | Kind::OpenLoop | Kind::NotEnded => loop_of(self.subject, trace).as_ref() == Some(key),
            _ => observe(self.subject, &self.effects, trace).contains(key),
        }
    }
}

/// Returns the loop that a run ends in, as a finding.
fn loop_of(subject: &Subject<'_>, trace: &Trace) -> Option<Key> {
    let is_cut = trace.is_open()
        || trace
            .error()
            .is_some_and(|error| error.cause.as_deref().is_some_and(is_limit));
    let last = trace.visits.last().filter(|_| is_cut)?;
    let (kind, state) = match round(&trace.visits) {
        Some(round) => {
            let has_task = round
                .iter()
                .any(|visit| matches!(subject.state(visit.state).kind, StateKind::Task(_)));
            let nexts = round.iter().skip(1).chain(round);
            let mut pairs = round.iter().zip(nexts);
            let has_failed = pairs.any(|(visit, next)| is_caught(subject.state(visit.state), next.state));
            let kind = match has_task && !has_failed {
                true => Kind::OpenLoop,
                false => Kind::UnboundedLoop,
            };
            (kind, round.iter().map(|visit| visit.state).min()?)
        }
        // Only states that come again and again take part.
        None if trace.visits.iter().filter(|visit| visit.state == last.state).count() < ROUNDS => return None,
        None => (Kind::NotEnded, last.state),
    };
    Some(Key {
        kind,
        state,
        error: String::new(),
        detail: String::new(),
    })
}

/// Tells whether only a catcher leads from a state to another.
fn is_caught(state: &State, next: StateId) -> bool {
    state.transition != Transition::Next(next) && state.catchers.iter().any(|catcher| catcher.next == next)
}

/// Returns the shortest round that the visits end with, if it repeats with the same data.
pub(super) fn round(visits: &[Visit]) -> Option<&[Visit]> {
    (1..=PERIOD_MAX).find_map(|period| {
        let tail = visits.get(visits.len().checked_sub(period * ROUNDS)?..)?;
        let round = tail.get(..period)?;
        tail.chunks(period).all(|other| other == round).then_some(round)
    })
}
