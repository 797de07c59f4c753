"""The function on AWS as it stands: read before anything is changed, and refused where it cannot be tuned."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from powertune.aws_lambda.function_name import FunctionName, parse_function
from powertune.aws_lambda.pricing import FREE_STORAGE_MB
from powertune.errors import AwsError, UsageError
from powertune.model.function_facts import FunctionFacts
from powertune.model.run_warning import RunWarning
from powertune.sources.aws.clients import Aws, DeniedError, NotFoundError, told

LATEST = "$LATEST"

# What a deploy may change, and what the runs would then no longer be comparable over. Left out are the memory size,
# which powertune itself changes, and all that Lambda changes by itself (states, revision, time, runtime patch level).
DEPLOYED_FIELDS = (
    "CodeSha256", "PackageType", "Runtime", "Handler", "Role", "Timeout", "Description", "Environment", "Layers",
    "VpcConfig", "DeadLetterConfig", "KMSKeyArn", "TracingConfig", "FileSystemConfigs", "ImageConfigResponse",
    "Architectures", "EphemeralStorage", "SnapStart", "LoggingConfig", "TenancyConfig",
)  # fmt: skip
_HIDING_LOG_LEVELS = ("WARN",)
"""System log levels at which Lambda writes no platform.report for a success (AWS table, read 2026-11-23)."""
_LONGEST_SETTLING_S = 1560


@dataclass(frozen=True, slots=True)
class Target:
    """What is tuned: `$LATEST` of one function, found to hold the code that was asked for."""

    name: str
    arn: str
    """Without a qualifier."""
    region: str
    qualifier: str | None
    """The version or alias that was asked for, if any."""
    config: Mapping[str, Any]
    """Configuration of `$LATEST`, as GetFunctionConfiguration gave it."""
    current_memory_mb: int
    """Memory size of the version or alias that was asked for, else of `$LATEST`: what is compared with."""
    tenant_id: str | None = None
    reserved_concurrency: int | None = None
    warnings: tuple[RunWarning, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def memory_mb(self) -> int:
        """Memory size of `$LATEST`."""
        return int(self.config["MemorySize"])

    @property
    def timeout_s(self) -> int:
        """Timeout of the function."""
        return int(self.config.get("Timeout", 3))

    @property
    def architecture(self) -> str:
        """`x86_64` or `arm64`."""
        return str((self.config.get("Architectures") or ["x86_64"])[0])

    @property
    def code_sha256(self) -> str:
        """Hash of the code."""
        return str(self.config.get("CodeSha256", ""))

    @property
    def ephemeral_storage_mb(self) -> int:
        """Size of /tmp."""
        return int((self.config.get("EphemeralStorage") or {}).get("Size", FREE_STORAGE_MB))

    @property
    def log_group(self) -> str:
        """CloudWatch log group of the function."""
        return str((self.config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{self.name}")

    @property
    def logs_json(self) -> bool:
        """Whether Lambda's own records in it are JSON."""
        return (self.config.get("LoggingConfig") or {}).get("LogFormat") == "JSON"

    @property
    def facts(self) -> FunctionFacts:
        """What the run file says of the function."""
        runtime = self.config.get("Runtime") or (
            "container image" if self.config.get("PackageType") == "Image" else None
        )
        return FunctionFacts(
            self.name,
            runtime,
            self.architecture,
            self.region,
            self.current_memory_mb,
            self.ephemeral_storage_mb,
            self.timeout_s,
        )


def connect(spec: str, *, region: str | None = None, profile: str | None = None) -> tuple[Aws, FunctionName]:
    """Return clients for the region of a function named by `spec`, and its name in parts. Raises PowertuneError."""
    named = parse_function(spec)
    if region and named.region and region != named.region:
        raise UsageError(f"the ARN names {named.region}, --region {region}", hint="leave one of them out")
    return Aws(region or named.region, profile=profile), named


