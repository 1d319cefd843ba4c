//! A Choice that asks for what may not be there.

use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::flow::From;
use crate::lint::flow::Verdict;
use crate::lint::flow::describe;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::query::jsonata::outline::Need;
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    id: "choice/unguarded",
    severity: Severity::Warning,
    confidence: Confidence::Path,
    summary: "A Choice compares what is not there on one of the ways to it",
    explanation: "A comparison whose Variable does not exist does not give false: it fails the execution with `States.Runtime`, which \
        nothing can catch. On one of the ways to this Choice the member is surely missing. Put \
        `{\"Variable\": …, \"IsPresent\": true}` before the comparison, in the same `And`.",
    examples: &[Example {
        bad: r#"{"StartAt":"F","States":{"F":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.answer","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.error","Next":"Clean"}],"Next":"Clean"},"Clean":{"Type":"Pass","Parameters":{"a.$":"$.state"},"ResultPath":"$","Next":"D"},"D":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"Next":"C"}],"ResultSelector":{"ok":true},"Next":"C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.ok","BooleanEquals":true,"Next":"S"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
        good: r#"{"StartAt":"F","States":{"F":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","ResultPath":"$.answer","Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.error","Next":"Clean"}],"Next":"Clean"},"Clean":{"Type":"Pass","Parameters":{"a.$":"$.state"},"ResultPath":"$","Next":"D"},"D":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Catch":[{"ErrorEquals":["States.ALL"],"Next":"C"}],"ResultSelector":{"ok":true},"Next":"C"},"C":{"Type":"Choice","Choices":[{"And":[{"Variable":"$.ok","IsPresent":true},{"Variable":"$.ok","BooleanEquals":true}],"Next":"S"}],"Default":"S"},"S":{"Type":"Succeed"}}}"#,
        location: "/States/C/Choices[0]/Variable",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let mut seen = BTreeSet::new();
    for read in subject.flow().reads() {
        let (Verdict::Maybe(origin), From::Source(_)) = (&read.verdict, &read.from) else {
            continue;
        };
        if !read.compared || read.need != Need::Required || !seen.insert((read.state, &read.text)) {
            continue;
        }
        let message = format!(
            "The Choice compares `{}`, but it is not there {}; {}",
            read.text,
            describe::origin(subject, *origin),
            describe::outcome(subject, read)
        );
        reporter
            .report_read(subject, read, message)
            .hint("ask whether it is there first");
    }
}
