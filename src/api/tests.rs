//! Operations as a client sees them, on a store in memory.

use std::sync::Arc;
use std::sync::OnceLock;

use serde_json::Value;
use serde_json::json;

use crate::api::Api;
use crate::engine::host::Host;
use crate::engine::host::HostOptions;
use crate::identity::caller::Caller;
use crate::identity::gate::Gate;
use crate::identity::gate::Mode;
use crate::identity::gate::Verifiers;
use crate::identity::policy::Policy;
use crate::model::principal::Principal;
use crate::model::principal::PrincipalKind;
use crate::model::quota::Quotas;
use crate::store::memory::MemoryStore;
use crate::worker::Site;
use crate::worker::lambda::invoke::Lambdas;
use crate::worker::mapping::Mappings;
use crate::worker::nursery::Nursery;

mod permission;
mod redrive;

const M: &str = "arn:aws:states:us-east-1:111111111111:stateMachine:m";
const ROLE: &str = "arn:aws:iam::111111111111:role/r";
const PASS: &str = r#"{"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}}"#;
const OTHER: &str = r#"{"StartAt":"P","States":{"P":{"Type":"Pass","Comment":"2","End":true}}}"#;

fn api() -> Api {
    api_with(Policy::built_in())
}

fn api_with(policy: Policy) -> Api {
    let options = HostOptions {
        site: Arc::new(Site {
            mappings: Mappings::default(),
            actions: crate::worker::action::ActionSite::default(),
            nursery: Arc::new(Nursery::default()),
            audit: None,
            region: "us-east-1".into(),
            account: "111111111111".into(),
            has_callbacks: true,
            tokens: None,
            sfn: OnceLock::new(),
            lambdas: Lambdas::default(),
        }),
        quotas: Quotas::Aws,
        answering: None,
        skip_time: false,
        logs: None,
        buckets: Arc::new(crate::items::directory::DirectoryBuckets::default()),
        wait_scale: 1.0,
    };
    let (host, feeds) = Host::open(Arc::new(MemoryStore::default()), options).unwrap();
    host.serve(feeds);
    Api::new(host, Gate::new(Mode::dev(), Verifiers::default()), policy)
}

/// The user of this process, who owns the server.
fn myself() -> Principal {
    Principal {
        uid: Some(rustix::process::geteuid().as_raw()),
        ..Principal::new(PrincipalKind::UnixSocket, "tests")
    }
}

impl Api {
    /// Calls an operation; an error is `Name: message`.
    async fn ask(&self, operation: &str, members: Value) -> Result<Value, String> {
        self.ask_as(myself(), operation, members).await
    }

    async fn ask_as(&self, who: Principal, operation: &str, members: Value) -> Result<Value, String> {
        let target = format!("AWSStepFunctions.{operation}");
        let caller = Arc::new(Caller::new(who));
        let body = members.to_string();
        let answer = self.call(caller, Some(&target), None, body.as_bytes()).await;
        answer.map_err(|error| format!("{}: {}", error.name, error.message))
    }

    /// Calls an operation that must succeed.
    async fn done(&self, operation: &str, members: Value) -> Value {
        let answer = self.ask(operation, members.clone()).await;
        answer.unwrap_or_else(|error| panic!("{operation} {members}: {error}"))
    }

    /// Calls operations that must fail, each with its error.
    async fn refuses(&self, cases: Vec<(&str, Value, &str)>) {
        for (operation, members, expected) in cases {
            let answer = self.ask(operation, members.clone()).await;
            assert_eq!(answer, Err(expected.to_owned()), "{operation} {members}");
        }
    }

    async fn create(&self, name: &str, definition: &str) -> Value {
        let members = json!({ "name": name, "definition": definition, "roleArn": ROLE });
        self.done("CreateStateMachine", members).await
    }
}

fn with(mut members: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    members.as_object_mut().unwrap().extend(more);
    members
}

