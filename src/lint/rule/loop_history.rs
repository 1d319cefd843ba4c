//! Loops and Maps whose history grows to its end.

use crate::asl::definition::Comparison;
use crate::asl::definition::Condition;
use crate::asl::definition::Items;
use crate::asl::definition::MapMode;
use crate::asl::definition::Operand;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::asl::node::Node;
use crate::lint::destination;
use crate::lint::destination::Destination;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::describe;
use crate::lint::graph::Loop;
use crate::lint::integration::Call;
use crate::lint::round;
use crate::lint::round::EVENTS_MAX;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::wording;
use crate::model::id::StateId;
use crate::query::intrinsic::call::Part;
use crate::query::template::Sketch;

/// Few jobs take longer than that; whoever waits so long in each round has thought of it.
const POLL_SECONDS_MAX: u64 = 12 * 60 * 60;

pub(super) const POLL: Rule = Rule {
    id: "loop/history-limit",
    severity: Severity::Information,
    confidence: Confidence::Heuristic,
    summary: "A loop that waits for something fills the history within half a day",
    explanation: "A STANDARD execution fails with States.Runtime, which nothing catches, when its history has 25,000 \
        events, and each round of the loop writes some. Nothing in the loop counts the rounds or looks at the time. \
        When what it waits for does not come, the execution ends this way, before the machine's TimeoutSeconds, if it \
        has one. Wait longer in each round, count the rounds and leave the loop, or give the machine a shorter \
        TimeoutSeconds, so that the end has a name.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f:1"},"ResultSelector":{"status.$":"$.Payload.status"},"Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.status","StringEquals":"DONE","Next":"S"}],"Default":"W"},"W":{"Type":"Wait","Seconds":5,"Next":"A"},"S":{"Type":"Succeed"}}}"#,
        good: r#"{"StartAt":"A","TimeoutSeconds":7200,"States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f:1"},"ResultSelector":{"status.$":"$.Payload.status"},"Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.status","StringEquals":"DONE","Next":"S"}],"Default":"W"},"W":{"Type":"Wait","Seconds":5,"Next":"A"},"S":{"Type":"Succeed"}}}"#,
        location: "/States/W/Seconds",
    }],
    check: poll,
};

pub(super) const COUNT: Rule = Rule {
    id: "loop/too-many-rounds",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A loop counts to a number that the history does not reach",
    explanation: "The loop counts its rounds and ends at a literal number. Each round writes events, and the history is \
        full before: then a STANDARD execution fails with States.Runtime, which nothing catches. It is assumed that \
        the count begins at 0. Do less in one execution and let it start the next one, or use a Distributed Map, whose \
        child executions have histories of their own.",
    examples: &[Example {
        bad: r#"{"StartAt":"I","States":{"I":{"Type":"Pass","Parameters":{"n.$":"States.MathAdd($.n, 1)"},"Next":"T"},"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","ResultPath":null,"Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericLessThan":10000,"Next":"I"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
        good: r#"{"StartAt":"I","States":{"I":{"Type":"Pass","Parameters":{"n.$":"States.MathAdd($.n, 1)"},"Next":"T"},"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:1","ResultPath":null,"Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericLessThan":1000,"Next":"I"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
        location: "/States/C/Choices[0]",
    }],
    check: count,
};

pub(super) const MAP: Rule = Rule {
    id: "map/history-limit",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "The iterations of an inline Map fill the history",
    explanation: "The events of an inline Map's iterations count in the history of the execution, which may have 25,000 \
        events: then it fails with States.Runtime, which nothing catches. The number of items is known here, and they \
        write more than that. Use Mode DISTRIBUTED: each child execution has a history of its own.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","QueryLanguage":"JSONata","States":{"M":{"Type":"Map","Items":"{% [1..5000] %}","MaxConcurrency":10,"ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Arguments":{"QueueUrl":"q","MessageBody":"m"},"End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","QueryLanguage":"JSONata","States":{"M":{"Type":"Map","Items":"{% [1..500] %}","MaxConcurrency":10,"ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","Arguments":{"QueueUrl":"q","MessageBody":"m"},"End":true}}},"End":true}}}"#,
        location: "/States/M/Items",
    }],
    check: map,
};

