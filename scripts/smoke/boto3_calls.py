"""Calls a running server as the deploy tools of Terraform, SAM and CDK do, through boto3."""

import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/r"
PASS = json.dumps({"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": 1, "End": True}}})
WAIT = json.dumps({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 0, "End": True}}})


def refused(name, call, **request):
    try:
        call(**request)
    except ClientError as error:
        assert error.response["Error"]["Code"] == name, error
        return
    raise AssertionError(f"{name} was expected")


def terraform(sfn):
    """aws_sfn_state_machine with publish = true, aws_sfn_alias, then destroy."""
    sfn.validate_state_machine_definition(definition=PASS, type="STANDARD")
    made = sfn.create_state_machine(
        name="terraform",
        definition=PASS,
        roleArn=ROLE,
        type="STANDARD",
        publish=True,
        loggingConfiguration={"level": "OFF", "includeExecutionData": False},
        tracingConfiguration={"enabled": False},
        tags=[{"key": "managed-by", "value": "terraform"}],
    )
    arn = made["stateMachineArn"]
    assert made["stateMachineVersionArn"] == arn + ":1", made
    described = sfn.describe_state_machine(stateMachineArn=arn)
    assert described["status"] == "ACTIVE" and json.loads(described["definition"]) == json.loads(PASS), described
    assert sfn.list_tags_for_resource(resourceArn=arn)["tags"][0]["value"] == "terraform"
    sfn.tag_resource(resourceArn=arn, tags=[{"key": "stage", "value": "prod"}])
    sfn.untag_resource(resourceArn=arn, tagKeys=["managed-by"])
    assert sfn.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "stage", "value": "prod"}]
    updated = sfn.update_state_machine(stateMachineArn=arn, definition=WAIT, roleArn=ROLE, publish=True)
    assert updated["stateMachineVersionArn"] == arn + ":2", updated
    versions = sfn.list_state_machine_versions(stateMachineArn=arn)["stateMachineVersions"]
    assert [version["stateMachineVersionArn"] for version in versions] == [arn + ":2", arn + ":1"], versions
    routes = [{"stateMachineVersionArn": arn + ":1", "weight": 100}]
    alias = sfn.create_state_machine_alias(name="live", routingConfiguration=routes)["stateMachineAliasArn"]
    assert sfn.describe_state_machine_alias(stateMachineAliasArn=alias)["routingConfiguration"] == routes
    routes = [{"stateMachineVersionArn": arn + ":2", "weight": 100}]
    sfn.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=routes)
    execution = sfn.start_execution(stateMachineArn=alias, name="e")["executionArn"]
    while (described := sfn.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(0.05)
    assert described["status"] == "SUCCEEDED" and described["stateMachineVersionArn"] == arn + ":2", described
    sfn.delete_state_machine_alias(stateMachineAliasArn=alias)
    sfn.delete_state_machine_version(stateMachineVersionArn=arn + ":1")
    gone(sfn, arn)


def cloudformation(sfn):
    """AWS::Serverless::StateMachine of SAM, StateMachine of CDK: create, read, update, tags, delete."""
    arn = sfn.create_state_machine(name="sam", definition=PASS, roleArn=ROLE, type="EXPRESS")["stateMachineArn"]
    sfn.describe_state_machine(stateMachineArn=arn)
    sfn.list_tags_for_resource(resourceArn=arn)
    sfn.update_state_machine(stateMachineArn=arn, definition=WAIT, roleArn=ROLE)
    version = sfn.publish_state_machine_version(stateMachineArn=arn)["stateMachineVersionArn"]
    assert version == arn + ":1", version
    activity = sfn.create_activity(name="work")["activityArn"]
    sfn.describe_activity(activityArn=activity)
    sfn.delete_activity(activityArn=activity)
    gone(sfn, arn)


def gone(sfn, arn):
    """Deletes a machine and describes it until it is gone, as the tools do."""
    sfn.delete_state_machine(stateMachineArn=arn)
    while True:
        try:
            assert sfn.describe_state_machine(stateMachineArn=arn)["status"] == "DELETING"
        except ClientError:
            break
        time.sleep(0.05)
    refused("StateMachineDoesNotExist", sfn.describe_state_machine, stateMachineArn=arn)


def sync_hosts(sfn):
    """The two operations with the host prefix `sync-`."""
    arn = sfn.create_state_machine(name="sync", definition=PASS, roleArn=ROLE, type="EXPRESS")["stateMachineArn"]
    assert sfn.start_sync_execution(stateMachineArn=arn)["output"] == "1"
    state = json.dumps({"Type": "Pass", "Result": 2, "End": True})
    assert sfn.test_state(definition=state, roleArn=ROLE)["output"] == "2"


def main():
    common = {"endpoint_url": sys.argv[1], "region_name": "us-east-1"}
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    sfn = boto3.client("stepfunctions", **common, **keys)
    terraform(sfn)
    cloudformation(sfn)
    plain = Config(inject_host_prefix=False)
    sync_hosts(boto3.client("stepfunctions", config=plain, **common, **keys))
    print("boto3: ok", file=sys.stderr)


main()
