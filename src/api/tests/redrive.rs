//! `RedriveExecution`, and what the other operations tell of it.

use super::*;

const EXECUTION: &str = "arn:aws:states:us-east-1:111111111111:execution:m:one";

fn activity_task(more: &Value) -> Value {
    let activity = "arn:aws:states:us-east-1:111111111111:activity:a";
    with(
        json!({ "Type": "Task", "Resource": activity, "End": true }),
        more.clone(),
    )
}

/// A server with a machine `m` of one state, and its execution `one`.
async fn running(state: &Value) -> Api {
    let api = api();
    api.done("CreateActivity", json!({ "name": "a" })).await;
    let definition = json!({ "StartAt": "Top", "States": { "Top": state } });
    api.create("m", &definition.to_string()).await;
    let start = json!({ "stateMachineArn": M, "name": "one", "input": "[7,8]" });
    api.done("StartExecution", start).await;
    api
}

impl Api {
    async fn take(&self) -> Value {
        let activity = "arn:aws:states:us-east-1:111111111111:activity:a";
        let task = self.done("GetActivityTask", json!({ "activityArn": activity })).await;
        task["taskToken"].clone()
    }

    async fn fail_task(&self) {
        let task = self.take().await;
        self.done(
            "SendTaskFailure",
            json!({ "taskToken": task, "error": "E", "cause": "C" }),
        )
        .await;
    }

    async fn succeed_task(&self) {
        let task = self.take().await;
        self.done("SendTaskSuccess", json!({ "taskToken": task, "output": "1" }))
            .await;
    }

    async fn describe(&self, arn: &str) -> Value {
        self.done("DescribeExecution", json!({ "executionArn": arn })).await
    }

    /// Waits for the end of an execution.
    async fn ended(&self, arn: &str) -> Value {
        let record = self.execution(arn).unwrap();
        self.host.ended(record.id).await.unwrap();
        self.describe(arn).await
    }

    /// The details of the last event of a type.
    async fn history_details(&self, arn: &str, kind: &str) -> Value {
        let history = self.done("GetExecutionHistory", json!({ "executionArn": arn })).await;
        let mut events = history["events"].as_array().unwrap().iter();
        let event = events.rfind(|event| event["type"] == kind).unwrap();
        let (_, details) = event
            .as_object()
            .unwrap()
            .iter()
            .find(|(name, _)| name.ends_with("Details"))
            .unwrap();
        details.clone()
    }

    /// `id<previous type` of each event.
    async fn history(&self, arn: &str) -> Vec<String> {
        let history = self.done("GetExecutionHistory", json!({ "executionArn": arn })).await;
        let events = history["events"].as_array().unwrap().iter();
        let line = |event: &Value| {
            let kind = event["type"].as_str().unwrap();
            format!("{}<{} {kind}", event["id"], event["previousEventId"])
        };
        events.map(line).collect()
    }
}