fn poll(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    if subject.has_open_target() {
        return;
    }
    for found in subject.graph().loops() {
        let states = || found.states.iter().map(|id| subject.definition.state(*id));
        // A child execution that goes on with the work has a history of its own.
        let goes_on = |state: &State| match &state.kind {
            StateKind::Task(task) => Call::of(task).is_some_and(|call| call.does("states", "startExecution")),
            _ => false,
        };
        if states().any(|state| round::waits_for_others(&state.kind) || goes_on(state) || round::is_counted(state)) {
            continue;
        }
        let mut waits = found.states.iter().filter_map(|id| {
            let node = subject.written(*id).node.get("Seconds")?;
            let seconds = round::literal_wait(&subject.definition.state(*id).kind)?;
            (!node.is_open() && 0 < seconds).then_some((*id, node))
        });
        let Some((id, node)) = waits.next() else {
            continue;
        };
        let state = subject.definition.state(id);
        let Some(round) = round::shortest(subject, found, id).filter(|_| !subject.clock().is_express(state)) else {
            continue;
        };
        let n_rounds = EVENTS_MAX / round.events;
        let seconds = n_rounds.saturating_mul(round.seconds);
        if POLL_SECONDS_MAX < seconds || subject.clock().limit(state).seconds() <= seconds {
            continue;
        }
        let message = format!(
            "Each round of this loop writes at least {} events, so the history is full after {n_rounds} rounds, of which \
             the Waits last {}, and the execution fails with States.Runtime",
            round.events,
            wording::duration(seconds)
        );
        reporter
            .report(node, format!("{}/Seconds", subject.written(id).location), message)
            .hint("wait longer in each round, or bound the loop by a count, a time or the machine's `TimeoutSeconds`");
    }
}

fn count(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    if subject.has_open_target() {
        return;
    }
    for found in subject.graph().loops() {
        let states = || found.states.iter().map(|id| subject.definition.state(*id));
        let counters: Vec<Destination> = states().flat_map(counters).collect();
        if counters.is_empty() || states().any(|state| subject.clock().is_express(state)) {
            continue;
        }
        for id in &found.states {
            look_at_bounds(subject, found, *id, &counters, reporter);
        }
    }
}

fn look_at_bounds(
    subject: &Subject<'_>,
    found: &Loop,
    id: StateId,
    counters: &[Destination],
    reporter: &mut Reporter<'_>,
) {
    let StateKind::Choice(choice) = &subject.definition.state(id).kind else {
        return;
    };
    let mut round = None;
    for (index, rule) in choice.rules.iter().enumerate() {
        let Condition::Compare {
            variable,
            comparison: Comparison::Numeric(_, Operand::Literal(bound)),
        } = &rule.condition
        else {
            continue;
        };
        let is_counter = Destination::of_path(variable).is_some_and(|place| counters.contains(&place));
        let (written, place) = (subject.written(id), format!("/Choices[{index}]"));
        let node = written.node.follow(&place);
        if !is_counter || node.members().iter().any(|member| member.value.is_open()) {
            continue;
        }
        let Some(round) = *round.get_or_insert_with(|| round::shortest(subject, found, id)) else {
            return;
        };
        let n_rounds = EVENTS_MAX / round.events;
        if *bound <= f64::from(u32::try_from(n_rounds).unwrap_or(u32::MAX)) {
            continue;
        }
        let message = format!(
            "The loop of {} probably goes round {bound} times, but after {n_rounds} rounds of {} events the history is \
             full and the execution fails with States.Runtime",
            describe::name(subject, id),
            round.events
        );
        reporter
            .report(node, format!("{}{place}", written.location), message)
            .hint("let an execution do fewer rounds and start the next one, or use a Distributed Map");
    }
}

/// Returns what a state counts up by one.
fn counters(state: &State) -> Vec<Destination> {
    let made = destination::made(state).into_iter();
    let counted = made.filter(|made| match &made.sketch {
        Sketch::Call(call) => {
            let parts = call.parts();
            let is_one = |part: &Part<'_>| matches!(part, Part::Constant(value) if value.as_i64() == Some(1));
            let is_own =
                |part: &Part<'_>| matches!(part, Part::Path(path) if Destination::of_path(path) == Some(made.to.clone()));
            parts.function == "States.MathAdd" && parts.arguments.iter().any(is_one) && parts.arguments.iter().any(is_own)
        }
        _ => false,
    });
    counted.map(|made| made.to).collect()
}

fn map(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Map(map) = &state.kind else { continue };
        let Items::Template(items) = &map.items else { continue };
        let n_items = match items.sketch() {
            Sketch::Expression(expression) => expression.length(),
            Sketch::Known(value) => value.as_array().map(|items| items.len() as u64),
            Sketch::Array(items) => Some(items.len() as u64),
            _ => None,
        };
        let is_own = map.mode == MapMode::Inline && !subject.clock().is_express(state);
        let Some(n_items) = n_items.filter(|_| is_own && !subject.has_open_target()) else {
            continue;
        };
        let each = round::least_events(subject, map.block);
        let Some(node) = written.node.get("Items").filter(|node| !Node::is_open(node)) else {
            continue;
        };
        if n_items.saturating_mul(each) < EVENTS_MAX {
            continue;
        }
        let message = format!(
            "{n_items} iterations write at least {each} events each, and the execution fails with States.Runtime when its \
             history has {EVENTS_MAX}"
        );
        reporter
            .report(node, format!("{}/Items", written.location), message)
            .hint("use `\"Mode\": \"DISTRIBUTED\"` in `ProcessorConfig`: child executions have their own histories");
    }
}
