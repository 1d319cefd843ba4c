//! Calls over HTTP: headers and addresses that are refused.

use crate::asl::definition::StateKind;
use crate::asl::node::Kind;
use crate::asl::node::Member;
use crate::asl::node::Node;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::subject::Written;
use crate::lint::walk;

/// Headers that an HTTP Task refuses, in lower case; `*` ends a beginning.
const OF_HTTP: &[&str] = &[
    "a-im",
    "accept-charset",
    "accept-datetime",
    "accept-encoding",
    "cache-control",
    "connection",
    "content-encoding",
    "content-md5",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authorization",
    "referer",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "warning",
    "x-amz-*",
    "x-amzn-*",
    "x-forwarded-*",
];
/// Headers that a call of an API Gateway refuses.
const OF_GATEWAY: &[&str] = &[
    "connection",
    "content-md5",
    "expect",
    "host",
    "max-forwards",
    "proxy-authenticate",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "www-authenticate",
    "x-amz*",
    "x-forwarded*",
];

pub(super) const AUTHORIZATION: Rule = Rule {
    id: "secret/authorization-header",
    severity: Severity::Error,
    confidence: Confidence::Static,
    summary: "An Authorization header is written into a call",
    explanation: "An HTTP Task with an Authorization header fails with States.Runtime, which nothing catches, and \
        apigateway:invoke refuses it as well; and its value would stand in the history (TaskScheduled). An HTTP Task \
        gets its authorization from the EventBridge connection, a call of an API Gateway with AuthType IAM_ROLE.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{"ApiEndpoint":"https://example.com","Method":"GET","Headers":{"authorization.$":"$.auth"},"Authentication":{"ConnectionArn.$":"$.c"}},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{"ApiEndpoint":"https://example.com","Method":"GET","Headers":{"accept":"text/plain"},"Authentication":{"ConnectionArn.$":"$.c"}},"End":true}}}"#,
        location: "/States/A/Parameters/Headers/authorization.$",
    }],
    check: authorization,
};

pub(super) const HEADER: Rule = Rule {
    id: "resource/forbidden-header",
    severity: Severity::Error,
    confidence: Confidence::Static,
    summary: "A call sets a header that the integration refuses",
    explanation: "Headers that belong to the connection or to AWS cannot be set: the task fails with States.Runtime, \
        which nothing catches. Leave the header out.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{"ApiEndpoint":"https://example.com","Method":"GET","Headers":{"X-Forwarded-For":"1.2.3.4"},"Authentication":{"ConnectionArn.$":"$.c"}},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{"ApiEndpoint":"https://example.com","Method":"GET","Headers":{"X-Request":"1"},"Authentication":{"ConnectionArn.$":"$.c"}},"End":true}}}"#,
        location: "/States/A/Parameters/Headers/X-Forwarded-For",
    }],
    check: header,
};

pub(super) const LIST: Rule = Rule {
    id: "resource/header-not-list",
    severity: Severity::Error,
    confidence: Confidence::Static,
    summary: "A header or query parameter of apigateway:invoke is no list",
    explanation: "apigateway:invoke takes a list of values for each header and query parameter. With a plain text the \
        task fails with States.Runtime: the value of the field has an invalid format.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::apigateway:invoke","Parameters":{"ApiEndpoint":"x.execute-api.eu-west-1.amazonaws.com","Method":"GET","Headers":{"Accept":"text/plain"}},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::apigateway:invoke","Parameters":{"ApiEndpoint":"x.execute-api.eu-west-1.amazonaws.com","Method":"GET","Headers":{"Accept":["text/plain"]}},"End":true}}}"#,
        location: "/States/A/Parameters/Headers/Accept",
    }],
    check: list,
};

