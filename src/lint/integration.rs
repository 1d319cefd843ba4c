//! What is known of the services that a Task can call: which parameters they need, and what a second call does.
//!
//! Source: AWS developer guide, "Integrating optimized services with Step Functions" and the pages of each service,
//! read 2026-11; the services' own API references.

use crate::asl::definition::Pattern;
use crate::asl::definition::Task;
use crate::lint::walk;
use crate::model::history_event::TaskFamily;

/// What a call does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    Read,
    /// A second equal call changes nothing more.
    Settles,
    /// A second equal call does it once more: one more message, job or execution.
    Repeats,
}

/// What is known of one action.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) service: &'static str,
    pub(crate) action: &'static str,
    /// Parameters without which the call fails. `A|B`: one of them.
    pub(crate) required: &'static [&'static str],
    /// The other parameters, when all of them are known.
    pub(crate) optional: &'static [&'static str],
    /// `optional` is complete.
    pub(crate) is_complete: bool,
    pub(crate) effect: Effect,
    /// It can wait for the end of what it starts: `.sync`.
    pub(crate) has_sync: bool,
}

const fn whole(
    service: &'static str,
    action: &'static str,
    effect: Effect,
    required: &'static [&'static str],
    optional: &'static [&'static str],
) -> Facts {
    Facts {
        service,
        action,
        required,
        optional,
        is_complete: true,
        effect,
        has_sync: false,
    }
}

const fn part(service: &'static str, action: &'static str, effect: Effect, required: &'static [&'static str]) -> Facts {
    Facts {
        service,
        action,
        required,
        optional: &[],
        is_complete: false,
        effect,
        has_sync: false,
    }
}

const fn job(service: &'static str, action: &'static str, required: &'static [&'static str]) -> Facts {
    Facts {
        has_sync: true,
        ..part(service, action, Effect::Repeats, required)
    }
}

/// Ends or removes something, and can wait until it is gone.
const fn end(service: &'static str, action: &'static str, required: &'static [&'static str]) -> Facts {
    Facts {
        has_sync: true,
        ..part(service, action, Effect::Settles, required)
    }
}

