"""What a handler finds around it on Lambda: the context object and the environment variables."""

import os
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

_ACCOUNT = "123456789012"


@dataclass(slots=True)
class LambdaContext:
    """The second argument of a handler, as the Python runtime gives it (AWS Lambda developer guide, "context")."""

    function_name: str
    memory_limit_in_mb: str
    """Text, as in the Python runtime, which passes the environment variable on."""
    timeout_s: float
    region: str = "us-east-1"
    function_version: str = "$LATEST"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    log_stream_name: str = ""
    identity: object = None
    client_context: object = None
    tenant_id: str | None = None
    _began: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        """ARN of the function, in an example account."""
        return f"arn:aws:lambda:{self.region}:{_ACCOUNT}:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        """Log group of the function."""
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left before the function's timeout."""
        return max(0, int((self.timeout_s - (time.monotonic() - self._began)) * 1000))

    def log(self, message: object) -> None:
        """Write to the function's log, as the runtime's own method does."""
        sys.stdout.write(str(message))


def log_stream_name() -> str:
    """Return a log stream name of today in Lambda's form."""
    return f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"


def lambda_environment(
    function_name: str, handler: str, memory_mb: int, log_stream: str, region: str | None
) -> dict[str, str]:
    """Return the environment variables that Lambda sets and handlers read."""
    place = {"AWS_DEFAULT_REGION": region, "AWS_REGION": region} if region else {}
    return {
        **place,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function_name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "LAMBDA_TASK_ROOT": os.getcwd(),  # noqa: PTH109 - an environment variable is text
        "_HANDLER": handler,
    }