def reference_to(named: FunctionName) -> str:
    """Return what to call a function in requests: its ARN, or as much of that as was named; without a qualifier."""
    if named.account and named.region:
        return named.arn_pattern
    return f"{named.account}:function:{named.name}" if named.account else named.name


def inspect(
    aws: Aws,
    named: FunctionName,
    *,
    qualifier: str | None = None,
    tune_latest: bool = False,
    tenant_id: str | None = None,
) -> Target:
    """Read everything about the function that decides whether and how it can be tuned; change nothing.

    `tune_latest` accepts that `$LATEST` holds other code than the version or alias that was asked for. Raises
    PowertuneError for a function that does not exist, is disabled, is not billed by duration, or hides what it took.
    """
    if qualifier and named.qualifier and qualifier != named.qualifier:
        raise UsageError(
            f"the function is named with {named.qualifier} and --qualifier {qualifier}", hint="leave one of them out"
        )
    asked = qualifier or named.qualifier
    asked = None if asked == LATEST else asked
    reference = reference_to(named)
    config = settled_configuration(aws, reference)
    _refuse_untunable(config, tenant_id)
    warnings = list(_warnings(config))
    current_memory_mb = int(config["MemorySize"])
    if asked:
        with told(f"reading {asked} of the function"):
            version = aws.control.get_function_configuration(FunctionName=reference, Qualifier=asked)
        current_memory_mb = int(version["MemorySize"])
        different = [name for name in differences(version, config) if name != "Description"]  # a version has its own
        if different and not tune_latest:
            raise AwsError(
                f"{asked} of {named.name} is not what $LATEST holds: {', '.join(different)} differ",
                hint="deploy that code to $LATEST first, or tune $LATEST as it is with --latest",
            )
        if different:
            warnings.append(
                RunWarning(
                    "other-code",
                    f"$LATEST was tuned, which differs from {asked} in {', '.join(different)}",
                    f"leave out --latest to have {asked} itself tuned, once $LATEST holds its code",
                )
            )
    details: dict[str, object] = {"qualifier": asked, "code_sha256": config.get("CodeSha256")}
    reserved = _reserved_concurrency(aws, reference)
    if reserved == 0:
        raise AwsError(
            f"{named.name} is disabled: its reserved concurrency is 0",
            hint="give it concurrency first: aws lambda delete-function-concurrency --function-name " + named.name,
        )
    if _has_provisioned_concurrency(aws, reference):
        warnings.append(
            RunWarning(
                "provisioned-concurrency",
                "the function has provisioned concurrency, whose durations have a price of their own; on-demand prices"
                " are shown",
                "compare sizes by these figures, and read the bill of provisioned capacity apart",
            )
        )
    return Target(
        name=named.name,
        arn=str(config["FunctionArn"]).removesuffix(":" + LATEST),
        region=aws.region,
        qualifier=asked,
        config=config,
        current_memory_mb=current_memory_mb,
        tenant_id=tenant_id,
        reserved_concurrency=reserved,
        warnings=tuple(warnings),
        details=details,
    )


