"""Functions of CloudFormation stacks: most templates leave it to CloudFormation what a function is called."""

from powertune.errors import UsageError
from powertune.sources.aws.clients import Aws, told

FUNCTION_TYPE = "AWS::Lambda::Function"


def name_in_stack(aws: Aws, stack: str, logical_id: str) -> str:
    """Return what AWS calls the function that a template calls `logical_id`, in a deployed stack.

    Needs `cloudformation:DescribeStackResource`. Raises PowertuneError.
    """
    with told(f"reading {logical_id} of the stack {stack}"):
        found = aws.stacks.describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
    detail = found["StackResourceDetail"]
    if detail["ResourceType"] != FUNCTION_TYPE:
        raise UsageError(
            f"{logical_id} of the stack {stack} is of type {detail['ResourceType']}", hint="name a function of it"
        )
    return str(detail["PhysicalResourceId"])
