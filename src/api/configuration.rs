//! What a state machine is configured with: definition, logging, tracing, encryption, tags.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;

use crate::api::Api;
use crate::api::error::ApiError;
use crate::api::member::Member;
use crate::api::member::Shape;
use crate::api::request::Request;
use crate::asl::definition::Definition;
use crate::asl::load;
use crate::engine::machine::Compiled;
use crate::model::execution_record::MachineType;
use crate::store::change::Change;

/// `type`.
pub const TYPE: Member = Member::optional("type", Shape::OneOf(&["STANDARD", "EXPRESS"]));

/// `loggingConfiguration`.
pub const LOGGING: Member = Member::optional(
    "loggingConfiguration",
    Shape::Object {
        name: "LoggingConfiguration",
        members: &[
            Member::optional("level", Shape::OneOf(&["ALL", "ERROR", "FATAL", "OFF"])),
            Member::optional("includeExecutionData", Shape::Bool),
            Member::optional(
                "destinations",
                Shape::List {
                    min: 0,
                    max: usize::MAX,
                    item: &Shape::Object {
                        name: "LogDestination",
                        members: &[Member::optional(
                            "cloudWatchLogsLogGroup",
                            Shape::Object {
                                name: "CloudWatchLogsLogGroup",
                                members: &[Member::optional("logGroupArn", Shape::Text { min: 1, max: 256 })],
                            },
                        )],
                    },
                },
            ),
        ],
    },
);

/// `tracingConfiguration`.
pub const TRACING: Member = Member::optional(
    "tracingConfiguration",
    Shape::Object {
        name: "TracingConfiguration",
        members: &[Member::optional("enabled", Shape::Bool)],
    },
);

/// `encryptionConfiguration`.
pub const ENCRYPTION: Member = Member::optional(
    "encryptionConfiguration",
    Shape::Object {
        name: "EncryptionConfiguration",
        members: &[
            Member::optional("kmsKeyId", Shape::Text { min: 1, max: 2048 }),
            Member::optional("kmsDataKeyReusePeriodSeconds", Shape::Int { min: 60, max: 900 }),
            Member::required("type", Shape::OneOf(&["AWS_OWNED_KEY", "CUSTOMER_MANAGED_KMS_KEY"])),
        ],
    },
);

/// One tag.
pub const TAG: Shape = Shape::Object {
    name: "Tag",
    members: &[
        Member::optional("key", Shape::Text { min: 1, max: 128 }),
        Member::optional("value", Shape::Text { min: 0, max: 256 }),
    ],
};

/// `tags`.
pub const TAGS: Member = Member::optional(
    "tags",
    Shape::List {
        min: 0,
        max: usize::MAX,
        item: &TAG,
    },
);

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// Tags of one resource, at most.
pub const TAGS_MAX: usize = 50;

/// Reads a definition; refuses it in AWS's words.
///
/// # Errors
/// `InvalidDefinition`, all findings in one sentence.
pub fn read(text: &str, machine_type: MachineType) -> Result<Definition, ApiError> {
    let options = load::Options {
        express: machine_type == MachineType::Express,
        ..load::Options::default()
    };
    load::compile(text, &options).map_err(|findings| {
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        ApiError::new(
            "InvalidDefinition",
            format!("Invalid State Machine Definition: '{}'", findings.join(", ")),
        )
    })
}

/// Compiles a machine's definition and keeps it for its executions.
///
/// # Errors
/// `InvalidDefinition`, all findings in one sentence.
pub fn compile(api: &Api, text: &str, machine_type: MachineType) -> Result<Compiled, ApiError> {
    let definition = read(text, machine_type)?;
    // An Express machine's text compiles otherwise, so it has a hash of its own.
    let kind = machine_type.as_str().as_bytes();
    let digest = Sha256::new().chain_update(kind).chain_update(text).finalize();
    let hash: Arc<str> = digest
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into();
    let definition = api.host.remember(hash.clone(), Arc::new(definition));
    Ok(Compiled {
        hash,
        text: text.into(),
        definition,
    })
}

/// Returns what stores a definition.
pub fn put(compiled: &Compiled) -> Change {
    Change::PutDefinition {
        hash: compiled.hash.clone(),
        text: compiled.text.clone(),
    }
}

/// Takes a role's ARN.
///
/// # Errors
/// `InvalidArn`.
pub fn role(arn: &str) -> Result<Arc<str>, ApiError> {
    let mut parts = arn.splitn(6, ':');
    let [scheme, partition, service, region, account, role] = [(); 6].map(|()| parts.next().unwrap_or(""));
    let is_role = scheme == "arn"
        && !partition.is_empty()
        && service == "iam"
        && region.is_empty()
        && !account.is_empty()
        && role.strip_prefix("role/").is_some_and(|name| !name.is_empty());
    match is_role {
        true => Ok(arn.into()),
        false => Err(ApiError::new("InvalidArn", format!("Invalid Role Arn: '{arn}'"))),
    }
}

