//! Secrets that stand in the definition.

use crate::asl::definition::StateKind;
use crate::asl::node::Kind;
use crate::asl::node::Node;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::integration::Call;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::walk;
use crate::lint::walk::Value;

/// Beginnings of keys that services give out, with the number of letters that follow at least.
const KEYS: &[(&str, usize, &str)] = &[
    ("AKIA", 16, "an AWS access key id"),
    ("ASIA", 16, "an AWS access key id"),
    ("AIza", 35, "a Google API key"),
    ("ghp_", 36, "a GitHub token"),
    ("gho_", 36, "a GitHub token"),
    ("ghs_", 36, "a GitHub token"),
    ("github_pat_", 50, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("sk_live_", 20, "a Stripe key"),
    ("rk_live_", 20, "a Stripe key"),
    ("xoxb-", 20, "a Slack token"),
    ("xoxp-", 20, "a Slack token"),
];
/// Names whose values are secret, in lower case, without `-`, `_` and spaces.
const NAMES: &[&str] = &[
    "authorization",
    "passphrase",
    "proxyauthorization",
    "pwd",
    "secret",
    "secretstring",
    "token",
];
/// Ends of such names.
const NAME_ENDS: &[&str] = &[
    "accesstoken",
    "apikey",
    "apitoken",
    "authtoken",
    "bearertoken",
    "clientsecret",
    "password",
    "passwd",
    "privatekey",
    "refreshtoken",
    "secretaccesskey",
    "secretkey",
];
/// Values that stand in for a secret, or say where it is.
const STAND_INS: &[&str] = &[
    "arn:",
    "changeme",
    "dummy",
    "example",
    "placeholder",
    "redacted",
    "resolve:",
    "secret",
    "ssm:",
    "your",
    "xxx",
];

pub(super) const LITERAL: Rule = Rule {
    id: "secret/literal",
    severity: Severity::Error,
    confidence: Confidence::Static,
    summary: "A key, token or private key stands in the definition",
    explanation: "Whoever may read the state machine, its history, its logs or its repository can use it. Take it out, \
        and revoke it: it has been in the repository. Let the service read it itself (a connection of EventBridge for \
        HTTP Tasks, a role for AWS), or let the task's function read it from Secrets Manager.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Result":{"Id":"AKIAQ3EGPZK7MWNT2XLB"},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Result":{"Id":"AKIAIOSFODNN7EXAMPLE","Word":"AKIAQ3"},"End":true}}}"#,
            location: "/States/A/Result/Id",
        },
        Example {
            bad: r#"{"StartAt":"A","Comment":"-----BEGIN RSA PRIVATE KEY-----\nMIIE…","States":{"A":{"Type":"Pass","End":true}}}"#,
            good: r#"{"StartAt":"A","Comment":"-----BEGIN CERTIFICATE-----\nMIIE…","States":{"A":{"Type":"Pass","End":true}}}"#,
            location: "/Comment",
        },
    ],
    check: literal,
};

pub(super) const NAMED: Rule = Rule {
    id: "secret/named",
    severity: Severity::Warning,
    confidence: Confidence::Heuristic,
    summary: "A value named as a password or token stands in the definition",
    explanation: "The name says that the value is secret, and it is neither a placeholder nor read from anywhere. Whoever \
        may read the state machine or its history can use it. Fill it at deployment with a reference that the service \
        resolves itself, or let the task read it from Secrets Manager.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload":{"db_password":"hunter2!"}},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload":{"db_password.$":"$.p","password":"<your password>","token":"","PasswordSecretArn":"s","secret":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:s"}},"End":true}}}"#,
            location: "/States/A/Parameters/Payload/db_password",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::ecs:runTask.sync","Parameters":{"TaskDefinition":"t","Overrides":{"ContainerOverrides":[{"Name":"c","Environment":[{"Name":"DB_HOST","Value":"db1.internal"},{"Name":"DB_PASSWORD","Value":"hunter2!"}]}]}},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::ecs:runTask.sync","Parameters":{"TaskDefinition":"t","Overrides":{"ContainerOverrides":[{"Name":"c","Environment":[{"Name":"DB_HOST","Value":"db1.internal"},{"Name":"DB_PASSWORD","Value.$":"$.p"}]}]}},"End":true}}}"#,
            location: "/States/A/Parameters/Overrides/ContainerOverrides[0]/Environment[1]/Value",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:putItem","Parameters":{"TableName":"t","Item":{"id":{"S":"hunter2!"},"api_key":{"S":"hunter2!"}}},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::dynamodb:putItem","Parameters":{"TableName":"t","Item":{"id":{"S":"hunter2!"},"api_key":{"S.$":"$.key"}}},"End":true}}}"#,
            location: "/States/A/Parameters/Item/api_key/S",
        },
    ],
    check: named,
};

