//! `stepfn serve` and the official client: every operation, over HTTP.
#![cfg(feature = "runtime")]

mod scratch;

use std::collections::BTreeSet;
use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::BehaviorVersion;
use aws_sdk_sfn::config::ConfigBag;
use aws_sdk_sfn::config::Credentials;
use aws_sdk_sfn::config::Intercept;
use aws_sdk_sfn::config::Region;
use aws_sdk_sfn::config::RuntimeComponents;
use aws_sdk_sfn::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_sfn::error::BoxError;
use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_sdk_sfn::error::SdkError;
use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sfn::types::RoutingConfigurationListItem;
use aws_sdk_sfn::types::StateMachineStatus;
use aws_sdk_sfn::types::StateMachineType;
use aws_sdk_sfn::types::SyncExecutionStatus;
use aws_sdk_sfn::types::Tag;
use aws_sdk_sfn::types::TestExecutionStatus;
use aws_sdk_sfn::types::ValidateStateMachineDefinitionResultCode;
use serde_json::json;

use stepfn::api::action::ACTIONS;

use crate::scratch::Scratch;

const ROLE: &str = "arn:aws:iam::123456789012:role/r";

/// A running server.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(test: &str, arguments: &[&str]) -> Self {
        let scratch = Scratch::new(test);
        let mut child = scratch
            .command(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim().strip_prefix("stepfn serves ").expect(&line).to_owned();
        Self { child, url }
    }

    /// Makes a client that notes which operations it calls.
    fn client(&self) -> (Client, Called) {
        let called = Called::default();
        let config = aws_sdk_sfn::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(&self.url)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .interceptor(called.clone())
            .build();
        (Client::from_conf(config), called)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The names of the operations that a client called.
#[derive(Clone, Debug, Default)]
struct Called(Arc<Mutex<BTreeSet<String>>>);

impl Intercept for Called {
    fn name(&self) -> &'static str {
        "Called"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let name = target.strip_prefix("AWSStepFunctions.").unwrap_or(target).to_owned();
        self.0.lock().unwrap().insert(name);
        // Two operations go to `sync-` hosts, which a numeric address has none of.
        let home = request.uri().replacen("//sync-", "//", 1);
        request.set_uri(home)?;
        Ok(())
    }
}

/// `Name: message` of an error.
fn told<T: std::fmt::Debug, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    let error = result.expect_err("an error");
    let code = error.code().unwrap_or("no code").to_owned();
    format!("{code}: {}", error.message().unwrap_or_default())
}

fn pass() -> String {
    json!({ "StartAt": "P", "States": { "P": { "Type": "Pass", "End": true } } }).to_string()
}

fn task(activity: &str) -> String {
    json!({ "StartAt": "T", "States": { "T": { "Type": "Task", "Resource": activity, "End": true } } }).to_string()
}

fn route(version: &str, weight: i32) -> RoutingConfigurationListItem {
    RoutingConfigurationListItem::builder()
        .state_machine_version_arn(version)
        .weight(weight)
        .build()
        .unwrap()
}