/// Returns the complete logging configuration of a request.
///
/// # Errors
/// `InvalidLoggingConfiguration`: a level without exactly one destination.
pub fn logging(request: &Request) -> Result<Value, ApiError> {
    let given = request.get("loggingConfiguration");
    let member = |name: &str| given.and_then(|given| given.get(name)).filter(|value| !value.is_null());
    let level = member("level").and_then(Value::as_str).unwrap_or("OFF");
    let destinations = member("destinations").and_then(Value::as_array);
    let n_destinations = destinations.map_or(0, Vec::len);
    let invalid = |text: &str| {
        ApiError::new(
            "InvalidLoggingConfiguration",
            format!("Invalid Logging Configuration: {text}"),
        )
    };
    // A list without destinations is fine as long as nothing is logged (recorded).
    if 1 < n_destinations || (level != "OFF" && n_destinations == 0) {
        return Err(invalid("Must specify exactly one Log Destination."));
    }
    let mut complete = json!({
        "level": level,
        "includeExecutionData": member("includeExecutionData").and_then(Value::as_bool).unwrap_or(false),
    });
    if let Some(destinations) = destinations {
        let arns = destinations.iter().map(|destination| {
            destination
                .pointer("/cloudWatchLogsLogGroup/logGroupArn")
                .and_then(Value::as_str)
        });
        if arns.into_iter().any(|arn| !arn.is_some_and(is_log_group)) {
            return Err(invalid("Log Destination not found."));
        }
        complete["destinations"] = Value::Array(destinations.clone());
    }
    Ok(complete)
}

/// The logging of a machine that has none.
pub fn no_logging() -> Value {
    json!({ "level": "OFF", "includeExecutionData": false })
}

/// The tracing of a machine that has none.
pub fn no_tracing() -> Value {
    json!({ "enabled": false })
}

fn is_log_group(arn: &str) -> bool {
    arn.starts_with("arn:") && arn.contains(":log-group:") && arn.ends_with(":*")
}

/// Returns the complete tracing configuration of a request.
pub fn tracing(request: &Request) -> Value {
    let enabled = request
        .get("tracingConfiguration")
        .and_then(|given| given.get("enabled"));
    json!({ "enabled": enabled.and_then(Value::as_bool).unwrap_or(false) })
}

/// Returns a request's tags by key.
///
/// # Errors
/// `TooManyTags`.
pub fn tags(request: &Request) -> Result<Tags, ApiError> {
    let given = request
        .get("tags")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let member = |tag: &Value, name: &str| tag.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let tags: Tags = given
        .iter()
        .map(|tag| (member(tag, "key"), member(tag, "value")))
        .collect();
    count(&tags)?;
    Ok(tags)
}

/// Refuses more tags than a resource may have.
///
/// # Errors
/// `TooManyTags`.
pub fn count(tags: &Tags) -> Result<(), ApiError> {
    match tags.len() <= TAGS_MAX {
        true => Ok(()),
        false => Err(ApiError::new("TooManyTags", "The resource has too many tags.")),
    }
}

/// Returns a request's encryption, when it is other than the default.
///
/// # Errors
/// `InvalidEncryptionConfiguration`: a key of one's own that is not named, or is named without need.
pub fn encryption(request: &Request) -> Result<Option<Value>, ApiError> {
    let Some(given) = request.get("encryptionConfiguration") else {
        return Ok(None);
    };
    let is_own = given.get("type").and_then(Value::as_str) == Some("CUSTOMER_MANAGED_KMS_KEY");
    let has_key = given.get("kmsKeyId").is_some_and(|key| !key.is_null());
    match (is_own, has_key) {
        (true, true) => Ok(Some(given.clone())),
        (false, false) => Ok(None),
        (true, false) => Err(invalid_encryption("kmsKeyId is required for CUSTOMER_MANAGED_KMS_KEY")),
        (false, true) => Err(invalid_encryption("kmsKeyId is not allowed for AWS_OWNED_KEY")),
    }
}

fn invalid_encryption(text: &str) -> ApiError {
    ApiError::new(
        "InvalidEncryptionConfiguration",
        format!("Invalid Encryption Configuration: {text}"),
    )
}

/// Returns an encryption as the API shows it; the default is shown, too.
pub fn shown_encryption(given: Option<&Value>) -> Value {
    given.cloned().unwrap_or_else(|| json!({ "type": "AWS_OWNED_KEY" }))
}