#[tokio::test]
async fn an_execution_goes_on_once_for_each_token() {
    let api = running(&activity_task(&json!({}))).await;
    let started = api.describe(EXECUTION).await;
    let old_task = api.take().await;
    let failure = json!({ "taskToken": old_task, "error": "E", "cause": "C" });
    api.done("SendTaskFailure", failure.clone()).await;
    let failed = api.describe(EXECUTION).await;
    let status = |found: &Value| {
        (
            found["redriveStatus"].clone(),
            found.get("redriveStatusReason").cloned(),
        )
    };
    assert_eq!(status(&failed), (json!("REDRIVABLE"), None));
    assert_eq!((&failed["error"], &failed["redriveCount"]), (&json!("E"), &json!(0)));

    let redrive = |token: &str| json!({ "executionArn": EXECUTION, "clientToken": token });
    let (first, second) = tokio::join!(
        api.done("RedriveExecution", redrive("t")),
        api.done("RedriveExecution", redrive("t"))
    );
    assert_eq!(first, second);
    let running = api.describe(EXECUTION).await;
    let expected = with(
        started,
        json!({ "redriveCount": 1, "redriveDate": first["redriveDate"] }),
    );
    assert_eq!(running, expected);
    let dead = "TaskTimedOut: Task Timed Out: 'arn:aws:states:us-east-1:111111111111:activity:a'";
    let open = "ExecutionNotRedrivable: Execution is RUNNING and cannot be redriven";
    api.refuses(vec![
        ("SendTaskFailure", failure, dead),
        ("RedriveExecution", redrive("u"), open),
        ("RedriveExecution", json!({ "executionArn": EXECUTION }), open),
    ])
    .await;

    api.succeed_task().await;
    let succeeded = api.describe(EXECUTION).await;
    assert_eq!((succeeded.get("error"), succeeded.get("cause")), (None, None));
    assert_eq!(
        (
            &succeeded["status"],
            &succeeded["redriveCount"],
            &succeeded["redriveDate"]
        ),
        (&json!("SUCCEEDED"), &json!(1), &first["redriveDate"])
    );
    let reason = json!("Execution is SUCCEEDED and cannot be redriven");
    assert_eq!(status(&succeeded), (json!("NOT_REDRIVABLE"), Some(reason)));
    assert_eq!(api.done("RedriveExecution", redrive("t")).await, first);
    let closed = "ExecutionNotRedrivable: Execution is SUCCEEDED and cannot be redriven";
    api.refuses(vec![("RedriveExecution", redrive("u"), closed)]).await;
    assert_eq!(
        api.history(EXECUTION).await,
        [
            "1<0 ExecutionStarted",
            "2<0 TaskStateEntered",
            "3<2 ActivityScheduled",
            "4<3 ActivityStarted",
            "5<4 ActivityFailed",
            "6<5 ExecutionFailed",
            "7<6 ExecutionRedriven",
            "8<2 ActivityScheduled",
            "9<8 ActivityStarted",
            "10<9 ActivitySucceeded",
            "11<10 TaskStateExited",
            "12<11 ExecutionSucceeded",
        ]
    );
    let list = |filter: &str| json!({ "stateMachineArn": M, "redriveFilter": filter });
    let redriven = api.done("ListExecutions", list("REDRIVEN")).await;
    assert_eq!(redriven["executions"][0]["redriveCount"], 1);
    let others = api.done("ListExecutions", list("NOT_REDRIVEN")).await;
    assert_eq!(others["executions"], json!([]));
}

#[tokio::test]
async fn what_was_stopped_is_redriven_and_stopped_again() {
    let api = running(&json!({ "Type": "Wait", "Seconds": 900, "End": true })).await;
    let stop = json!({ "executionArn": EXECUTION, "error": "S" });
    for count in 1..=3 {
        api.done("StopExecution", stop.clone()).await;
        let stopped = api.describe(EXECUTION).await;
        assert_eq!(
            (&stopped["status"], &stopped["redriveStatus"]),
            (&json!("ABORTED"), &json!("REDRIVABLE"))
        );
        api.done("RedriveExecution", json!({ "executionArn": EXECUTION })).await;
        assert_eq!(api.describe(EXECUTION).await["redriveCount"], count);
    }
    assert_eq!(
        api.history(EXECUTION).await[..5],
        [
            "1<0 ExecutionStarted",
            "2<0 WaitStateEntered",
            "3<0 ExecutionAborted",
            "4<3 ExecutionRedriven",
            "5<0 ExecutionAborted",
        ]
    );
}

