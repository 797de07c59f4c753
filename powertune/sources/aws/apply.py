"""Sets the chosen memory on the live function, and points an alias at it: only when asked to, after measuring."""

from dataclasses import dataclass

from botocore.exceptions import ClientError

from powertune.errors import AwsError
from powertune.sources.aws.changes import Changes
from powertune.sources.aws.clients import Aws, NotFoundError, error_code, told
from powertune.sources.aws.journal import new_run_id
from powertune.sources.aws.target import LATEST, Target, differences, settled_configuration


@dataclass(frozen=True, slots=True)
class Applied:
    """What was set."""

    memory_mb: int
    version: str | None = None
    """Number of the version that the alias points at now."""


def check_alias(aws: Aws, target: Target, alias: str) -> bool:
    """Return whether the alias exists already. Raises AwsError for one that this could not safely move."""
    try:
        with told(f"reading the alias {alias}"):
            found = aws.control.get_alias(FunctionName=target.arn, Name=alias)
    except NotFoundError:
        return False
    if (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights"):
        raise AwsError(
            f"the alias {alias} shares its traffic between two versions: a deployment is under way",
            hint="let it end, then apply the memory size",
        )
    version = str(found["FunctionVersion"])
    if version != LATEST:
        with told(f"reading version {version}"):
            config = aws.control.get_function_configuration(FunctionName=target.arn, Qualifier=version)
        different = [name for name in differences(config, target.config) if name != "Description"]
        if different:
            raise AwsError(
                f"the alias {alias} runs other code or configuration than $LATEST ({', '.join(different)} differ):"
                " pointing it at a new version would deploy that",
                hint="deploy first, or apply without --alias",
            )
    return True


def apply_memory(aws: Aws, target: Target, memory_mb: int, *, alias: str | None = None) -> Applied:
    """Give `$LATEST` that memory size, and with `alias` publish it and point the alias at the new version.

    Raises DeployedMeanwhileError where somebody else has changed the function since it was read, PowertuneError.
    """
    exists = check_alias(aws, target, alias) if alias else False
    changes = Changes.of(target, aws, run_id=new_run_id(), sizes_mb=[memory_mb], poll_s=0.25)
    changes.set_memory(memory_mb)
    if alias is None:
        return Applied(memory_mb)
    config = settled_configuration(aws, target.arn)
    with told("publishing a version of the function"):
        version = str(
            aws.control.publish_version(
                FunctionName=target.arn,
                Description=str(config.get("Description") or ""),
                RevisionId=config["RevisionId"],
            )["Version"]
        )
    settled_configuration(aws, target.arn, qualifier=version)
    with told(f"pointing the alias {alias} at version {version}"):
        try:
            call = aws.control.update_alias if exists else aws.control.create_alias
            call(FunctionName=target.arn, Name=alias, FunctionVersion=version)
        except ClientError as error:
            if error_code(error) != "ResourceConflictException":
                raise
            aws.control.update_alias(FunctionName=target.arn, Name=alias, FunctionVersion=version)
    return Applied(memory_mb, version)
