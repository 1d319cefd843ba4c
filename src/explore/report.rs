//! The door of the room: a machine in, a report out.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::asl::definition::StateKind;
use crate::asl::definition::Transition;
use crate::explore::caller::Caller;
use crate::explore::demand;
use crate::explore::finding::Key;
pub use crate::explore::finding::Kind;
pub use crate::explore::finding::Level;
use crate::explore::minimize::LONG_RUNS_MAX;
use crate::explore::minimize::RUNS_MAX;
use crate::explore::minimize::minimize;
use crate::explore::mutate::STRANGER;
pub use crate::explore::reproduce::Reproduction;
pub use crate::explore::reproduce::flow;
use crate::explore::run::STEPS_OF_A_LOOP;
use crate::explore::run::Subject;
use crate::explore::run::Trace;
use crate::explore::run::run;
use crate::explore::run::run_for;
use crate::explore::scenario::Answer;
use crate::explore::scenario::Scenario;
use crate::explore::search::Search;
use crate::explore::search::round;
use crate::model::id::BlockId;
use crate::model::id::StateId;
use crate::model::payload::Payload;
use crate::model::span::Span;
use crate::suite::check::seconds;
use crate::suite::coverage::Coverage;
use crate::suite::run::Machine;

/// States of a way that a message names, at most.
const NAMED_MAX: usize = 12;

/// How to explore.
#[derive(Clone, Debug)]
pub struct Options {
    /// Runs, at most; making findings small takes more.
    pub runs: usize,
    /// The seed of all chance.
    pub seed: u64,
    /// What matters less is only counted.
    pub level: Level,
    /// Values that stand for placeholders: an error over one of them tells nothing.
    pub stand_ins: Vec<String>,
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// The findings, the most important kinds first.
    pub findings: Vec<Finding>,
    /// How many matter less than was asked for.
    pub n_hidden: usize,
    /// What was run.
    pub coverage: Coverage,
    /// How many scenarios were run.
    pub n_runs: usize,
}

/// Something that a team may want to change.
#[derive(Debug)]
pub struct Finding {
    /// What kind it is of.
    pub kind: Kind,
    /// The state.
    pub state: String,
    /// Where that is.
    pub span: Span,
    /// What happens, in one sentence.
    pub message: String,
    /// Why that is told, or what it rests on.
    pub explanation: String,
    /// The states on the way.
    pub way: Vec<String>,
    /// A test that repeats it.
    pub reproduction: Option<Reproduction>,
}

/// Explores a machine; `go_on` is asked before each run.
pub fn explore(machine: &Machine, options: &Options, go_on: &mut dyn FnMut() -> bool) -> Report {
    let subject = Subject::new(machine, demand::of_definition(&machine.definition));
    let mut search = Search::new(&subject, options.seed);
    search.search(options.runs, go_on);
    let coverage = Coverage::of(&machine.definition, &search.taken);
    let mut findings = Vec::new();
    let mut n_hidden = 0;
    let mut uncaught: BTreeMap<StateId, Vec<String>> = BTreeMap::new();
    for key in search.found.keys().filter(|key| key.kind == Kind::Uncaught) {
        uncaught.entry(key.state).or_default().push(key.error.clone());
    }
    let mut told = BTreeSet::new();
    let mut faulty = BTreeSet::new();
    for (key, scenario) in &search.found {
        let key = match key.kind {
            Kind::RuntimeError if is_made_up(&subject, options, scenario, key) || search.is_repaired(scenario, key) => {
                Key {
                    kind: Kind::DataDependent,
                    ..key.clone()
                }
            }
            _ => key.clone(),
        };
        if matches!(key.kind, Kind::RuntimeError | Kind::DataDependent) {
            faulty.insert(key.state);
        }
        // One line for all errors of a state that nothing catches.
        if key.kind == Kind::Uncaught && !told.insert(key.state) {
            continue;
        }
        if key.kind.level() < options.level {
            n_hidden += 1;
            continue;
        }
        let errors = uncaught.get(&key.state).map(Vec::as_slice).unwrap_or_default();
        findings.push(finding(&search, &key, scenario, errors));
    }
    for state in not_reached(&subject, &coverage, &faulty) {
        findings.push(Finding {
            kind: Kind::NotReached,
            state: subject.name(state).to_owned(),
            span: subject.state(state).span,
            message: format!("`{}` was not reached in {} runs", subject.name(state), search.n_runs),
            explanation: "a state before it was. Either nothing can lead here, or it takes data that were not tried"
                .to_owned(),
            way: Vec::new(),
            reproduction: None,
        });
    }
    findings.sort_by_key(|finding| (finding.kind, finding.span.start));
    Report {
        findings,
        n_hidden,
        coverage,
        n_runs: search.n_runs,
    }
}

