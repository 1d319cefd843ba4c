//! A Task's `Resource`.

use std::sync::Arc;

use crate::asl::definition::Pattern;
use crate::asl::definition::Resource;
use crate::model::history_event::TaskFamily;

/// The optimized integrations and their actions.
const OPTIMIZED: &[(&str, &[&str])] = &[
    ("apigateway", &["invoke"]),
    (
        "athena",
        &[
            "startQueryExecution",
            "stopQueryExecution",
            "getQueryExecution",
            "getQueryResults",
        ],
    ),
    ("batch", &["submitJob"]),
    ("bedrock", &["invokeModel", "createModelCustomizationJob"]),
    ("bedrockagentcore", &["invokeHarness"]),
    (
        "codebuild",
        &[
            "startBuild",
            "stopBuild",
            "batchDeleteBuilds",
            "batchGetReports",
            "startBuildBatch",
            "stopBuildBatch",
            "retryBuildBatch",
            "deleteBuildBatch",
        ],
    ),
    ("databrew", &["startJobRun"]),
    ("dynamodb", &["getItem", "putItem", "updateItem", "deleteItem"]),
    ("ecs", &["runTask"]),
    (
        "eks",
        &[
            "createCluster",
            "deleteCluster",
            "createFargateProfile",
            "deleteFargateProfile",
            "createNodegroup",
            "deleteNodegroup",
            "runJob",
            "call",
        ],
    ),
    (
        "elasticmapreduce",
        &[
            "createCluster",
            "terminateCluster",
            "addStep",
            "cancelStep",
            "setClusterTerminationProtection",
            "modifyInstanceFleetByName",
            "modifyInstanceGroupByName",
        ],
    ),
    (
        "emr-containers",
        &["createVirtualCluster", "deleteVirtualCluster", "startJobRun"],
    ),
    (
        "emr-serverless",
        &[
            "createApplication",
            "startApplication",
            "stopApplication",
            "deleteApplication",
            "startJobRun",
            "cancelJobRun",
        ],
    ),
    ("events", &["putEvents"]),
    ("glue", &["startJobRun"]),
    ("http", &["invoke"]),
    ("lambda", &["invoke"]),
    ("mediaconvert", &["createJob"]),
    (
        "sagemaker",
        &[
            "createEndpoint",
            "createEndpointConfig",
            "createModel",
            "updateEndpoint",
            "createHyperParameterTuningJob",
            "createLabelingJob",
            "createProcessingJob",
            "createTrainingJob",
            "createTransformJob",
        ],
    ),
    ("sns", &["publish"]),
    ("sqs", &["sendMessage"]),
    ("states", &["startExecution"]),
];

/// Reads a `Resource`; `None` when it is not recognized.
pub(super) fn parse(text: &str) -> Option<Resource> {
    let mut parts = text.splitn(6, ':');
    let (arn, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (_region, _account, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (family, pattern) = match (arn, service) {
        ("arn", "lambda") if rest.strip_prefix("function:").is_some_and(|name| !name.is_empty()) => {
            (TaskFamily::Lambda, Pattern::RequestResponse)
        }
        ("arn", "states") => match rest.strip_prefix("activity:") {
            Some(name) => {
                let known = !name.is_empty();
                known.then_some((TaskFamily::Activity, Pattern::RequestResponse))?
            }
            None => integration(rest)?,
        },
        _ => return None,
    };
    Some(Resource {
        arn: Arc::from(text),
        family,
        pattern,
    })
}

fn integration(rest: &str) -> Option<(TaskFamily, Pattern)> {
    let (service, action) = rest.split_once(':')?;
    let (resource_type, resource) = match service {
        "aws-sdk" => {
            let (sdk_service, action) = action.split_once(':')?;
            if sdk_service.is_empty() {
                return None;
            }
            (format!("aws-sdk:{sdk_service}"), action)
        }
        _ => (service.to_owned(), action),
    };
    let (name, suffix) = resource
        .split_once('.')
        .map_or((resource, None), |(name, suffix)| (name, Some(suffix)));
    let pattern = match suffix {
        None => Pattern::RequestResponse,
        Some("sync") => Pattern::Sync,
        Some("sync:2") => Pattern::Sync2,
        Some("waitForTaskToken") => Pattern::WaitForTaskToken,
        // The services of this machine name their actions themselves: `shell.run`.
        Some(_) if service == "debian" => debian_pattern(resource),
        Some(_) => return None,
    };
    let known = match service {
        "aws-sdk" | "debian" => !name.is_empty(),
        _ => OPTIMIZED
            .iter()
            .any(|(known, actions)| *known == service && actions.contains(&name)),
    };
    known.then(|| {
        let family = TaskFamily::Integration {
            resource_type: Arc::from(resource_type),
            resource: Arc::from(resource),
        };
        (family, pattern)
    })
}

fn debian_pattern(resource: &str) -> Pattern {
    if resource.ends_with(".sync") {
        Pattern::Sync
    } else if resource.ends_with(".sync:2") {
        Pattern::Sync2
    } else if resource.ends_with(".waitForTaskToken") {
        Pattern::WaitForTaskToken
    } else {
        Pattern::RequestResponse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            None => "not recognized".to_owned(),
            Some(resource) => match resource.family {
                TaskFamily::Activity => "activity".to_owned(),
                TaskFamily::Lambda => "lambda".to_owned(),
                TaskFamily::Integration {
                    resource_type,
                    resource: action,
                } => format!("{resource_type} {action} {:?}", resource.pattern),
            },
        }
    }

    #[test]
    fn resources_are_recognized_by_their_form() {
        for (text, expected) in [
            ("arn:aws:lambda:us-east-1:123456789012:function:f:1", "lambda"),
            ("arn:aws-cn:states:::sqs:sendMessage", "sqs sendMessage RequestResponse"),
            ("arn:aws:states:us-east-1:123456789012:activity:a", "activity"),
            (
                "arn:aws:states:::states:startExecution.sync:2",
                "states startExecution.sync:2 Sync2",
            ),
            (
                "arn:aws:states:::states:startExecution.sync",
                "states startExecution.sync Sync",
            ),
            (
                "arn:aws:states:::aws-sdk:s3:getObject.waitForTaskToken",
                "aws-sdk:s3 getObject.waitForTaskToken WaitForTaskToken",
            ),
            ("arn:aws:states:::debian:shell.run", "debian shell.run RequestResponse"),
            ("arn:aws:states:::dynamodb:query", "not recognized"),
            ("arn:aws:states:::sqs:sendMessage.later", "not recognized"),
            ("arn:aws:lambda:us-east-1:123456789012:layer:f", "not recognized"),
            ("hello", "not recognized"),
            ("", "not recognized"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