def settled_configuration(
    aws: Aws, reference: str, *, qualifier: str | None = None, poll_s: float = 0.25
) -> dict[str, Any]:
    """Return the configuration of `$LATEST` (or of a version) once no update is in progress. Raises PowertuneError."""
    chosen = {"Qualifier": qualifier} if qualifier else {}
    began = time.monotonic()
    while True:
        with told("reading the function"):
            config: dict[str, Any] = aws.control.get_function_configuration(FunctionName=reference, **chosen)
        waited_s = time.monotonic() - began
        if config.get("LastUpdateStatus") != "InProgress" and config.get("State") != "Pending":
            return config
        if waited_s > _LONGEST_SETTLING_S:
            raise AwsError(
                f"an update of {config.get('FunctionName')} has been in progress for {waited_s:.0f} s",
                hint="wait until it is over and run it again",
            )
        # Often at first, as most updates take a second or two; seldom later, to leave others their share of requests.
        time.sleep(min(max(poll_s, waited_s / 10), 4 * poll_s))


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the names of what differs between two configurations, as far as a deploy decides it."""
    return [name for name in DEPLOYED_FIELDS if plain(one.get(name)) != plain(other.get(name))]


def plain(value: object) -> object:
    """Return a field of a configuration without what is empty or computed by Lambda: absent and empty are the same."""
    if isinstance(value, Mapping):
        kept = {
            # The names of environment variables are the user's own.
            key: (item or None) if key == "Variables" else plain(item)
            for key, item in value.items()
            if key not in ("CodeSize", "VpcId", "OptimizationStatus")
        }
        return {key: item for key, item in kept.items() if item is not None} or None
    if isinstance(value, list):
        return [plain(item) for item in value] or None
    return value if value not in ("", False) else None


def _refuse_untunable(config: Mapping[str, Any], tenant_id: str | None) -> None:
    name = config.get("FunctionName")
    if config.get("CapacityProviderConfig"):
        raise AwsError(
            f"{name} runs on Lambda Managed Instances, which are billed by the instance and not by duration",
            hint="choose its instances and their memory by utilisation; there is nothing to tune per invocation",
        )
    if config.get("MasterArn"):
        raise AwsError(f"{name} is a replica of a Lambda@Edge function", hint="tune the original in us-east-1")
    if (config.get("TenancyConfig") or {}).get("TenantIsolationMode") == "PER_TENANT" and not tenant_id:
        raise AwsError(
            f"{name} isolates tenants, and an invocation has to name one", hint="name a test tenant with --tenant-id"
        )
    state = config.get("State", "Active")
    if state in ("Failed", "Deactivating", "Deactivated", "ActiveNonInvocable", "Deleting"):
        raise AwsError(
            f"{name} is in state {state}: {config.get('StateReason') or 'AWS gives no reason'}",
            hint="it has to be Active: mend it or deploy it anew",
        )
    if config.get("LastUpdateStatus") == "Failed":
        raise AwsError(
            f"the last update of {name} failed: {config.get('LastUpdateStatusReason') or 'AWS gives no reason'}",
            hint="deploy it again first",
        )
    logging = config.get("LoggingConfig") or {}
    if logging.get("LogFormat") == "JSON" and logging.get("SystemLogLevel") in _HIDING_LOG_LEVELS:
        raise AwsError(
            f"{name} logs in JSON at system log level {logging['SystemLogLevel']}, which hides the durations of"
            " successful runs",
            hint="set its SystemLogLevel to INFO: aws lambda update-function-configuration --function-name"
            f" {name} --logging-config LogFormat=JSON,SystemLogLevel=INFO",
        )


def _warnings(config: Mapping[str, Any]) -> Iterator[RunWarning]:
    if (config.get("SnapStart") or {}).get("ApplyOn") == "PublishedVersions":
        java = str(config.get("Runtime", "")).startswith("java")
        yield RunWarning(
            "snapstart",
            "SnapStart makes each published size take minutes to become ready"
            + ("" if java else ", and its snapshot is billed for at least three hours, beyond the costs shown"),
            "name few sizes with --memory",
        )
    if config.get("DurableConfig"):
        yield RunWarning(
            "durable-function",
            "a durable function bills its operations and replays apart from the durations measured here",
            "count those on top",
        )


def _reserved_concurrency(aws: Aws, reference: str) -> int | None:
    with suppress(DeniedError, NotFoundError), told("reading the reserved concurrency"):
        found = aws.control.get_function_concurrency(FunctionName=reference).get("ReservedConcurrentExecutions")
        return None if found is None else int(found)
    return None  # not allowed to know: the runs themselves will tell


def _has_provisioned_concurrency(aws: Aws, reference: str) -> bool:
    with suppress(AwsError), told("reading the provisioned concurrency"):
        return bool(
            aws.control.list_provisioned_concurrency_configs(FunctionName=reference).get(
                "ProvisionedConcurrencyConfigs"
            )
        )
    return False  # only a warning rests on it