pub(super) const ENTROPY: Rule = Rule {
    id: "secret/high-entropy",
    severity: Severity::Information,
    confidence: Confidence::Heuristic,
    summary: "A long random text stands in the definition",
    explanation: "A text of 32 characters or more, without words and with letters of both cases and digits as if drawn by \
        lot, is often a key. If it is none, give it a name that says what it is, or ignore the finding.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Result":{"Signing":"q7VtZk3Rw9XbLp2Jc8Nf5Hs1Gd6My4Te0Ua"},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Result":{"Sum":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c","Name":"MyVeryLongNameOfAThingThatHasManyWords2"},"End":true}}}"#,
        location: "/States/A/Result/Signing",
    }],
    check: entropy,
};

pub(super) const KEPT: Rule = Rule {
    id: "secret/kept-in-state",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "A secret is fetched into the execution",
    explanation: "What a Task returns is written to the history (TaskSucceeded), and from there to logs with \
        includeExecutionData, and it goes on through the following states' inputs: whoever may call \
        GetExecutionHistory reads the secret. Let the function or service that needs the secret fetch it itself.",
    examples: &[
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:secretsmanager:getSecretValue","Parameters":{"SecretId":"db"},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:secretsmanager:describeSecret","Parameters":{"SecretId":"db"},"End":true}}}"#,
            location: "/States/A",
        },
        Example {
            bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:ssm:getParameter","Parameters":{"Name":"/db","WithDecryption":true},"End":true}}}"#,
            good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:ssm:getParameter","Parameters":{"Name":"/db/host"},"End":true}}}"#,
            location: "/States/A",
        },
    ],
    check: kept,
};

fn literal(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for value in walk::values(subject.root) {
        let Some(what) = value.node.text().and_then(secret) else {
            continue;
        };
        let message = format!("Whoever may read the definition or its history can use {what} that stands here");
        reporter
            .report(value.node, walk::place_of(subject.root, value.node), message)
            .hint("take it out and revoke it");
    }
}

/// Says what kind of secret a text is.
fn secret(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("the private key");
    }
    if text.len() < 20 {
        return None;
    }
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    for word in text.split(|c: char| !is_letter(c) && c != '.') {
        let mut parts = word.split('.');
        let is_jwt = word.starts_with("eyJ")
            && parts
                .by_ref()
                .take(2)
                .all(|part| part.starts_with("eyJ") && 10 < part.len());
        if is_jwt && parts.next().is_some_and(|signature| 10 < signature.len()) {
            return Some("the JSON web token");
        }
        let key = KEYS.iter().find(|(start, n_letters, _)| {
            let rest = word.strip_prefix(start).unwrap_or_default();
            let is_aws = start.ends_with("IA");
            *n_letters <= rest.len()
                && rest.chars().any(|c| c.is_ascii_digit())
                && (!is_aws || (rest.len() == 16 && rest.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())))
        });
        if let Some((_, _, what)) = key.filter(|_| !word.ends_with("EXAMPLE")) {
            return Some(what);
        }
    }
    None
}

fn named(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for value in walk::values(subject.root) {
        let Some((name, key, node)) = name_and_value(value) else {
            continue;
        };
        let Some(text) = walk::literal(key, node) else { continue };
        if !is_secret_name(name) || !may_be_secret(text) || secret(text).is_some() {
            continue;
        }
        let message = format!(
            "The value of `{name}` is probably a secret, which whoever may read the definition or its history can use"
        );
        reporter
            .report(node, walk::place_of(subject.root, node), message)
            .hint("let the task read it from Secrets Manager, or use a connection");
    }
}

/// Returns a name and what has it, with its key: a member, an environment variable such as `{"Name": …, "Value": …}`, or
/// an attribute of an item such as `"token": {"S": …}`.
fn name_and_value<'a>(value: Value<'a>) -> Option<(&'a str, &'a str, &'a Node)> {
    match value.node.members() {
        [] => Some((value.key, value.key, value.node)),
        [member] if member.key == "S" => Some((value.key, "S", &member.value)),
        _ => {
            let name = walk::literal_member(value.node, "Name")?;
            let member = walk::member(value.node, "Value")?;
            Some((name, &member.key, &member.value))
        }
    }
}

fn is_secret_name(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).collect();
    let plain = plain.to_ascii_lowercase();
    NAMES.contains(&plain.as_str()) || NAME_ENDS.iter().any(|end| plain.ends_with(end))
}

/// Tells whether a text may be the secret itself.
fn may_be_secret(text: &str) -> bool {
    const LENGTH_MIN: usize = 6;
    /// Longest place of a secret: `prod/db1/password`.
    const PLACE_MAX: usize = 32;
    let lower = text.to_ascii_lowercase();
    let is_stand_in = text.starts_with(['$', '<', '{', '[', '/', '*'])
        || text.contains("${")
        || text.contains("{}")
        || STAND_INS.iter().any(|word| lower.contains(word));
    // A single word is more often a name, such as the one of a secret.
    let is_plain_word = text
        .chars()
        .all(|c| c.is_ascii_alphabetic() || matches!(c, '.' | '_' | '-' | ' '));
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let is_place = text.contains('/') && text.len() < PLACE_MAX && text.chars().all(is_letter);
    LENGTH_MIN <= text.len() && !is_stand_in && !is_plain_word && !is_place
}

