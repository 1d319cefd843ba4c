//! Distributed Maps: their items, failures and results.

use crate::asl::definition::Items;
use crate::asl::definition::Map;
use crate::asl::definition::MapMode;
use crate::asl::definition::NumberField;
use crate::asl::definition::StateKind;
use crate::asl::node::Kind;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::subject::Written;
use crate::lint::walk;

pub(super) const LABEL: Rule = Rule {
    id: "map/no-label",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A Distributed Map has no Label",
    explanation: "The ARNs of its child executions contain the Label. Without one AWS makes a label up, so that filters, \
        policies and alarms that name it break when the machine changes.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"Orders","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
        location: "/States/M",
    }],
    check: label,
};

pub(super) const TOLERATES_ALL: Rule = Rule {
    id: "map/tolerates-all",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A Distributed Map succeeds even if every child execution fails",
    explanation: "With ToleratedFailurePercentage 100 the Map never fails with \
        States.ExceedToleratedFailureThreshold: its failed children are missing from the result, and the execution goes \
        on as if all were well. Choose the share that is still acceptable.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"L","ToleratedFailurePercentage":100,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"L","ToleratedFailurePercentage":5,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
        location: "/States/M/ToleratedFailurePercentage",
    }],
    check: tolerates_all,
};

pub(super) const ITEMS: Rule = Rule {
    id: "map/items-ignored",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "ItemsPath has no effect beside ItemReader",
    explanation: "With an ItemReader the items come from its file or listing; ItemsPath is not read, even if it leads \
        nowhere. Leave one of them out; a part of a JSON file is chosen with ReaderConfig.ItemsPointer.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"L","ItemsPath":"$.rows","ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSON"},"Parameters":{"Bucket":"b","Key":"k"}},"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"ResultPath":null,"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"L","ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSON","ItemsPointer":"/rows"},"Parameters":{"Bucket":"b","Key":"k"}},"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"ResultPath":null,"End":true}}}"#,
        location: "/States/M/ItemsPath",
    }],
    check: items,
};

pub(super) const WRITER: Rule = Rule {
    id: "map/no-result-writer",
    severity: Severity::Information,
    confidence: Confidence::Heuristic,
    summary: "A Distributed Map over a file or listing keeps its results in the state",
    explanation: "Without ResultWriter the outputs of all child executions come back as one array. If they are more \
        than 256 KiB together, the Map fails with States.DataLimitExceeded after all the work is done. Write them to a \
        bucket with ResultWriter, or let each child return next to nothing.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"L","ItemReader":{"Resource":"arn:aws:states:::s3:listObjectsV2","Parameters":{"Bucket":"b","Prefix":"p/"}},"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"L","ItemReader":{"Resource":"arn:aws:states:::s3:listObjectsV2","Parameters":{"Bucket":"b","Prefix":"p/"}},"ResultWriter":{"Resource":"arn:aws:states:::s3:putObject","Parameters":{"Bucket":"b","Prefix":"results"}},"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true}}}"#,
        location: "/States/M",
    }],
    check: writer,
};

pub(super) const PREFIX: Rule = Rule {
    id: "map/prefix-without-slash",
    severity: Severity::Information,
    confidence: Confidence::Heuristic,
    summary: "The Prefix of a listing does not end in a slash",
    explanation: "A prefix is a text, not a folder: `ab` lists the objects below `ab/`, but also `abc/…` and `ab.txt`. \
        End it with `/` if a folder is meant. An object that stands for the empty folder itself is an item as well.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"L","ItemReader":{"Resource":"arn:aws:states:::s3:listObjectsV2","Parameters":{"Bucket":"b","Prefix":"in"}},"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"ResultPath":null,"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"L","ItemReader":{"Resource":"arn:aws:states:::s3:listObjectsV2","Parameters":{"Bucket":"b","Prefix":"in/"}},"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"ResultPath":null,"End":true}}}"#,
        location: "/States/M/ItemReader/Parameters/Prefix",
    }],
    check: prefix,
};