pub(super) const ENDPOINT: Rule = Rule {
    id: "resource/endpoint-form",
    severity: Severity::Error,
    confidence: Confidence::Static,
    summary: "The ApiEndpoint has not the form that the integration takes",
    explanation: "apigateway:invoke takes a host name without https:// and without a path (see Stage and Path); \
        http:invoke takes a whole URL with http:// or https://.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::apigateway:invoke","Parameters":{"ApiEndpoint":"https://x.execute-api.eu-west-1.amazonaws.com","Method":"GET"},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::apigateway:invoke","Parameters":{"ApiEndpoint":"x.execute-api.eu-west-1.amazonaws.com","Method":"GET"},"End":true}}}"#,
            location: "/States/A/Parameters/ApiEndpoint",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{"ApiEndpoint":"example.com/orders","Method":"GET","Authentication":{"ConnectionArn.$":"$.c"}},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{"ApiEndpoint":"https://example.com/orders","Method":"GET","Authentication":{"ConnectionArn.$":"$.c"}},"End":true}}}"#,
            location: "/States/A/Parameters/ApiEndpoint",
        },
    ],
    check: endpoint,
};

/// Returns the calls over HTTP: whether each is of an API Gateway, and its parameters.
fn calls<'s, 'a>(subject: &'s Subject<'a>) -> impl Iterator<Item = (bool, &'a Node, &'s Written<'a>)> {
    subject.states().filter_map(|(_, state, written)| {
        let StateKind::Task(task) = &state.kind else {
            return None;
        };
        let call = Call::of(task)?;
        let is_gateway = call.is("apigateway", "invoke");
        let arguments = walk::arguments(written)?;
        (is_gateway || call.is("http", "invoke")).then_some((is_gateway, arguments, written))
    })
}

fn members<'a>(arguments: &'a Node, name: &str) -> &'a [Member] {
    arguments.get(name).map_or(&[][..], Node::members)
}

fn authorization(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (is_gateway, arguments, written) in calls(subject) {
        for member in members(arguments, "Headers") {
            if !walk::bare(&member.key).eq_ignore_ascii_case("authorization") {
                continue;
            }
            let hint = if is_gateway {
                "use `AuthType` `IAM_ROLE`"
            } else {
                "let the connection authorize the call"
            };
            reporter
                .report_at(
                    member.key_span,
                    walk::place(written, &member.value),
                    "The task fails with States.Runtime, which nothing catches: the header Authorization cannot be set",
                )
                .hint(hint);
        }
    }
}

fn header(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (is_gateway, arguments, written) in calls(subject) {
        let refused = if is_gateway { OF_GATEWAY } else { OF_HTTP };
        for member in members(arguments, "Headers") {
            let name = walk::bare(&member.key).to_ascii_lowercase();
            let is_refused = refused.iter().any(|refused| match refused.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => *refused == name,
            });
            if is_refused {
                let message =
                    format!("The task fails with States.Runtime, which nothing catches: `{name}` cannot be set");
                reporter
                    .report_at(member.key_span, walk::place(written, &member.value), message)
                    .hint("leave the header out");
            }
        }
    }
}

fn list(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, arguments, written) in calls(subject).filter(|(is_gateway, ..)| *is_gateway) {
        for field in ["Headers", "QueryParameters"] {
            for member in members(arguments, field) {
                let is_plain = match &member.value.kind {
                    Kind::String(_) => walk::literal(&member.key, &member.value).is_some(),
                    Kind::Bool(_) | Kind::Number(_) => true,
                    _ => false,
                };
                if is_plain {
                    let message = format!("The task fails with States.Runtime: a member of `{field}` must be a list");
                    // A recorded run shows it for headers only.
                    let severity = if field == "Headers" {
                        Severity::Error
                    } else {
                        Severity::Warning
                    };
                    reporter
                        .report(&member.value, walk::place(written, &member.value), message)
                        .severity(severity)
                        .hint("put the value in brackets");
                }
            }
        }
    }
}

fn endpoint(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (is_gateway, arguments, written) in calls(subject) {
        let Some(member) = walk::member(arguments, "ApiEndpoint") else {
            continue;
        };
        let Some(text) = walk::literal(&member.key, &member.value) else {
            continue;
        };
        let has_scheme = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
        let (message, hint) = match (is_gateway, has_scheme) {
            (true, true) => (
                "The call fails: apigateway:invoke takes the name of a host, not a URL",
                "leave out `https://`, and put the rest in `Stage` and `Path`",
            ),
            (false, false) => (
                "The call fails: http:invoke takes a whole URL",
                "begin it with `https://`",
            ),
            _ => continue,
        };
        reporter
            .report(&member.value, walk::place(written, &member.value), message)
            .hint(hint);
    }
}