fn finding(search: &Search<'_>, key: &Key, scenario: &Scenario, errors: &[String]) -> Finding {
    let subject = search.subject;
    let shown_as = match key.kind {
        Kind::DataDependent => Key {
            kind: Kind::RuntimeError,
            ..key.clone()
        },
        _ => key.clone(),
    };
    let mut scenario = scenario.clone();
    let first = run(subject, &scenario);
    // What tasks answer by default can be made small, too.
    for (caller, given) in &first.given {
        if let (false, Some(answer)) = (scenario.answers.contains_key(caller), given.first()) {
            scenario.answers.insert(*caller, vec![answer.clone()]);
        }
    }
    // A path that fails is to be seen to exist in the beginning.
    let is_fault = matches!(key.kind, Kind::RuntimeError | Kind::DataDependent);
    let kept = if is_fault { key.detail.as_str() } else { "" };
    let way = way_to(&first, key);
    let mut still = |scenario: &Scenario| {
        let trace = run(subject, scenario);
        let is_same_end = trace.error().map(|error| &error.name) == first.error().map(|error| &error.name);
        search.shows(&trace, &shown_as) && is_same_end && (!is_fault || way_to(&trace, key) == way)
    };
    // Nobody shall think that the input only lacks what is not found later.
    let whole_input = search.mutator.with_all_reads(&scenario);
    if is_fault && still(&whole_input) {
        scenario = whole_input;
    }
    let runs_max = match key.kind {
        Kind::UnboundedLoop | Kind::OpenLoop | Kind::NotEnded => LONG_RUNS_MAX,
        _ => RUNS_MAX,
    };
    let small = minimize(scenario, kept, runs_max, &mut still);
    let trace = run(subject, &small);
    let whole = match key.kind {
        Kind::UnboundedLoop | Kind::OpenLoop | Kind::NotEnded => run_for(subject, &small, STEPS_OF_A_LOOP),
        _ => run(subject, &small),
    };
    let (message, explanation) = words(search, key, errors, &trace, &whole);
    let name = format!("{}: {}", key.kind.name(), message.replace('`', ""));
    let comment = format!("{message}: {explanation}.");
    Finding {
        kind: key.kind,
        state: subject.name(key.state).to_owned(),
        span: subject.state(key.state).span,
        way: names(subject, trace.visits.iter().map(|visit| visit.state)),
        reproduction: Reproduction::new(subject, &small, &whole, &name, &comment),
        message,
        explanation,
    }
}

/// Returns the states up to a fault.
fn way_to(trace: &Trace, key: &Key) -> Vec<StateId> {
    let is_it = |fault: &&crate::explore::run::Fault| fault.state == key.state && fault.error == key.error;
    let n_visits = trace.faults.iter().find(is_it).map_or(0, |fault| fault.n_visits);
    trace.visits.iter().take(n_visits).map(|visit| visit.state).collect()
}