/// Waits for the end of an execution.
async fn end(client: &Client, execution: &str) -> ExecutionStatus {
    let wait = async {
        loop {
            let found = client
                .describe_execution()
                .execution_arn(execution)
                .send()
                .await
                .unwrap();
            if found.status != ExecutionStatus::Running {
                return found.status;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_calls_every_operation() {
    let server = Server::start("api-every", &["--ephemeral"]);
    let (client, called) = server.client();
    machines(&client).await;
    activities(&client).await;
    map_runs_and_redrives(&client).await;
    let known: BTreeSet<String> = ACTIONS.iter().map(|action| action.name.to_owned()).collect();
    let called = called.0.lock().unwrap().clone();
    assert_eq!(called, known);
    assert_eq!(called.len(), 37, "as many operations as the client has");
}

async fn machines(client: &Client) {
    let made = client
        .create_state_machine()
        .name("m")
        .definition(pass())
        .role_arn(ROLE)
        .tags(Tag::builder().key("a").value("1").build())
        .send()
        .await
        .unwrap();
    let arn = made.state_machine_arn.as_str();
    let found = client
        .describe_state_machine()
        .state_machine_arn(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (found.definition, found.status),
        (pass(), Some(StateMachineStatus::Active))
    );
    let listed = client.list_state_machines().send().await.unwrap();
    assert_eq!(listed.state_machines[0].state_machine_arn, arn);

    client
        .tag_resource()
        .resource_arn(arn)
        .tags(Tag::builder().key("b").value("").build())
        .send()
        .await
        .unwrap();
    client
        .untag_resource()
        .resource_arn(arn)
        .tag_keys("a")
        .send()
        .await
        .unwrap();
    let tags = client.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
    assert_eq!(tags.tags.unwrap(), [Tag::builder().key("b").value("").build()]);

    let first = client
        .publish_state_machine_version()
        .state_machine_arn(arn)
        .send()
        .await
        .unwrap();
    let second = client
        .update_state_machine()
        .state_machine_arn(arn)
        .definition(pass().replace('P', "Q").replace("Qass", "Pass"))
        .publish(true)
        .send()
        .await
        .unwrap();
    let second = second.state_machine_version_arn.unwrap();
    assert_eq!(second, format!("{arn}:2"));
    let versions = client
        .list_state_machine_versions()
        .state_machine_arn(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(versions.state_machine_versions.len(), 2);
    let alias = client
        .create_state_machine_alias()
        .name("live")
        .routing_configuration(route(&first.state_machine_version_arn, 100))
        .send()
        .await
        .unwrap();
    let alias = alias.state_machine_alias_arn;
    client
        .update_state_machine_alias()
        .state_machine_alias_arn(&alias)
        .routing_configuration(route(&second, 100))
        .send()
        .await
        .unwrap();
    let found = client
        .describe_state_machine_alias()
        .state_machine_alias_arn(&alias)
        .send()
        .await
        .unwrap();
    assert_eq!(found.routing_configuration(), [route(&second, 100)]);
    let aliases = client
        .list_state_machine_aliases()
        .state_machine_arn(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(aliases.state_machine_aliases[0].state_machine_alias_arn, alias);

    executions(client, &alias).await;
    client
        .delete_state_machine_alias()
        .state_machine_alias_arn(&alias)
        .send()
        .await
        .unwrap();
    client
        .delete_state_machine_version()
        .state_machine_version_arn(&second)
        .send()
        .await
        .unwrap();
    client
        .delete_state_machine()
        .state_machine_arn(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(
        told(client.describe_state_machine().state_machine_arn(arn).send().await),
        format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{arn}'")
    );

    let checked = client
        .validate_state_machine_definition()
        .definition("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(checked.result, ValidateStateMachineDefinitionResultCode::Fail);
    assert_eq!(
        checked.diagnostics[0].message,
        "These fields are required: [States, StartAt]"
    );
    let tested = client
        .test_state()
        .definition(json!({ "Type": "Pass", "End": true }).to_string());
    let tested = tested.input("[1]").send().await.unwrap();
    assert_eq!(tested.status, Some(TestExecutionStatus::Succeeded));
    assert_eq!(tested.output.as_deref(), Some("[1]"));
}

/// Starts executions of an alias that leads to version 2 of `m`.
async fn executions(client: &Client, alias: &str) {
    let started = client
        .start_execution()
        .state_machine_arn(alias)
        .name("one")
        .input("[1]")
        .send()
        .await
        .unwrap();
    let arn = started.execution_arn.as_str();
    assert_eq!(end(client, arn).await, ExecutionStatus::Succeeded);
    let found = client.describe_execution().execution_arn(arn).send().await.unwrap();
    assert_eq!(found.output.as_deref(), Some("[1]"));
    assert_eq!(found.state_machine_alias_arn.as_deref(), Some(alias));
    let history = client.get_execution_history().execution_arn(arn).send().await.unwrap();
    assert_eq!(history.events.len(), 4);
    let listed = client.list_executions().state_machine_arn(alias).send().await.unwrap();
    assert_eq!(listed.executions[0].execution_arn, arn);
    let machine = client
        .describe_state_machine_for_execution()
        .execution_arn(arn)
        .send()
        .await
        .unwrap();
    assert!(machine.definition.contains("\"Q\""), "{}", machine.definition);
    // It has ended: stopping it changes nothing.
    let stopped = client.stop_execution().execution_arn(arn).send().await.unwrap();
    assert_eq!(Some(stopped.stop_date), found.stop_date);

    let express = client
        .create_state_machine()
        .name("express")
        .definition(pass())
        .role_arn(ROLE)
        .r#type(StateMachineType::Express)
        .send()
        .await
        .unwrap();
    let done = client
        .start_sync_execution()
        .state_machine_arn(express.state_machine_arn)
        .input("2");
    let done = done.send().await.unwrap();
    assert_eq!(
        (done.status, done.output.as_deref()),
        (SyncExecutionStatus::Succeeded, Some("2"))
    );
}

async fn activities(client: &Client) {
    let activity = client.create_activity().name("a").send().await.unwrap().activity_arn;
    let found = client.describe_activity().activity_arn(&activity).send().await.unwrap();
    assert_eq!(found.name, "a");
    let listed = client.list_activities().send().await.unwrap();
    assert_eq!(listed.activities[0].activity_arn, activity);
    let machine = client
        .create_state_machine()
        .name("worker")
        .definition(task(&activity))
        .role_arn(ROLE)
        .send()
        .await
        .unwrap()
        .state_machine_arn;
    let take = || async {
        let started = client
            .start_execution()
            .state_machine_arn(&machine)
            .send()
            .await
            .unwrap();
        let task = client
            .get_activity_task()
            .activity_arn(&activity)
            .worker_name("w")
            .send()
            .await
            .unwrap();
        assert_eq!(task.input.as_deref(), Some("{}"));
        (started.execution_arn, task.task_token.unwrap())
    };
    let (execution, token) = take().await;
    client.send_task_heartbeat().task_token(&token).send().await.unwrap();
    client
        .send_task_success()
        .task_token(&token)
        .output("1")
        .send()
        .await
        .unwrap();
    assert_eq!(end(client, &execution).await, ExecutionStatus::Succeeded);
    assert_eq!(
        told(client.send_task_heartbeat().task_token(&token).send().await),
        format!("TaskTimedOut: Task Timed Out: '{activity}'")
    );
    let (execution, token) = take().await;
    client
        .send_task_failure()
        .task_token(&token)
        .error("E")
        .send()
        .await
        .unwrap();
    assert_eq!(end(client, &execution).await, ExecutionStatus::Failed);
    client.delete_activity().activity_arn(&activity).send().await.unwrap();
    assert_eq!(
        told(client.get_activity_task().activity_arn(&activity).send().await),
        format!("ActivityDoesNotExist: Activity Does Not Exist: '{activity}'")
    );
}

async fn map_runs_and_redrives(client: &Client) {
    let run = "arn:aws:states:us-east-1:123456789012:mapRun:m/l:00000000-0000-0000-0000-000000000000";
    let unknown = format!("ResourceNotFound: Resource not found: '{run}'");
    assert_eq!(told(client.describe_map_run().map_run_arn(run).send().await), unknown);
    assert!(told(client.update_map_run().map_run_arn(run).send().await).starts_with("ResourceNotFound: "));
    let unknown = "arn:aws:states:us-east-1:123456789012:execution:m:none";
    let expected = format!("ExecutionDoesNotExist: Execution Does Not Exist: '{unknown}'");
    assert_eq!(
        told(client.list_map_runs().execution_arn(unknown).send().await),
        expected
    );
    assert_eq!(
        told(client.redrive_execution().execution_arn(unknown).send().await),
        expected
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_machine_goes_when_its_executions_have_ended() {
    let server = Server::start("api-deleted", &[]);
    let (client, _) = server.client();
    let activity = client.create_activity().name("a").send().await.unwrap().activity_arn;
    let made = client
        .create_state_machine()
        .name("m")
        .definition(task(&activity))
        .role_arn(ROLE);
    let arn = made.send().await.unwrap().state_machine_arn;
    let started = client.start_execution().state_machine_arn(&arn).send().await.unwrap();
    let token = client
        .get_activity_task()
        .activity_arn(&activity)
        .send()
        .await
        .unwrap()
        .task_token
        .unwrap();
    client
        .delete_state_machine()
        .state_machine_arn(&arn)
        .send()
        .await
        .unwrap();
    let found = client
        .describe_state_machine()
        .state_machine_arn(&arn)
        .send()
        .await
        .unwrap();
    assert_eq!(found.status, Some(StateMachineStatus::Deleting));
    assert_eq!(
        told(client.start_execution().state_machine_arn(&arn).send().await),
        format!("StateMachineDeleting: State Machine is being deleted: '{arn}'")
    );
    client
        .send_task_success()
        .task_token(token)
        .output("1")
        .send()
        .await
        .unwrap();
    let execution = client
        .describe_execution()
        .execution_arn(&started.execution_arn)
        .send()
        .await
        .unwrap();
    assert_eq!(execution.status, ExecutionStatus::Failed);
    assert_eq!(
        (execution.error.as_deref(), execution.cause.as_deref()),
        (Some("States.Runtime"), Some("State machine m has been deleted"))
    );
    let history = client
        .get_execution_history()
        .execution_arn(&started.execution_arn)
        .send()
        .await
        .unwrap();
    let types: Vec<_> = history.events.iter().map(|event| event.r#type.as_str()).collect();
    assert_eq!(
        types,
        [
            "ExecutionStarted",
            "TaskStateEntered",
            "ActivityScheduled",
            "ActivityStarted",
            "ExecutionFailed"
        ]
    );
    let gone = async {
        while client
            .describe_state_machine()
            .state_machine_arn(&arn)
            .send()
            .await
            .is_ok()
        {}
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
}
