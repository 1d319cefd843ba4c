//! A path that one of the ways to it does not produce.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::From;
use crate::lint::flow::Origin;
use crate::lint::flow::Source;
use crate::lint::flow::Verdict;
use crate::lint::flow::describe;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::query::jsonata::outline::Need;
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    id: "data/missing-on-some-way",
    severity: Severity::Warning,
    confidence: Confidence::Path,
    summary: "A path reads what one of the ways to it does not produce",
    explanation: "Several ways lead to the state, and on one of them the member that is read is surely not there, and no Choice \
        stands between. The finding names that way. Give the member a value on it, or ask with `IsPresent` first.",
    examples: &[Example {
        bad: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.vip","IsPresent":true,"Next":"Vip"}],"Default":"Plain"},"Vip":{"Type":"Pass","Result":{"discount":10},"Next":"Pay"},"Plain":{"Type":"Pass","Result":{},"Next":"Pay"},"Pay":{"Type":"Pass","Parameters":{"discount.$":"$.discount"},"End":true}}}"#,
        good: r#"{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.vip","IsPresent":true,"Next":"Vip"}],"Default":"Plain"},"Vip":{"Type":"Pass","Result":{"discount":10},"Next":"Pay"},"Plain":{"Type":"Pass","Result":{"discount":0},"Next":"Pay"},"Pay":{"Type":"Pass","Parameters":{"discount.$":"$.discount"},"End":true}}}"#,
        location: "/States/Pay/Parameters/discount.$",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let mut seen = BTreeSet::new();
    for read in subject.flow().reads() {
        let (Verdict::Maybe(origin), From::Source(_)) = (&read.verdict, &read.from) else {
            continue;
        };
        // `catch/loses-input` and `choice/unguarded` speak of the others.
        let is_other_rule = matches!(origin, Origin::Catcher(..)) || read.compared;
        if is_other_rule || read.need != Need::Required || !seen.insert((*origin, &read.text)) {
            continue;
        }
        let whose = match read.from {
            From::Source(Source::Result) => "the result has",
            _ => "the input has",
        };
        let message = format!(
            "{whose} no `{}` {}; {}",
            read.text,
            describe::origin(subject, *origin),
            describe::outcome(subject, read)
        );
        reporter
            .report_read(subject, read, message)
            .hint("give it a value on that way, or ask whether it is there first");
    }
}