fn words(search: &Search<'_>, key: &Key, errors: &[String], trace: &Trace, whole: &Trace) -> (String, String) {
    let subject = search.subject;
    let state = subject.name(key.state);
    match key.kind {
        Kind::RuntimeError => (
            format!("`{state}` fails with {}: {}", key.error, key.detail.trim_end_matches('.')),
            "everything that is read from outside exists, and no other data that were tried on the same way got past it"
                .to_owned(),
        ),
        Kind::DataDependent => (
            format!("`{state}` fails with {}: {}", key.error, key.detail.trim_end_matches('.')),
            "other data get past it".to_owned(),
        ),
        Kind::UnboundedLoop | Kind::OpenLoop => {
            let round = round(&trace.visits).unwrap_or_default();
            let has_task = round.iter().any(|visit| matches!(subject.state(visit.state).kind, StateKind::Task(_)));
            let first = round.iter().map(|visit| visit.state).min();
            let at = round.iter().position(|visit| Some(visit.state) == first).unwrap_or(0);
            let turned = round.iter().skip(at).chain(round.iter().take(at)).map(|visit| visit.state);
            let while_it_lasts = if has_task { " as long as the tasks answer so" } else { "" };
            (
                format!(
                    "{} go round with the same data{while_it_lasts}",
                    shown(&names(subject, turned))
                ),
                format!(
                    "nothing ends it but the service, after {} s: {}",
                    seconds(whole.elapsed_millis),
                    whole.error().and_then(|error| error.cause.clone()).unwrap_or_else(|| {
                        "a limit of time".to_owned()
                    }).trim_end_matches('.')
                ),
            )
        }
        Kind::NotEnded => (
            format!("the execution is not ended within {} states at `{state}`", trace.visits.len()),
            "the data are others each time round, so it may end or not".to_owned(),
        ),
        Kind::DataLimit => (
            format!("an output of `{state}` is larger than 262144 bytes, though what comes from outside is small"),
            "the execution fails with States.DataLimitExceeded".to_owned(),
        ),
        Kind::NoRollback => {
            let has_changed = |(caller, answers): (&Caller, &Vec<Answer>)| {
                let is_done = answers.iter().any(|answer| matches!(answer, Answer::Result(_)));
                (is_done && search.effects.changing.contains(&caller.state)).then_some(caller.state)
            };
            let done = names(subject, trace.given.iter().filter_map(has_changed));
            let undoing = names(subject, search.effects.undoing.iter().copied());
            (
                format!("the execution fails at `{state}` after {}, and nothing is undone", shown(&done)),
                format!("by their names, {} would undo something", shown(&undoing)),
            )
        }
        Kind::RollbackFails => (
            format!("`{state}` undoes something, and an error of its own ends the execution there"),
            "it has no Retry and no Catch. That it undoes something is guessed from its name".to_owned(),
        ),
        Kind::Uncaught => (
            match errors.iter().any(|error| error == STRANGER) {
                true => format!("nothing catches all errors of `{state}`"),
                false => format!("nothing catches {} of `{state}`", errors.join(", ")),
            },
            "the execution ends there".to_owned(),
        ),
        Kind::NotReached => (String::new(), String::new()),
    }
}

fn names(subject: &Subject<'_>, states: impl Iterator<Item = StateId>) -> Vec<String> {
    states.map(|state| subject.name(state).to_owned()).collect()
}

/// Returns names in a row.
fn shown(names: &[String]) -> String {
    let mut text: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    if NAMED_MAX < names.len() {
        text.push(format!("{} more", names.len() - NAMED_MAX));
    }
    text.join(", ")
}

/// Tells whether a state fails over data that hold what stands for a placeholder.
fn is_made_up(subject: &Subject<'_>, options: &Options, scenario: &Scenario, key: &Key) -> bool {
    let trace = run(subject, scenario);
    let inputs = trace
        .faults
        .iter()
        .filter(|fault| fault.state == key.state)
        .filter_map(|fault| fault.input.as_ref());
    let mut inputs = inputs.map(Payload::text);
    inputs.any(|input| {
        options
            .stand_ins
            .iter()
            .any(|value| STAND_IN_MIN <= value.len() && input.contains(value))
    })
}

/// Shorter texts may stand anywhere.
const STAND_IN_MIN: usize = 8;

/// Returns the states that were not reached though one that leads to them was; those aside that are behind one that
/// fails for a reason of its own.
fn not_reached(subject: &Subject<'_>, coverage: &Coverage, faulty: &BTreeSet<StateId>) -> BTreeSet<StateId> {
    let definition = &subject.machine.definition;
    let entered = coverage
        .points
        .iter()
        .filter(|point| point.way.is_none() && 0 < point.count);
    let entered: BTreeSet<StateId> = entered.map(|point| point.state).collect();
    // What holds a faulty state does not get on, either.
    let mut stuck: BTreeSet<StateId> = BTreeSet::new();
    for id in faulty {
        let mut around = Some(*id);
        while let Some(id) = around {
            stuck.insert(id);
            around = definition.block(definition.state(id).block).parent;
        }
    }
    let mut not_reached = BTreeSet::new();
    let start = definition.block(BlockId(0)).start_at;
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        if !entered.contains(&id) {
            not_reached.insert(id);
            continue;
        }
        let state = definition.state(id);
        open.extend(state.catchers.iter().map(|catcher| catcher.next));
        match &state.kind {
            StateKind::Choice(_) if faulty.contains(&id) => continue,
            StateKind::Choice(choice) => {
                open.extend(choice.rules.iter().map(|rule| rule.next).chain(choice.default));
                continue;
            }
            StateKind::Map(map) => open.push(definition.block(map.block).start_at),
            StateKind::Parallel(blocks) => open.extend(blocks.iter().map(|block| definition.block(*block).start_at)),
            _ => {}
        }
        if let Transition::Next(next) = state.transition
            && !stuck.contains(&id)
        {
            open.push(next);
        }
    }
    not_reached
}