fn entropy(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for value in walk::values(subject.root) {
        let Some(text) = walk::literal(value.key, value.node) else {
            continue;
        };
        if is_random(text) && !is_secret_name(value.key) && secret(text).is_none() {
            reporter
                .report(
                    value.node,
                    walk::place_of(subject.root, value.node),
                    "The text looks random and is probably a key, which whoever may read the definition can use",
                )
                .hint("take it out, if it is a secret");
        }
    }
}

/// Tells whether a text looks as if drawn by lot from letters of both cases and digits.
fn is_random(text: &str) -> bool {
    const LENGTH_MIN: usize = 32;
    /// Bits that a letter tells; English words in camel case stay below.
    const BITS_MIN: f64 = 4.3;
    /// Most letters of one case in a row.
    const RUN_MAX: usize = 5;
    let is_letter = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=' | b'_' | b'-');
    if text.len() < LENGTH_MIN || 256 < text.len() || !text.bytes().all(is_letter) {
        return false;
    }
    let has = |is: fn(&u8) -> bool| 3 <= text.bytes().filter(is).count();
    if !has(u8::is_ascii_uppercase) || !has(u8::is_ascii_lowercase) || !has(u8::is_ascii_digit) {
        return false;
    }
    let (mut run, mut longest) = (0, 0);
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        counts[usize::from(byte)] += 1;
        run = if byte.is_ascii_lowercase() { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let length = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    let shares = counts
        .iter()
        .filter(|count| 0 < **count)
        .map(|count| f64::from(*count) / length);
    let bits: f64 = shares.map(|share| -share * share.log2()).sum();
    BITS_MIN <= bits && longest <= RUN_MAX
}

fn kept(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let Some(call) = Call::of(task) else { continue };
        let decrypts = || {
            let arguments = walk::arguments(written)?;
            walk::member(arguments, "WithDecryption").map(|member| is_true(&member.value))
        };
        let fetches = match (call.service, call.action) {
            ("secretsmanager", "getSecretValue" | "batchGetSecretValue" | "getRandomPassword") => true,
            ("ssm", "getParameter" | "getParameters" | "getParametersByPath") => decrypts() == Some(true),
            _ => false,
        };
        if fetches {
            let message = format!(
                "The secret stands in the history, in the TaskSucceeded event of this `{}`, for all who may call \
                 GetExecutionHistory",
                call.action
            );
            reporter
                .report(written.node, written.location.clone(), message)
                .hint("let the function or service that needs the secret fetch it itself");
        }
    }
}

fn is_true(node: &Node) -> bool {
    matches!(node.kind, Kind::Bool(true)) || node.text() == Some("true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_form() {
        for (text, expected) in [
            ("AKIAQ3EGPZK7MWNT2XLB", Some("an AWS access key id")),
            ("id=AKIAQ3EGPZK7MWNT2XLB;", Some("an AWS access key id")),
            ("AKIAIOSFODNN7EXAMPLE", None),
            ("AKIAQ3EGPZK7MWNT2XLBAKIAQ3EGPZK7MWNT2XLB", None),
            (
                "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXdpdGgtbGV0dGVycw",
                Some("the JSON web token"),
            ),
            ("eyJhbGciOiJIUzI1NiJ9", None),
            ("-----BEGIN PUBLIC KEY-----", None),
            ("glpat-is-a-prefix-of-tokens-of-somebody", None),
        ] {
            assert_eq!(secret(text), expected, "{text}");
        }
    }

    #[test]
    fn a_value_may_be_a_secret_by_its_name() {
        for (name, text, expected) in [
            ("Password", "hunter2!", true),
            ("x-api-key", "d41d8cd98f00b204", true),
            ("Authorization", "Basic YWxhZGRpbjpvcGVuc2VzYW1l", true),
            ("db_password", "prod/db1/password", false),
            ("token", "$.token", false),
            ("token", "{{resolve:secretsmanager:db}}", false),
            ("TaskToken", "abc123def456", false),
            ("NextToken", "abc123def456", false),
            ("PasswordLength", "sixteen16", false),
            ("secret", "database-credentials", false),
            ("secret", "${Secret}", false),
            ("password", "********", false),
            ("password", "no", false),
        ] {
            assert_eq!(is_secret_name(name) && may_be_secret(text), expected, "{name} {text}");
        }
    }

    #[test]
    fn random_texts_have_letters_of_all_kinds() {
        for (text, expected) in [
            ("q7VtZk3Rw9XbLp2Jc8Nf5Hs1Gd6My4Te0Ua", true),
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzz1234KEY", true),
            (
                "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                false,
            ),
            ("550e8400-e29b-41d4-a716-446655440000", false),
            ("StepFunctionsLoadTestingStateMachine2024V2", false),
            ("arn:aws:states:us-east-1:123456789012:stateMachine:HelloWorld", false),
            ("iVBORw0KGgo", false),
        ] {
            assert_eq!(is_random(text), expected, "{text}");
        }
    }
}
