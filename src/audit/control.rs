//! Which records answer which question of an auditor.
//!
//! The log is evidence for controls; it does not make anyone compliant.

use crate::audit::record::Event;
use crate::audit::record::Record;

/// A criterion of SOC 2 and the records that are evidence for it.
pub struct Control {
    /// Its numbers.
    pub ids: &'static [&'static str],
    /// What it asks, in our words.
    pub asks: &'static str,
    /// What in the log answers it.
    pub answer: &'static str,
    /// Tells whether a record is evidence.
    pub takes: fn(&Record) -> bool,
}

/// All that are known.
pub const CONTROLS: &[Control] = &[
    Control {
        ids: &["CC6.1"],
        asks: "Logical access is restricted: who may start and run what, and is it enforced?",
        answer: "Every decision with the rule that allowed or refused it, and what the server ran with.",
        takes: |record| record.decision.is_some() || is_server(record),
    },
    Control {
        ids: &["CC6.2", "CC6.3"],
        asks: "Access is given and taken by role, with least privilege: who ran as which account?",
        answer: "As whom each task ran, for whom, with which grants; access keys made and revoked.",
        takes: |record| {
            record.run_as.is_some()
                || !record.grants.is_empty()
                || matches!(record.event, Event::Grant)
                || is_key(record)
        },
    },
    Control {
        ids: &["CC6.6", "CC6.7"],
        asks: "Access from outside and credentials on their way: how are calls authenticated?",
        answer: "Requests with the way their callers were known, their issuers and keys; grants with their expiry; keys.",
        takes: |record| {
            let is_request = record.decision.is_some() && record.who.is_some();
            is_request || !record.grants.is_empty() || matches!(record.event, Event::Grant) || is_key(record)
        },
    },
    Control {
        ids: &["CC6.8"],
        asks: "Unauthorised software: what was installed or changed, and by whom?",
        answer: "What actions changed on the machine, and for whom.",
        takes: |record| matches!(record.event, Event::Change | Event::Rollback),
    },
    Control {
        ids: &["CC7.1", "CC7.2"],
        asks: "Anomalies are watched for: refused requests, changed definitions, work at odd hours?",
        answer: "Refusals, changes of state machines by definition hash, and the start of every execution.",
        takes: |record| {
            matches!(
                record.event,
                Event::RequestRefused | Event::ExecutionStarted | Event::LogRecovered
            ) || is_machine(record)
        },
    },
    Control {
        ids: &["CC7.3", "CC7.4", "CC7.5"],
        asks: "Incidents are evaluated and recovered from: what happened, what was undone?",
        answer: "What failed, was stopped, redriven or rolled back, with what had been changed.",
        takes: |record| {
            let is_recovery = matches!(
                record.event,
                Event::Rollback | Event::Change | Event::ExecutionRedriven | Event::ExecutionStopped
            );
            let has_failed = matches!(record.event, Event::ExecutionEnded | Event::TaskResult)
                && !matches!(record.result.as_deref(), Some("succeeded" | "SUCCEEDED"));
            is_recovery || has_failed
        },
    },
    Control {
        ids: &["CC8.1"],
        asks: "Changes are managed: who changed which definition, and what ran with it?",
        answer: "State machines made, changed and deleted, and the starts of executions, with the definition's hash.",
        takes: |record| is_machine(record) || matches!(record.event, Event::ExecutionStarted | Event::Change),
    },
    Control {
        ids: &["CC4.1", "A1.2"],
        asks: "The control works all the time: are there gaps?",
        answer: "Starts and stops of servers, recoveries and deletions of the log; `stepfn audit verify` shows that no \
                 record is missing.",
        takes: |record| is_server(record) || matches!(record.event, Event::LogRecovered | Event::LogRetained),
    },
];

fn is_server(record: &Record) -> bool {
    matches!(record.event, Event::ServerStarted | Event::ServerStopped)
}

fn is_key(record: &Record) -> bool {
    matches!(record.event, Event::KeyCreated | Event::KeyRevoked)
}

fn is_machine(record: &Record) -> bool {
    matches!(
        record.event,
        Event::MachineCreated | Event::MachineUpdated | Event::MachineDeleted
    )
}

/// Finds a control by its number.
pub fn find(id: &str) -> Option<&'static Control> {
    CONTROLS
        .iter()
        .find(|control| control.ids.iter().any(|known| known.eq_ignore_ascii_case(id)))
}

/// The columns of a report.
pub const COLUMNS: [&str; 16] = [
    "seq",
    "time",
    "event",
    "who",
    "known by",
    "on behalf of",
    "state machine",
    "definition",
    "execution",
    "state",
    "ran as",
    "allowed",
    "rule",
    "result",
    "sentence",
    "hash",
];

/// Returns a record's cells.
pub fn row(record: &Record) -> [String; COLUMNS.len()] {
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
    let kind = record.who.as_ref().and_then(|who| serde_json::to_value(who.kind).ok());
    let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default();
    let person = |who: &Option<std::sync::Arc<crate::model::principal::Principal>>| {
        who.as_ref().map_or_else(String::new, ToString::to_string)
    };
    let result = match (&record.result, &record.error) {
        (Some(result), Some(error)) => format!("{result}: {error}"),
        (result, error) => text(result) + &text(error),
    };
    let decision = record.decision.as_ref();
    [
        record.seq.to_string(),
        record.ts.to_string(),
        record.event.word(),
        person(&record.who),
        kind.to_owned(),
        person(&record.on_behalf_of),
        text(&record.state_machine),
        text(&record.definition),
        text(&record.execution),
        text(&record.state),
        record
            .run_as
            .as_ref()
            .map_or_else(String::new, |run_as| run_as.user.to_string()),
        decision
            .map_or("", |decision| if decision.is_allowed { "yes" } else { "no" })
            .to_owned(),
        decision.map_or_else(String::new, |decision| decision.rule.to_string()),
        result,
        record.say.clone(),
        record.hash.clone(),
    ]
}

/// Writes a cell for CSV. What a spreadsheet would take for a formula gets an apostrophe before it.
pub fn csv_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guarded = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    match guarded.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", guarded.replace('"', "\"\"")),
        false => guarded,
    }
}

/// Writes a cell for Markdown.
pub fn markdown_cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' => cell.extend(['\\', character]),
            '<' => cell += "&lt;",
            '&' => cell += "&amp;",
            '\n' | '\r' => cell.push(' '),
            other => cell.push(other),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula() {
        for (text, cell) in [
            ("a", "a"),
            ("a, \"b\"", "\"a, \"\"b\"\"\""),
            ("=cmd()", "'=cmd()"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("=\"a\"", "\"'=\"\"a\"\"\""),
        ] {
            assert_eq!(csv_cell(text), cell, "{text}");
        }
        assert_eq!(markdown_cell("a|b<c>\n`d`"), "a\\|b&lt;c> \\`d\\`");
    }

    #[test]
    fn every_criterion_of_the_table_is_there() {
        for id in [
            "CC6.1", "CC6.2", "CC6.3", "CC6.6", "CC6.7", "CC6.8", "CC7.1", "CC7.2", "CC7.3", "CC7.4", "CC7.5", "CC8.1",
            "CC4.1", "a1.2",
        ] {
            assert!(find(id).is_some(), "{id}");
        }
        assert!(find("CC1.1").is_none());
    }
}