#[tokio::test]
async fn requests_are_checked_in_order() {
    let api = api();
    api.create("m", PASS).await;
    let new = |more| with(json!({ "name": "n", "definition": PASS, "roleArn": ROLE }), more);
    let start = |more| with(json!({ "stateMachineArn": M }), more);
    let execution = "arn:aws:states:us-east-1:111111111111:execution:m:none";
    let express = "arn:aws:states:us-east-1:111111111111:express:m:a:b";
    api.refuses(vec![
        (
            "CreateStateMachine",
            json!({ "name": "" }),
            "ValidationException: 3 validation errors detected: Value '' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1; Value null at 'definition' failed to satisfy constraint: Member must not be null; Value null at 'roleArn' failed to satisfy constraint: Member must not be null",
        ),
        ("CreateStateMachine", new(json!({ "name": "a b", "roleArn": "x" })), "InvalidName: Invalid Name: 'a b'"),
        ("CreateStateMachine", new(json!({ "roleArn": "x", "definition": "{" })), "InvalidArn: Invalid Role Arn: 'x'"),
        (
            "CreateStateMachine",
            new(json!({ "versionDescription": "d" })),
            "ValidationException: Version description can only be set when publish is true",
        ),
        (
            "CreateStateMachine",
            new(json!({ "loggingConfiguration": { "level": "ALL", "destinations": [] } })),
            "InvalidLoggingConfiguration: Invalid Logging Configuration: Must specify exactly one Log Destination.",
        ),
        (
            "CreateStateMachine",
            new(json!({ "name": "m", "definition": OTHER })),
            "StateMachineAlreadyExists: State Machine Already Exists: 'arn:aws:states:us-east-1:111111111111:stateMachine:m'",
        ),
        ("StartExecution", json!({ "stateMachineArn": "x" }), "InvalidArn: Invalid Arn: 'Invalid ARN prefix: x'"),
        (
            "StartExecution",
            json!({ "stateMachineArn": execution, "name": "a b" }),
            "InvalidArn: Invalid Arn: 'Resource type not valid in this context: execution'",
        ),
        (
            "StartExecution",
            json!({ "stateMachineArn": format!("{M}x"), "name": "a b" }),
            "InvalidName: Invalid Name: 'a b'",
        ),
        (
            "StartExecution",
            json!({ "stateMachineArn": format!("{M}x"), "input": "" }),
            "StateMachineDoesNotExist: State Machine Does Not Exist: 'arn:aws:states:us-east-1:111111111111:stateMachine:mx'",
        ),
        (
            "StartExecution",
            start(json!({ "input": "" })),
            "InvalidExecutionInput: Invalid State Machine Execution Input: 'Invalid execution input.'",
        ),
        (
            "StartExecution",
            start(json!({ "input": "{'a': 1}" })),
            "InvalidExecutionInput: Invalid State Machine Execution Input: 'Unexpected character (''' (code 39)): was expecting double-quote to start field name'",
        ),
        (
            "StartExecution",
            start(json!({ "input": "not json" })),
            "InvalidExecutionInput: Invalid State Machine Execution Input: 'Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')'",
        ),
        (
            "StartExecution",
            json!({ "stateMachineArn": "arn:aws:states:us-east-1:111111111111:stateMachine:m/l" }),
            "ValidationException: Labeled Execution ARNs are not supported for this API",
        ),
        (
            "StartSyncExecution",
            start(json!({ "input": "" })),
            "StateMachineTypeNotSupported: This operation is not supported by this type of state machine",
        ),
        (
            "StopExecution",
            json!({ "executionArn": express }),
            "InvalidArn: Invalid Arn: 'Resource type not valid in this context: express'",
        ),
        (
            "StopExecution",
            json!({ "executionArn": "arn:aws:states:us-east-1:111111111111:express:m/l:a:b" }),
            "InvalidArn: Invalid Arn: 'Resource type not valid in this context: express'",
        ),
        (
            "GetExecutionHistory",
            json!({ "executionArn": execution, "nextToken": "x" }),
            "ExecutionDoesNotExist: Execution Does Not Exist: 'arn:aws:states:us-east-1:111111111111:execution:m:none'",
        ),
        ("SendTaskSuccess", json!({ "taskToken": "x", "output": "1" }), "InvalidToken: Invalid Token: 'Invalid token'"),
        (
            "SendTaskSuccess",
            json!({ "taskToken": "x", "output": "no" }),
            "InvalidOutput: Invalid Output: 'Unrecognized token 'no': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')'",
        ),
        (
            "UpdateStateMachine",
            start(json!({ "publish": true })),
            "MissingRequiredParameter: Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified",
        ),
        (
            "UpdateStateMachine",
            json!({ "stateMachineArn": format!("{M}:1"), "roleArn": ROLE }),
            "StateMachineDoesNotExist: State Machine Does Not Exist: 'arn:aws:states:us-east-1:111111111111:stateMachine:m:1'",
        ),
        ("ListActivities", json!({ "nextToken": "x" }), "InvalidToken: Invalid Token: 'Invalid token'"),
        (
            "CreateActivity",
            json!({ "name": "a", "encryptionConfiguration": { "type": "CUSTOMER_MANAGED_KMS_KEY" } }),
            "InvalidEncryptionConfiguration: Invalid Encryption Configuration: kmsKeyId is required for CUSTOMER_MANAGED_KMS_KEY",
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_same_creation_again_changes_nothing() {
    let api = api();
    let made = api.create("m", PASS).await;
    // Neither the role nor tags are compared.
    let again = json!({ "name": "m", "definition": PASS, "roleArn": "arn:aws:iam::1:role/x", "tags": [{ "key": "a", "value": "" }] });
    assert_eq!(api.done("CreateStateMachine", again).await, made);
    let tags = api.done("ListTagsForResource", json!({ "resourceArn": M })).await;
    assert_eq!(tags, json!({ "tags": [] }));
    let activity = api.done("CreateActivity", json!({ "name": "a" })).await;
    let again = json!({ "name": "a", "encryptionConfiguration": { "type": "AWS_OWNED_KEY" } });
    assert_eq!(api.done("CreateActivity", again).await, activity);
    let other =
        json!({ "name": "a", "encryptionConfiguration": { "type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "k" } });
    let expected = "ActivityAlreadyExists: Activity Already Exists: 'arn:aws:states:us-east-1:111111111111:activity:a'";
    api.refuses(vec![("CreateActivity", other, expected)]).await;
}

#[tokio::test]
async fn a_name_is_used_once() {
    let api = api();
    let wait = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":9999,"End":true}}}"#;
    api.create("m", wait).await;
    let start = |input: &str| json!({ "stateMachineArn": M, "name": "e", "input": input });
    let started = api.done("StartExecution", start("{}")).await;
    assert_eq!(api.done("StartExecution", start("{}")).await, started);
    let taken =
        "ExecutionAlreadyExists: Execution Already Exists: 'arn:aws:states:us-east-1:111111111111:execution:m:e'";
    api.refuses(vec![("StartExecution", start("{ }"), taken)]).await;
    let stop = json!({ "executionArn": started["executionArn"] });
    let stopped = api.done("StopExecution", stop.clone()).await;
    assert_eq!(api.done("StopExecution", stop).await, stopped);
    api.refuses(vec![("StartExecution", start("{}"), taken)]).await;
}

#[tokio::test]
async fn revisions_and_versions_are_counted() {
    let api = api();
    let publish = |more| with(json!({ "stateMachineArn": M }), more);
    let version = |answer: &Value| {
        answer["stateMachineVersionArn"]
            .as_str()
            .map(|arn| arn.rsplit(':').next().unwrap().to_owned())
    };
    api.create("m", PASS).await;
    let update = |definition: &str| json!({ "stateMachineArn": M, "definition": definition, "publish": true });
    // Nothing changed: no revision, but a version.
    let answer = api.done("UpdateStateMachine", update(PASS)).await;
    assert_eq!(
        (answer.get("revisionId"), version(&answer).as_deref()),
        (None, Some("1"))
    );
    let answer = api
        .done(
            "PublishStateMachineVersion",
            publish(json!({ "revisionId": "INITIAL" })),
        )
        .await;
    assert_eq!(version(&answer).as_deref(), Some("1"));
    let answer = api.done("UpdateStateMachine", update(OTHER)).await;
    let revision = answer["revisionId"].as_str().unwrap().to_owned();
    assert_eq!(version(&answer).as_deref(), Some("2"));
    let again = api.done("UpdateStateMachine", update(OTHER)).await;
    assert_eq!(again, answer);
    let stale = format!(
        "ConflictException: Failed to publish the State Machine version for revision INITIAL. The current State Machine revision is {revision}."
    );
    let operation = "PublishStateMachineVersion";
    api.refuses(vec![(operation, publish(json!({ "revisionId": "INITIAL" })), &stale)])
        .await;
    // Numbers are never used again.
    let delete = json!({ "stateMachineVersionArn": format!("{M}:2") });
    api.done("DeleteStateMachineVersion", delete.clone()).await;
    api.done("DeleteStateMachineVersion", delete).await;
    let answer = api
        .done(
            operation,
            publish(json!({ "revisionId": revision, "description": "three" })),
        )
        .await;
    assert_eq!(version(&answer).as_deref(), Some("3"));
    let found = api
        .done("DescribeStateMachine", json!({ "stateMachineArn": format!("{M}:3") }))
        .await;
    assert_eq!(
        (&found["description"], &found["definition"]),
        (&json!("three"), &json!(OTHER))
    );
    let listed = api.done("ListStateMachineVersions", publish(json!({}))).await;
    let listed: Vec<_> = listed["stateMachineVersions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(version)
        .collect();
    assert_eq!(listed, ["3", "1"]);
}

#[tokio::test]
async fn aliases_lead_to_versions() {
    let api = api();
    let other = "arn:aws:states:us-east-1:111111111111:stateMachine:n:1";
    for name in ["m", "n"] {
        let members = json!({ "name": name, "definition": PASS, "roleArn": ROLE, "publish": true });
        api.done("CreateStateMachine", members).await;
    }
    let route = |arn: &str, weight: u64| json!({ "stateMachineVersionArn": arn, "weight": weight });
    let create = |name: &str, routes: Value| json!({ "name": name, "routingConfiguration": routes });
    let (one, two) = (format!("{M}:1"), format!("{M}:2"));
    let alias = json!({ "stateMachineAliasArn": format!("{M}:a") });
    let missing = "ResourceNotFound: Request references a resource that does not exist.";
    api.done("CreateStateMachineAlias", create("a", json!([route(&one, 100)])))
        .await;
    api.refuses(vec![
        (
            "CreateStateMachineAlias",
            create("12", json!([route(&one, 100)])),
            r"ValidationException: 1 validation error detected: Value '12' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$",
        ),
        ("CreateStateMachineAlias", create("b", json!([route(&two, 100)])), missing),
        (
            "CreateStateMachineAlias",
            create("b", json!([route(&one, 50), route(other, 50)])),
            "ValidationException: Routing configuration must contain versions of one state machine. Received: [arn:aws:states:us-east-1:111111111111:stateMachine:m:1, arn:aws:states:us-east-1:111111111111:stateMachine:n:1]",
        ),
        (
            "CreateStateMachineAlias",
            with(create("a", json!([route(&one, 100)])), json!({ "description": "d" })),
            "ConflictException: Failed to create alias because an alias with the same name and a different routing configuration already exists.",
        ),
        (
            "DeleteStateMachineVersion",
            json!({ "stateMachineVersionArn": one }),
            "ConflictException: Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: [a]",
        ),
        ("DescribeStateMachineAlias", json!({ "stateMachineAliasArn": format!("{M}:b") }), missing),
        (
            "UpdateStateMachineAlias",
            with(alias.clone(), json!({ "routingConfiguration": [route(other, 100)] })),
            missing,
        ),
    ])
    .await;
    let started = api
        .done("StartExecution", json!({ "stateMachineArn": format!("{M}:a") }))
        .await;
    let found = api
        .done("DescribeExecution", json!({ "executionArn": started["executionArn"] }))
        .await;
    assert_eq!(found["stateMachineVersionArn"], json!(one));
    for (arn, expected) in [(M, 1), (&one, 1), (&two, 0)] {
        let listed = api
            .done("ListStateMachineAliases", json!({ "stateMachineArn": arn }))
            .await;
        assert_eq!(
            listed["stateMachineAliases"].as_array().unwrap().len(),
            expected,
            "{arn}"
        );
    }
    api.done("DeleteStateMachineAlias", alias.clone()).await;
    api.done("DeleteStateMachineAlias", alias).await;
    api.done("DeleteStateMachineVersion", json!({ "stateMachineVersionArn": one }))
        .await;
}

#[tokio::test]
async fn pages_follow_one_another() {
    let api = api();
    for name in ["c", "a", "b", "d", "e"] {
        api.create(name, PASS).await;
    }
    let list = |size: u64, token: &Value| json!({ "maxResults": size, "nextToken": token });
    let names = |answer: &Value| {
        let machines = answer["stateMachines"].as_array().unwrap().iter();
        machines
            .map(|machine| machine["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = api.done("ListStateMachines", list(2, &Value::Null)).await;
    assert_eq!(names(&first), ["a", "b"]);
    // A deleted row does not hide the one behind it; the page may change its size.
    let deleted = "arn:aws:states:us-east-1:111111111111:stateMachine:b";
    api.done("DeleteStateMachine", json!({ "stateMachineArn": deleted }))
        .await;
    api.done("DeleteStateMachine", json!({ "stateMachineArn": deleted }))
        .await;
    let token = &first["nextToken"];
    let second = api.done("ListStateMachines", list(3, token)).await;
    assert_eq!(
        (names(&second), second.get("nextToken")),
        (vec!["c".to_owned(), "d".to_owned(), "e".to_owned()], None)
    );
    let foreign = "InvalidToken: Invalid Token: 'Invalid token'";
    api.refuses(vec![("ListActivities", list(2, token), foreign)]).await;
}

#[tokio::test]
async fn tags_are_of_machines_and_activities() {
    let api = api();
    let arn = api.create("m", PASS).await["stateMachineArn"].clone();
    let tag = |key: &str, value: &str| json!({ "key": key, "value": value });
    let tags = |tags: Vec<Value>| json!({ "resourceArn": arn, "tags": tags });
    api.done("TagResource", tags(vec![tag("b", "1"), tag("a", "2")])).await;
    api.done("TagResource", tags(vec![tag("b", "3")])).await;
    let listed = api.done("ListTagsForResource", json!({ "resourceArn": arn })).await;
    assert_eq!(listed, json!({ "tags": [tag("a", "2"), tag("b", "3")] }));
    let many = (0..49).map(|n| tag(&format!("k{n}"), "")).collect();
    api.refuses(vec![
        (
            "TagResource",
            tags(many),
            "TooManyTags: The resource has too many tags.",
        ),
        (
            "UntagResource",
            json!({ "resourceArn": format!("{M}:1"), "tagKeys": [] }),
            "ResourceNotFound: Resource not found: 'arn:aws:states:us-east-1:111111111111:stateMachine:m:1'",
        ),
    ])
    .await;
}

#[tokio::test]
async fn variables_are_listed_by_state() {
    let api = api();
    let definition = json!({
        "StartAt": "A",
        "States": {
            "A": { "Type": "Pass", "Assign": { "x": 1, "y": [1] }, "Next": "M" },
            "M": {
                "Type": "Map", "ItemsPath": "$y", "End": true,
                "ItemProcessor": { "StartAt": "I", "States": { "I": {
                    "Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $x + $count($y) + $x %}", "End": true
                } } }
            }
        }
    });
    api.create("m", &definition.to_string()).await;
    let found = api.done("DescribeStateMachine", json!({ "stateMachineArn": M })).await;
    assert_eq!(found["variableReferences"], json!({ "I": ["x", "y"], "M": ["y"] }));
    let found = api
        .done(
            "DescribeStateMachine",
            json!({ "stateMachineArn": M, "includedData": "METADATA_ONLY" }),
        )
        .await;
    assert_eq!(
        (&found["definition"], found.get("variableReferences")),
        (&json!("{}"), None)
    );
}

#[tokio::test]
async fn a_definition_is_validated_without_a_machine() {
    let api = api();
    let bad = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Retry":[],"Catch":[],"End":true}}}"#;
    let validate = |definition: &str, more| with(json!({ "definition": definition }), more);
    let operation = "ValidateStateMachineDefinition";
    let answer = api.done(operation, validate(bad, json!({ "maxResults": 1 }))).await;
    let finding = json!({
        "severity": "ERROR",
        "code": "SCHEMA_VALIDATION_FAILED",
        "message": "Field 'Retry' is not supported",
        "location": "/States/A",
    });
    assert_eq!(
        answer,
        json!({ "result": "FAIL", "diagnostics": [finding], "truncated": true })
    );
    let expected = "ValidationException: 1 validation error detected: Value '101' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 100";
    api.refuses(vec![(operation, validate(bad, json!({ "maxResults": 101 })), expected)])
        .await;
    let looks = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Result":{"a":["$.x"]},"Next":"B"},"B":{"Type":"Pass","Parameters":{"a":"$.b","c":[{"d":"States.UUID()","e.$":"$.x","f":"plain"}]},"Next":"C"},"C":{"Type":"Fail","Cause":"$.why"}}}"#;
    let answer = api.done(operation, validate(looks, json!({}))).await;
    assert_eq!(answer, json!({ "result": "OK", "diagnostics": [], "truncated": false }));
    let answer = api
        .done(operation, validate(looks, json!({ "severity": "WARNING" })))
        .await;
    let found = answer["diagnostics"].as_array().unwrap().iter();
    let found: Vec<String> = found
        .map(|found| {
            format!(
                "{} {}",
                found["code"].as_str().unwrap(),
                found["location"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(answer["result"], "OK");
    assert_eq!(
        found,
        [
            "PASS_RESULT_IS_STATIC /States/A/Result/a[0]",
            "NO_DOLLAR /States/B/Parameters/a",
            "NO_DOLLAR /States/B/Parameters/c[0]/d",
            "NO_PATH /States/C/Cause",
        ]
    );
}