/// The optimized integrations.
const FACTS: &[Facts] = &[
    whole(
        "apigateway",
        "invoke",
        Effect::Repeats,
        &["ApiEndpoint", "Method"],
        &[
            "AllowNullValues",
            "AuthType",
            "Headers",
            "Path",
            "QueryParameters",
            "RequestBody",
            "Stage",
        ],
    ),
    part("athena", "getQueryExecution", Effect::Read, &["QueryExecutionId"]),
    part("athena", "getQueryResults", Effect::Read, &["QueryExecutionId"]),
    job("athena", "startQueryExecution", &["QueryString"]),
    part("athena", "stopQueryExecution", Effect::Settles, &["QueryExecutionId"]),
    job("batch", "submitJob", &["JobDefinition", "JobName", "JobQueue"]),
    job("bedrock", "createModelCustomizationJob", &[]),
    part("bedrock", "invokeModel", Effect::Read, &["ModelId", "Body|Input"]),
    part("bedrockagentcore", "invokeHarness", Effect::Repeats, &["HarnessArn"]),
    part("codebuild", "batchDeleteBuilds", Effect::Settles, &["Ids"]),
    part("codebuild", "batchGetReports", Effect::Read, &["ReportArns"]),
    part("codebuild", "deleteBuildBatch", Effect::Settles, &["Id"]),
    job("codebuild", "retryBuildBatch", &[]),
    job("codebuild", "startBuild", &["ProjectName"]),
    job("codebuild", "startBuildBatch", &["ProjectName"]),
    part("codebuild", "stopBuild", Effect::Settles, &["Id"]),
    part("codebuild", "stopBuildBatch", Effect::Settles, &["Id"]),
    job("databrew", "startJobRun", &["Name"]),
    whole(
        "dynamodb",
        "deleteItem",
        Effect::Settles,
        &["TableName", "Key"],
        &[
            "ConditionExpression",
            "ConditionalOperator",
            "Expected",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "ReturnConsumedCapacity",
            "ReturnItemCollectionMetrics",
            "ReturnValues",
            "ReturnValuesOnConditionCheckFailure",
        ],
    ),
    whole(
        "dynamodb",
        "getItem",
        Effect::Read,
        &["TableName", "Key"],
        &[
            "AttributesToGet",
            "ConsistentRead",
            "ExpressionAttributeNames",
            "ProjectionExpression",
            "ReturnConsumedCapacity",
        ],
    ),
    whole(
        "dynamodb",
        "putItem",
        Effect::Settles,
        &["TableName", "Item"],
        &[
            "ConditionExpression",
            "ConditionalOperator",
            "Expected",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "ReturnConsumedCapacity",
            "ReturnItemCollectionMetrics",
            "ReturnValues",
            "ReturnValuesOnConditionCheckFailure",
        ],
    ),
    whole(
        "dynamodb",
        "updateItem",
        Effect::Settles,
        &["TableName", "Key"],
        &[
            "AttributeUpdates",
            "ConditionExpression",
            "ConditionalOperator",
            "Expected",
            "ExpressionAttributeNames",
            "ExpressionAttributeValues",
            "ReturnConsumedCapacity",
            "ReturnItemCollectionMetrics",
            "ReturnValues",
            "ReturnValuesOnConditionCheckFailure",
            "UpdateExpression",
        ],
    ),
    job("ecs", "runTask", &["TaskDefinition"]),
    part(
        "eks",
        "call",
        Effect::Repeats,
        &["CertificateAuthority", "ClusterName", "Endpoint", "Method", "Path"],
    ),
    job("eks", "createCluster", &[]),
    job("eks", "createFargateProfile", &[]),
    job("eks", "createNodegroup", &[]),
    end("eks", "deleteCluster", &[]),
    end("eks", "deleteFargateProfile", &[]),
    end("eks", "deleteNodegroup", &[]),
    job(
        "eks",
        "runJob",
        &["CertificateAuthority", "ClusterName", "Endpoint", "Job"],
    ),
    job("elasticmapreduce", "addStep", &["ClusterId", "Step"]),
    part(
        "elasticmapreduce",
        "cancelStep",
        Effect::Settles,
        &["ClusterId", "StepId"],
    ),
    job("elasticmapreduce", "createCluster", &[]),
    part(
        "elasticmapreduce",
        "modifyInstanceFleetByName",
        Effect::Settles,
        &["ClusterId", "InstanceFleetName"],
    ),
    part(
        "elasticmapreduce",
        "modifyInstanceGroupByName",
        Effect::Settles,
        &["ClusterId", "InstanceGroupName"],
    ),
    part(
        "elasticmapreduce",
        "setClusterTerminationProtection",
        Effect::Settles,
        &["ClusterId", "TerminationProtected"],
    ),
    end("elasticmapreduce", "terminateCluster", &["ClusterId"]),
    part("emr-containers", "createVirtualCluster", Effect::Repeats, &[]),
    end("emr-containers", "deleteVirtualCluster", &[]),
    job("emr-containers", "startJobRun", &[]),
    end("emr-serverless", "cancelJobRun", &["ApplicationId"]),
    job("emr-serverless", "createApplication", &[]),
    end("emr-serverless", "deleteApplication", &["ApplicationId"]),
    end("emr-serverless", "startApplication", &["ApplicationId"]),
    job("emr-serverless", "startJobRun", &["ApplicationId"]),
    end("emr-serverless", "stopApplication", &["ApplicationId"]),
    whole("events", "putEvents", Effect::Repeats, &["Entries"], &["EndpointId"]),
    job("glue", "startJobRun", &["JobName"]),
    whole(
        "http",
        "invoke",
        Effect::Repeats,
        &["ApiEndpoint", "Method", "Authentication|InvocationConfig"],
        &["Headers", "QueryParameters", "RequestBody", "Transform"],
    ),
    whole(
        "lambda",
        "invoke",
        Effect::Repeats,
        &["FunctionName"],
        &[
            "ClientContext",
            "InvocationType",
            "LogType",
            "Payload",
            "Qualifier",
            "TenantId",
        ],
    ),
    job("mediaconvert", "createJob", &["Role"]),
    part("sagemaker", "createEndpoint", Effect::Settles, &["EndpointName"]),
    part(
        "sagemaker",
        "createEndpointConfig",
        Effect::Settles,
        &["EndpointConfigName"],
    ),
    job("sagemaker", "createHyperParameterTuningJob", &[]),
    job("sagemaker", "createLabelingJob", &[]),
    part("sagemaker", "createModel", Effect::Settles, &["ModelName"]),
    job("sagemaker", "createProcessingJob", &[]),
    job("sagemaker", "createTrainingJob", &[]),
    job("sagemaker", "createTransformJob", &[]),
    part("sagemaker", "updateEndpoint", Effect::Settles, &["EndpointName"]),
    whole(
        "sns",
        "publish",
        Effect::Repeats,
        &["Message", "PhoneNumber|TargetArn|TopicArn"],
        &[
            "MessageAttributes",
            "MessageDeduplicationId",
            "MessageGroupId",
            "MessageStructure",
            "Subject",
        ],
    ),
    whole(
        "sqs",
        "sendMessage",
        Effect::Repeats,
        &["MessageBody", "QueueUrl"],
        &[
            "DelaySeconds",
            "MessageAttributes",
            "MessageDeduplicationId",
            "MessageGroupId",
            "MessageSystemAttributes",
        ],
    ),
    Facts {
        has_sync: true,
        ..whole(
            "states",
            "startExecution",
            Effect::Repeats,
            &["StateMachineArn"],
            &["Input", "Name", "TraceHeader"],
        )
    },
];

