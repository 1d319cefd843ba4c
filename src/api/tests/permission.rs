//! Who may do what, down to the tasks that ask in somebody's name.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

/// Rules in a directory of their own, which goes with it.
struct Rules(PathBuf);

impl Rules {
    fn new(name: &str, text: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("stepfn-api-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(directory.join("a.toml"), text).unwrap();
        std::fs::set_permissions(directory.join("a.toml"), std::fs::Permissions::from_mode(0o644)).unwrap();
        Self(directory)
    }

    fn api(&self) -> Arc<Api> {
        let policy = Policy::new(self.0.clone(), crate::api::action::is_operation);
        let api = Arc::new(api_with(policy));
        api.serve_tasks();
        api
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Somebody whom only the rules know.
fn dev() -> Principal {
    Principal {
        uid: Some(0x7fff_0001),
        ..Principal::new(PrincipalKind::UnixSocket, "dev")
    }
}

fn task(operation: &str) -> Value {
    let resource = format!("arn:aws:states:::aws-sdk:sfn:{operation}");
    json!({ "Type": "Task", "Resource": resource, "Parameters": { "StateMachineArn": M }, "End": true })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tested_state_asks_in_the_name_of_who_tests_it() {
    let rules = Rules::new(
        "test-state",
        "[[rule]]\nuser = 'dev'\nactions = ['TestState']\npass_roles = ['*']\n",
    );
    let api = rules.api();
    api.done(
        "CreateStateMachine",
        json!({ "name": "m", "definition": PASS, "roleArn": ROLE }),
    )
    .await;
    let request = json!({ "definition": task("deleteStateMachine").to_string(), "roleArn": ROLE });
    let answer = api.ask_as(dev(), "TestState", request).await.unwrap();
    assert_eq!(answer["status"], "FAILED", "{answer}");
    let cause = answer["cause"].as_str().unwrap();
    assert!(
        cause.contains("User: dev is not authorized to perform: states:DeleteStateMachine"),
        "{cause}"
    );
    api.done("DescribeStateMachine", json!({ "stateMachineArn": M })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_asks_in_the_name_of_who_started_it_or_by_its_role() {
    let rules = Rules::new(
        "nested",
        "[[rule]]\nuser = 'dev'\nactions = ['start']\nmachines = ['p*']\n\
         [[rule]]\nmachine_role = '*:role/trusted'\nactions = ['start']\nmachines = ['m']\n",
    );
    let api = rules.api();
    let definition = json!({ "StartAt": "T", "States": { "T": task("startExecution") } }).to_string();
    for (name, definition, role) in [
        ("m", PASS, ROLE),
        ("plain", &*definition, ROLE),
        ("ptrusted", &*definition, "arn:aws:iam::111111111111:role/trusted"),
    ] {
        let request = json!({ "name": name, "definition": definition, "roleArn": role, "type": "EXPRESS" });
        api.done("CreateStateMachine", request).await;
    }
    let refused = api
        .ask_as(dev(), "StartExecution", json!({ "stateMachineArn": M }))
        .await;
    let text = refused.unwrap_err();
    assert!(
        text.starts_with("AccessDeniedException: User: dev is not authorized"),
        "{text}"
    );
    for (name, expected) in [("plain", "FAILED"), ("ptrusted", "SUCCEEDED")] {
        let arn = M.replace(":m", &format!(":{name}"));
        let answer = api
            .ask_as(dev(), "StartSyncExecution", json!({ "stateMachineArn": arn }))
            .await
            .unwrap();
        assert_eq!(answer["status"], expected, "{answer}");
    }
    // Who started it is not known: it is not the server for that.
    let stranger = Principal::new(PrincipalKind::Process, "stepfn").through(&"arn:x".into());
    let refused = api
        .ask_as(stranger, "DescribeStateMachine", json!({ "stateMachineArn": M }))
        .await;
    assert!(refused.unwrap_err().starts_with("AccessDeniedException"));
}