pub(super) const MAX_ITEMS: Rule = Rule {
    id: "map/max-items-zero",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "MaxItems 0 means all items",
    explanation: "0 is no limit, as if MaxItems were absent. Leave it out to say so.",
    examples: &[Example {
        bad: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"L","ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSON","MaxItems":0},"Parameters":{"Bucket":"b","Key":"k"}},"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"ResultPath":null,"End":true}}}"#,
        good: r#"{"StartAt":"M","States":{"M":{"Type":"Map","Label":"L","ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSON","MaxItems":10},"Parameters":{"Bucket":"b","Key":"k"}},"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"ResultPath":null,"End":true}}}"#,
        location: "/States/M/ItemReader/ReaderConfig/MaxItems",
    }],
    check: max_items,
};

fn distributed<'s, 'a>(subject: &'s Subject<'a>) -> impl Iterator<Item = (&'a Map, &'s Written<'a>)> {
    subject.states().filter_map(|(_, state, written)| match &state.kind {
        StateKind::Map(map) if map.mode != MapMode::Inline => Some((&**map, written)),
        _ => None,
    })
}

fn label(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, written) in distributed(subject) {
        if written.node.get("Label").is_none() {
            reporter
                .report(
                    written.node,
                    written.location.clone(),
                    "The ARNs of the child executions contain a label that AWS makes up",
                )
                .hint("add `Label`, at most 40 characters");
        }
    }
}

fn tolerates_all(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (map, written) in distributed(subject) {
        let field = "ToleratedFailurePercentage";
        let Some(node) = written.node.get(field).filter(|node| !node.is_open()) else {
            continue;
        };
        if matches!(map.tolerated_failure_percentage, Some(NumberField::Literal(most)) if 100.0 <= most) {
            reporter
                .report(
                    node,
                    format!("{}/{field}", written.location),
                    "The Map succeeds even if every child execution fails",
                )
                .hint("choose a share that is still acceptable, or look at the failures in a later state");
        }
    }
}

fn items(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (map, written) in distributed(subject) {
        let field = match map.items {
            Items::Input => continue,
            Items::Path(_) => "ItemsPath",
            Items::Template(_) => "Items",
        };
        let Some(node) = written.node.get(field).filter(|_| map.item_reader.is_some()) else {
            continue;
        };
        let message = format!("`{field}` has no effect: the items come from ItemReader");
        reporter
            .report(node, format!("{}/{field}", written.location), message)
            .hint("leave it out; a part of a JSON file is chosen with `ReaderConfig.ItemsPointer`");
    }
}

fn writer(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (map, written) in distributed(subject) {
        let drops = ["ResultPath", "OutputPath"]
            .iter()
            .filter_map(|field| written.node.get(field))
            .any(|path| matches!(path.kind, Kind::Null));
        if map.item_reader.is_some() && map.result_writer.is_none() && !drops {
            reporter
                .report(
                    written.node,
                    written.location.clone(),
                    "If the outputs of all child executions are more than 256 KiB together, the Map fails with \
                     States.DataLimitExceeded when all work is done",
                )
                .hint("add `ResultWriter`, or let each child return next to nothing");
        }
    }
}

fn prefix(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, written) in distributed(subject) {
        let Some(reader) = written.node.get("ItemReader") else {
            continue;
        };
        for field in ["Parameters", "Arguments"] {
            let Some(arguments) = reader.get(field) else { continue };
            let Some(member) = walk::member(arguments, "Prefix") else {
                continue;
            };
            let Some(text) = walk::literal(&member.key, &member.value) else {
                continue;
            };
            if !text.is_empty() && !text.ends_with('/') {
                let message =
                    format!("The listing probably has more than the folder: also all that begins with `{text}`");
                let location = format!("{}/ItemReader/{field}/{}", written.location, member.key);
                reporter
                    .report(&member.value, location, message)
                    .hint("end the prefix with `/`, if a folder is meant");
            }
        }
    }
}

fn max_items(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (map, written) in distributed(subject) {
        let most = map.item_reader.as_ref().and_then(|reader| reader.max_items.as_ref());
        let config = written
            .node
            .get("ItemReader")
            .and_then(|reader| reader.get("ReaderConfig"));
        let node = config
            .and_then(|config| config.get("MaxItems"))
            .filter(|node| !node.is_open());
        if let (Some(NumberField::Literal(0.0)), Some(node)) = (most, node) {
            reporter
                .report(
                    node,
                    walk::place(written, node),
                    "0 is no limit: the Map reads all items",
                )
                .hint("leave `MaxItems` out, or let it be greater than 0");
        }
    }
}