#[tokio::test]
async fn children_are_redriven_with_their_map_run() {
    for (kind, is_express) in [("STANDARD", false), ("EXPRESS", true)] {
        // An EXPRESS child may not wait for an activity: it fails and succeeds by its count of redrives.
        let states = match is_express {
            false => json!({ "A": activity_task(&json!({})) }),
            true => json!({
                "A": { "Type": "Choice", "Default": "P", "Choices": [
                    { "Variable": "$$.Execution.RedriveCount", "NumericEquals": 0, "Next": "F" }] },
                "F": { "Type": "Fail", "Error": "E", "Cause": "C" },
                "P": { "Type": "Pass", "Result": 1, "End": true },
            }),
        };
        let processor = json!({
            "ProcessorConfig": { "Mode": "DISTRIBUTED", "ExecutionType": kind }, "StartAt": "A", "States": states,
        });
        let map = json!({ "Type": "Map", "Label": "L", "MaxConcurrency": 1, "ItemProcessor": processor, "End": true });
        let api = running(&map).await;
        if !is_express {
            api.fail_task().await;
        }
        let failed = api.ended(EXECUTION).await;
        assert_eq!(failed["redriveStatus"], "REDRIVABLE", "{failed}");
        let run = api.history_details(EXECUTION, "MapRunStarted").await["mapRunArn"].clone();
        let children = |run: Value| json!({ "mapRunArn": run });
        let listed = api.done("ListExecutions", children(run.clone())).await;
        let child = listed["executions"][0]["executionArn"].as_str().unwrap().to_owned();
        let before = api.describe(&child).await;
        assert_eq!(
            (&before["status"], &before["redriveStatus"]),
            (&json!("FAILED"), &json!("REDRIVABLE_BY_MAP_RUN"))
        );
        let (refusal, express) = (
            "ValidationException: Labeled Execution ARNs are not supported for this API",
            "InvalidArn: Invalid Arn: 'Resource type not valid in this context: express'",
        );
        let redrive = json!({ "executionArn": child });
        api.refuses(vec![(
            "RedriveExecution",
            redrive,
            if is_express { express } else { refusal },
        )])
        .await;

        api.done("RedriveExecution", json!({ "executionArn": EXECUTION })).await;
        if !is_express {
            api.succeed_task().await;
            api.succeed_task().await;
        }
        if is_express {
            // The second child begins for the first time and fails for the first time.
            assert_eq!(api.ended(EXECUTION).await["status"], "FAILED");
            api.done("RedriveExecution", json!({ "executionArn": EXECUTION })).await;
        }
        let done = api.ended(EXECUTION).await;
        assert_eq!(
            (&done["status"], &done["output"]),
            (&json!("SUCCEEDED"), &json!("[1,1]"))
        );
        let after = api.describe(&child).await;
        assert_eq!(
            (
                &after["status"],
                &after["redriveCount"],
                after.get("redriveDate").is_some()
            ),
            (&json!("SUCCEEDED"), &json!(1), !is_express)
        );
        assert_eq!(
            before["startDate"] == after["startDate"],
            !is_express,
            "{before} {after}"
        );
        let redriven = api.history_details(EXECUTION, "MapRunRedriven").await;
        let n_redrives = if is_express { 2 } else { 1 };
        assert_eq!(redriven, json!({ "mapRunArn": run, "redriveCount": n_redrives }));
        let found = api.done("DescribeMapRun", json!({ "mapRunArn": run })).await;
        assert_eq!(
            (
                &found["redriveCount"],
                &found["redriveDate"],
                &found["itemCounts"]["succeeded"]
            ),
            (&json!(n_redrives), &done["redriveDate"], &json!(2))
        );
    }
}

#[tokio::test]
async fn what_cannot_be_redriven_says_why() {
    let api = running(&activity_task(&json!({}))).await;
    let redrive = |arn: &str| json!({ "executionArn": arn });
    let (none, token) = (
        "arn:aws:states:us-east-1:111111111111:execution:m:none",
        with(redrive(EXECUTION), json!({ "clientToken": "a b" })),
    );
    api.refuses(vec![
        (
            "RedriveExecution",
            redrive(none),
            "ExecutionDoesNotExist: Execution Does Not Exist: 'arn:aws:states:us-east-1:111111111111:execution:m:none'",
        ),
        (
            "RedriveExecution",
            redrive("arn:aws:states:us-east-1:111111111111:express:m:a:b"),
            "InvalidArn: Invalid Arn: 'Resource type not valid in this context: express'",
        ),
        (
            "RedriveExecution",
            redrive("arn:aws:states:us-east-1:111111111111:execution:m/L:a"),
            "ValidationException: Labeled Execution ARNs are not supported for this API",
        ),
        (
            "RedriveExecution",
            redrive(EXECUTION),
            "ExecutionNotRedrivable: Execution is RUNNING and cannot be redriven",
        ),
        (
            "RedriveExecution",
            token,
            "ValidationException: 1 validation error detected: Value 'a b' at 'clientToken' failed to satisfy constraint: Member must satisfy regular expression pattern: [!-~]+",
        ),
    ])
    .await;
    api.fail_task().await;
    let other = json!({ "stateMachineArn": M, "name": "two" });
    api.done("StartExecution", other).await;
    api.done("DeleteStateMachine", json!({ "stateMachineArn": M })).await;
    let found = api.describe(EXECUTION).await;
    let reason = "State machine is in DELETING status";
    assert_eq!(
        (&found["redriveStatus"], &found["redriveStatusReason"]),
        (&json!("NOT_REDRIVABLE"), &json!(reason))
    );
    let expected = format!("ExecutionNotRedrivable: {reason}");
    api.refuses(vec![("RedriveExecution", redrive(EXECUTION), &expected)])
        .await;
}