/// Services whose SDK name differs from that of the optimized integration.
const SDK_NAMES: &[(&str, &str)] = &[
    ("emr", "elasticmapreduce"),
    ("emrcontainers", "emr-containers"),
    ("emrserverless", "emr-serverless"),
    ("eventbridge", "events"),
    ("sfn", "states"),
];

/// What a Task calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// `sqs`; for an SDK integration the SDK's word.
    pub(crate) service: &'a str,
    /// Without the pattern: `sendMessage`.
    pub(crate) action: &'a str,
    pub(crate) is_sdk: bool,
    pub(crate) pattern: Pattern,
    /// Of the optimized integration; an SDK call has those of the optimized one that does the same.
    pub(crate) facts: Option<&'static Facts>,
}

impl<'a> Call<'a> {
    /// Reads a Task's resource; `None` for a bare function, an activity and an open placeholder.
    pub(crate) fn of(task: &'a Task) -> Option<Self> {
        let TaskFamily::Integration {
            resource_type,
            resource,
        } = &task.resource.family
        else {
            return None;
        };
        let (service, is_sdk) = match resource_type.strip_prefix("aws-sdk:") {
            Some(service) => (service, true),
            None => (&**resource_type, false),
        };
        let suffix = match task.resource.pattern {
            Pattern::RequestResponse => "",
            Pattern::Sync => ".sync",
            Pattern::Sync2 => ".sync:2",
            Pattern::WaitForTaskToken => ".waitForTaskToken",
        };
        let action = resource.strip_suffix(suffix).unwrap_or(resource);
        let name = SDK_NAMES.iter().find(|(sdk, _)| is_sdk && *sdk == service);
        let name = name.map_or(service, |(_, name)| *name);
        let facts = FACTS
            .iter()
            .find(|facts| facts.service == name && facts.action == action);
        Some(Self {
            service,
            action,
            is_sdk,
            pattern: task.resource.pattern,
            facts,
        })
    }

    /// Tells whether it is this optimized integration or the SDK call that does the same.
    pub(crate) fn does(&self, service: &str, action: &str) -> bool {
        let facts = self.facts.map(|facts| (facts.service, facts.action));
        facts == Some((service, action))
    }

    /// Tells whether it is this optimized integration.
    pub(crate) fn is(&self, service: &str, action: &str) -> bool {
        !self.is_sdk && self.service == service && self.action == action
    }

    /// What it does to the world. Of an unknown action, its verb tells.
    pub(crate) fn effect(&self) -> Option<Effect> {
        const READS: &[&str] = &[
            "batchGet", "describe", "detect", "get", "head", "list", "query", "scan", "search", "select",
        ];
        const SETTLES: &[&str] = &["delete", "put", "tag", "untag", "update"];
        let has = |verbs: &[&str]| verbs.iter().any(|verb| self.action.starts_with(verb));
        match self.facts {
            Some(facts) => Some(facts.effect),
            None if !self.is_sdk => None,
            None if has(READS) => Some(Effect::Read),
            None if has(SETTLES) => Some(Effect::Settles),
            None => None,
        }
    }

    /// `sqs:sendMessage`, `aws-sdk:s3:putObject`.
    pub(crate) fn name(&self) -> String {
        let prefix = if self.is_sdk { "aws-sdk:" } else { "" };
        format!("{prefix}{}:{}", self.service, self.action)
    }
}

/// Tells whether a Task calls a Lambda function.
pub(crate) fn is_lambda(task: &Task) -> bool {
    match Call::of(task) {
        Some(call) => call.does("lambda", "invoke"),
        None => task.resource.family == TaskFamily::Lambda && walk::has_known_resource(task),
    }
}

/// Returns the action of this machine that a Task calls, with hyphens: `file-write`. It is called by its own name or
/// as an activity.
pub(crate) fn debian_action(task: &Task) -> Option<String> {
    match &task.resource.family {
        TaskFamily::Activity => {
            let name = task.resource.arn.rsplit(':').next()?;
            name.strip_prefix("debian-").map(str::to_owned)
        }
        TaskFamily::Integration { .. } => {
            let call = Call::of(task).filter(|call| call.service == "debian")?;
            Some(call.action.replace('.', "-"))
        }
        TaskFamily::Lambda => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(FACTS.is_sorted_by_key(|facts| (facts.service, facts.action)));
    }
}
