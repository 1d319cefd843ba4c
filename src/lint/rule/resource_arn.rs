//! ARNs that bind a definition to a place or leave it open.

use std::collections::BTreeSet;

use crate::asl::definition::StateKind;
use crate::asl::node::Node;
use crate::lint::finding::Confidence;
use crate::lint::finding::Severity;
use crate::lint::rule::Example;
use crate::lint::rule::Reporter;
use crate::lint::rule::Rule;
use crate::lint::subject::Subject;
use crate::lint::subject::Written;
use crate::lint::walk;
use crate::model::history_event::TaskFamily;

pub(super) const REGIONS: Rule = Rule {
    id: "resource/mixed-regions",
    severity: Severity::Warning,
    confidence: Confidence::Static,
    summary: "The Resources of a definition are in different regions",
    explanation: "A function or activity in another region than the state machine cannot be called: AWS refuses the \
        definition, as a resource that is not available in this region. Fill the region at deployment.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:lambda:eu-west-1:123456789012:function:f:1","Next":"B"},"B":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:g:1","End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:lambda:eu-west-1:123456789012:function:f:1","Next":"B"},"B":{"Type":"Task","Resource":"arn:aws:lambda:eu-west-1:123456789012:function:g:1","End":true}}}"#,
        location: "/States/B/Resource",
    }],
    check: regions,
};

pub(super) const ACCOUNTS: Rule = Rule {
    id: "resource/mixed-accounts",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A definition has account ids of several accounts",
    explanation: "Hard-coded account ids that differ are often left over from a copy: the call goes to the other \
        account, or is denied. Fill the account at deployment; for a call into another account on purpose, Credentials \
        says so.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Parameters":{"Message":"m","TopicArn":"arn:aws:sns:eu-west-1:111111111111:t"},"Next":"B"},"B":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Parameters":{"Message":"m","TopicArn":"arn:aws:sns:eu-west-1:222222222222:t"},"End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Parameters":{"Message":"m","TopicArn":"arn:aws:sns:eu-west-1:111111111111:t"},"Next":"B"},"B":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Parameters":{"Message":"m","TopicArn":"arn:aws:sns:eu-west-1:111111111111:u"},"End":true}}}"#,
        location: "/States/B/Parameters/TopicArn",
    }],
    check: accounts,
};

pub(super) const UNQUALIFIED: Rule = Rule {
    id: "resource/unqualified-function",
    severity: Severity::Information,
    confidence: Confidence::Static,
    summary: "A Lambda ARN names no version or alias",
    explanation: "A function's ARN without version or alias calls $LATEST: executions that are under way run the new code \
        from the moment it is deployed, and a roll-back of the machine does not roll the function back. Name an alias.",
    examples: &[Example {
        bad: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true}}}"#,
        good: r#"{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f:live","End":true}}}"#,
        location: "/States/A/Resource",
    }],
    check: unqualified,
};

/// A literal ARN.
struct Arn<'a> {
    node: &'a Node,
    key: &'a str,
    service: &'a str,
    region: &'a str,
    account: &'a str,
    rest: &'a str,
}

impl<'a> Arn<'a> {
    fn read(value: walk::Value<'a>) -> Option<Self> {
        // `<account>` and the like are to be filled in by hand.
        let text = walk::literal(value.key, value.node).filter(|text| !text.contains(['<', '{', '[']))?;
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':').skip(1);
        Some(Self {
            node: value.node,
            key: value.key,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            rest: parts.next()?,
        })
    }
}

fn arns<'a>(written: &Written<'a>) -> impl Iterator<Item = Arn<'a>> + use<'a> {
    walk::own_values(written).filter_map(Arn::read)
}

fn regions(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let mut first = None;
    for (_, state, written) in subject.states() {
        if !matches!(state.kind, StateKind::Task(_)) {
            continue;
        }
        let Some(arn) = arns(written).find(|arn| arn.key == "Resource" && !arn.region.is_empty()) else {
            continue;
        };
        let first = *first.get_or_insert(arn.region);
        if first != arn.region {
            let message = format!(
                "AWS refuses the definition in either region: this resource is in {}, others are in {first}",
                arn.region
            );
            reporter
                .report(arn.node, format!("{}/Resource", written.location), message)
                .hint("fill the region at deployment");
        }
    }
}

fn accounts(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    let mut states = subject.definition.states.iter();
    let crosses = |kind: &StateKind| matches!(kind, StateKind::Task(task) if task.credentials.is_some());
    if states.any(|state| crosses(&state.kind)) {
        return;
    }
    let mut seen = BTreeSet::new();
    let mut first = None;
    for (_, _, written) in subject.states() {
        for arn in arns(written) {
            let is_account = arn.account.len() == 12 && arn.account.bytes().all(|byte| byte.is_ascii_digit());
            if !is_account || !seen.insert(arn.account) {
                continue;
            }
            let first = *first.get_or_insert(arn.account);
            if first != arn.account {
                let message = format!("This ARN is of account {}, others are of {first}", arn.account);
                reporter
                    .report(arn.node, walk::place(written, arn.node), message)
                    .hint("fill the account at deployment, or say with `Credentials` that another one is meant");
            }
        }
    }
}

fn unqualified(subject: &Subject<'_>, reporter: &mut Reporter<'_>) {
    for (_, state, written) in subject.states() {
        let StateKind::Task(task) = &state.kind else { continue };
        let has_qualifier =
            walk::arguments(written).is_some_and(|arguments| walk::member(arguments, "Qualifier").is_some());
        let is_activity = task.resource.family == TaskFamily::Activity;
        if has_qualifier || is_activity {
            continue;
        }
        let named =
            arns(written).filter(|arn| arn.service == "lambda" && matches!(arn.key, "FunctionName" | "Resource"));
        for arn in named {
            let Some(name) = arn.rest.strip_prefix("function:") else {
                continue;
            };
            if matches!(name.split_once(':'), None | Some((_, "$LATEST"))) {
                reporter
                    .report(
                        arn.node,
                        walk::place(written, arn.node),
                        "The ARN calls `$LATEST`: executions under way run new code from the moment it is deployed",
                    )
                    .hint("name a version or an alias");
            }
        }
    }
}
