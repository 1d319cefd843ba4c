//! What happens when a call is made a second time.

use crate::asl::definition::Pattern;
use crate::asl::definition::State;
use crate::asl::definition::StateKind;
use crate::lint::integration::Call;
use crate::lint::integration::Effect;
use crate::lint::subject::Written;
use crate::lint::walk;

/// Parameters that let a service notice a second equal call.
const TOKENS: &[&str] = &[
    "ClientRequestToken",
    "ClientToken",
    "IdempotencyToken",
    "MessageDeduplicationId",
    "Name",
];
/// Members of an `UpdateExpression` that add to what is there.
const ADDING: &[&str] = &["ADD ", "add ", "list_append", "+", " - "];

/// Says what a second equal call of this Task does, when it does not only do the same again: `sends the message once
/// more`.
pub(crate) fn consequence(state: &State, written: &Written<'_>) -> Option<&'static str> {
    let StateKind::Task(task) = &state.kind else {
        return None;
    };
    let call = Call::of(task)?;
    let facts = call.facts?;
    let arguments = walk::arguments(written)?;
    let has_token = TOKENS.iter().any(|token| walk::member(arguments, token).is_some());
    let is_fifo = ["QueueUrl", "TopicArn"]
        .iter()
        .any(|name| walk::literal_member(arguments, name).is_some_and(|text| text.ends_with(".fifo")));
    match (facts.service, facts.action) {
        ("dynamodb", "updateItem") => {
            let update = walk::literal_member(arguments, "UpdateExpression")?;
            let is_guarded = walk::member(arguments, "ConditionExpression").is_some();
            let adds = ADDING.iter().any(|piece| update.contains(piece)) && !update.contains("if_not_exists");
            (adds && !is_guarded).then_some("adds to the item once more")
        }
        _ if has_token || is_fifo || facts.effect != Effect::Repeats => None,
        ("sqs" | "sns", _) => Some("sends the message once more"),
        ("events", _) => Some("sends all its events once more"),
        ("states", _) => Some("starts one more execution"),
        ("http" | "apigateway", "invoke") => {
            let method = walk::literal_member(arguments, "Method")?;
            let keyed = walk::member(arguments, "Headers").is_some_and(|headers| {
                let mut keys = headers.value.members().iter();
                keys.any(|member| walk::bare(&member.key).eq_ignore_ascii_case("Idempotency-Key"))
            });
            (method == "POST" && !keyed).then_some("sends the request once more")
        }
        // A second job in place of one that failed is what the retry is for; here nobody waits for the first.
        _ if facts.has_sync && call.pattern == Pattern::RequestResponse => Some("starts one more job"),
        _ => None,
    }
}
