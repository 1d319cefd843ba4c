//! A time limit beyond the one of an HTTP Task.

use crate::asl::definition::StateKind;
use crate::lint::clock;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;

/// Seconds after which AWS gives an HTTP call up.
const CALL_SECONDS: u64 = 60;

pub(super) const RULE: Rule = Rule {
    id: "time/http-timeout",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "An HTTP Task has more than the 60 seconds that AWS allows",
    explanation: "AWS gives an HTTP call up after 60 seconds, whatever TimeoutSeconds says: the task fails with \
        States.Http.Socket, not with States.Timeout.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{"ApiEndpoint":"https://example.com","Method":"GET","Authentication":{"ConnectionArn.$":"$.c"}},"TimeoutSeconds":120,"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{"ApiEndpoint":"https://example.com","Method":"GET","Authentication":{"ConnectionArn.$":"$.c"}},"TimeoutSeconds":60,"End":true}}}"#,
        location: "/States/A/TimeoutSeconds",
    }],
    check,
};

fn check(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let seconds = clock::literal_seconds(task.timeout_seconds.as_ref()).unwrap_or(0);
        let Some(node) = written.node.get("TimeoutSeconds") else {
            continue;
        };
        let is_http = Call::of(task).is_some_and(|call| call.is("http", "invoke"));
        if is_http && CALL_SECONDS < seconds {
            let message = format!("The call fails with States.Http.Socket after {CALL_SECONDS} seconds already");
            reporter
                .report(node, format!("{}/TimeoutSeconds", written.location), message)
                .hint("catch `States.Http.Socket`; for a longer answer, let the server call back with a task token");
        }
    }
}
