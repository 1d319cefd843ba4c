//! The Task state.

use std::sync::Arc;

use crate::asl::compile::fields::CREDENTIALS;
use crate::asl::compile::fields::Object;
use crate::asl::compile::machine::Compiler;
use crate::asl::compile::number::Range;
use crate::asl::compile::resource;
use crate::asl::definition::NumberField;
use crate::asl::definition::Pattern;
use crate::asl::definition::Resource;
use crate::asl::definition::Task;
use crate::asl::definition::TextField;
use crate::asl::node::Node;
use crate::model::history_event::TaskFamily;

/// `TimeoutSeconds` and `HeartbeatSeconds`.
const SECONDS: Range = Range::integer(1, 99_999_999);

impl<'n> Compiler<'n, '_> {
    /// Reads what a Task adds.
    pub(super) fn task(&mut self, object: &Object<'n>) -> Option<Task> {
        self.required(object, &["Resource"]);
        let resource = self.resource(object);
        let timeout_seconds = self.number(object, "TimeoutSeconds", SECONDS);
        let heartbeat_seconds = self.number(object, "HeartbeatSeconds", SECONDS);
        if let (Some(NumberField::Literal(timeout)), Some(NumberField::Literal(heartbeat))) =
            (&timeout_seconds, &heartbeat_seconds)
            && timeout < heartbeat
        {
            self.refuse_field(
                object,
                "HeartbeatSeconds",
                "The value of 'HeartbeatSeconds' should be less than that of 'TimeoutSeconds'",
            );
        }
        let credentials = self.credentials(object);
        Some(Task {
            resource: resource?,
            timeout_seconds,
            heartbeat_seconds,
            credentials,
        })
    }

    fn resource(&mut self, object: &Object<'n>) -> Option<Resource> {
        let text = self.string(object, "Resource")?;
        let Some(resource) = resource::parse(text) else {
            if object.get("Resource").is_some_and(Node::is_open) {
                return Some(Resource {
                    arn: Arc::from(text),
                    family: TaskFamily::Lambda,
                    pattern: Pattern::RequestResponse,
                });
            }
            self.refuse_field(object, "Resource", not_recognized(text));
            return None;
        };
        if self.here.express {
            let message = match (&resource.family, resource.pattern) {
                (TaskFamily::Activity, _) => Some("Express state machine does not support Activity ARN"),
                (_, Pattern::Sync) => Some("Express state machine does not support '.sync' service integration"),
                (_, Pattern::Sync2) => Some("Express state machine does not support '.sync:2' service integration"),
                // The space at the end is AWS's.
                (_, Pattern::WaitForTaskToken) => {
                    Some("Express state machine does not support '.waitForTaskToken' service integration ")
                }
                (_, Pattern::RequestResponse) => None,
            };
            if let Some(message) = message {
                self.refuse_field(object, "Resource", message);
            }
        }
        Some(resource)
    }

    fn credentials(&mut self, object: &Object<'n>) -> Option<TextField> {
        let credentials = self.object(object, "Credentials")?;
        self.check_language_fields(&credentials, CREDENTIALS);
        if !credentials.has("RoleArn") && !credentials.has("RoleArn.$") {
            let message = "The field 'RoleArn' is required but was missing";
            self.refuse(&credentials.at, credentials.node.span, message);
            return None;
        }
        self.text_field(&credentials, "RoleArn", "RoleArn.$")
    }
}

/// The sentence for a `Resource` that does not exist.
pub(super) fn not_recognized(text: &str) -> String {
    format!(
        "The resource provided {text} is not recognized. The value is not a valid resource ARN, or the resource is not available in this region."
    )
}
