"""Connections to AWS, and what their errors mean to a person."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's base of all that can happen to a connection
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

from powertune.errors import AwsError, PowertuneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTROL = botocore.config.Config(
    # Lambda's control plane allows 15 requests a second over all callers of an account, so throttling is nothing odd.
    retries={"mode": "standard", "total_max_attempts": 8},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=10,
)
_READ_MARGIN_S = 60
"""Beyond the function's timeout: for a cold start, which it does not count, and for the answer to arrive."""

_CREDENTIAL_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_THROTTLE_CODES = frozenset(
    {
        "LimitExceededException",  # of Logs Insights, where too many queries run at once
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


class CredentialsError(AwsError):
    """The credentials are missing, wrong or expired."""


class DeniedError(AwsError):
    """The credentials are good, but do not allow what was asked."""


class NotFoundError(AwsError):
    """What was named does not exist."""


class Aws:
    """Clients of one region, made when they are first used. Safe to share between threads."""

    def __init__(self, region: str | None = None, *, profile: str | None = None) -> None:
        """Take `region`, else what the environment and the AWS configuration name. Raises PowertuneError."""
        self.profile = profile
        self._lock = threading.RLock()
        try:
            self._session = boto3.session.Session(region_name=region, profile_name=profile)
        except ProfileNotFound as error:
            raise UsageError(str(error), hint="name a profile of your AWS configuration") from None
        found = region or self._session.region_name
        if not found:
            raise UsageError("no AWS region is set", hint="give --region, the function's ARN, or set AWS_REGION")
        self.region: str = found
        self._invoking: dict[tuple[int, int], Any] = {}

    @cached_property
    def control(self) -> Any:
        """Lambda client for all but invocations: repeats what AWS throttles or drops."""
        return self._client("lambda", _CONTROL)

    @cached_property
    def logs(self) -> Any:
        """CloudWatch Logs client."""
        return self._client("logs", _CONTROL)

    @cached_property
    def log_queries(self) -> Any:
        """CloudWatch Logs client for Insights queries: repeats nothing, as who waits for queries sets the pace."""
        once = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 1})
        return self._client("logs", _CONTROL.merge(once))

    @cached_property
    def pricing(self) -> Any:
        """Price List client; few regions have an endpoint. It gives up early, as the same is in public files."""
        early = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 3}, read_timeout=30)
        return self._client("pricing", _CONTROL.merge(early))

    @property
    def has_credentials(self) -> bool:
        """Whether there are credentials, good or not. Raises PowertuneError where looking for them fails."""
        with told("looking for credentials"):
            return self._session.get_credentials() is not None

    @cached_property
    def stacks(self) -> Any:
        """CloudFormation client, to ask what it called a function."""
        return self._client("cloudformation", _CONTROL)

    @cached_property
    def s3(self) -> Any:
        """S3 client."""
        return self._client("s3", _CONTROL)

    @cached_property
    def sts(self) -> Any:
        """STS client, to ask who we are."""
        return self._client("sts", _CONTROL)

    def invoking(self, timeout_s: int, connections: int) -> Any:
        """Return a Lambda client for invocations of a function with that timeout.

        It never repeats a request: one that seems lost may have run. It outlives the function, and keeps connections
        alive that see no byte for minutes, which NAT gateways otherwise drop after 350 s.
        """
        key = (timeout_s, connections)
        with self._lock:
            if key not in self._invoking:
                config = botocore.config.Config(
                    retries={"mode": "standard", "total_max_attempts": 1},
                    connect_timeout=10,
                    read_timeout=timeout_s + _READ_MARGIN_S,
                    tcp_keepalive=True,
                    max_pool_connections=connections,
                )
                self._invoking[key] = self._client("lambda", config)
            return self._invoking[key]

    def renewed(self) -> "Aws":
        """Return clients with credentials read anew, for when those in use have expired."""
        return Aws(self.region, profile=self.profile)

    def _client(self, service: str, config: botocore.config.Config) -> Any:
        with self._lock, told(f"connecting to {service}"):  # boto3 sessions may not make two clients at once
            return self._session.client(service, region_name=self.region, config=config)


def error_code(error: ClientError) -> str:
    """Return the code of an AWS error, such as `TooManyRequestsException`."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def error_message(error: ClientError) -> str:
    """Return what AWS says of an error."""
    response: Mapping[str, Any] = error.response
    return str(response.get("Error", {}).get("Message") or response.get("message") or response.get("Message") or "")


def is_busy(error: ClientError) -> bool:
    """Tell whether AWS would have done what it was asked for, had fewer asked."""
    return error_code(error) in _THROTTLE_CODES


def is_unreachable(error: Exception) -> bool:
    """Tell whether an error came from the connection and not from AWS."""
    return isinstance(error, HTTPClientError | ConnectionError)


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turn errors of boto3 into powertune's, with `doing` ("reading the function") to say what failed."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise explained(error, doing) from error


def explained(error: ClientError | BotoCoreError, doing: str) -> PowertuneError:
    """Return what an error of boto3 means and how to go on."""
    if isinstance(error, ClientError):
        return _explained_answer(error, doing)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return CredentialsError(
            f"{doing} needs AWS credentials, and there are none",
            hint="run aws configure or aws sso login, or set AWS_PROFILE",
        )
    if isinstance(error, TokenRetrievalError | CredentialRetrievalError):
        return CredentialsError(f"{doing}: {error}", hint="log in again, as with aws sso login")
    if isinstance(error, NoRegionError):
        return UsageError("no AWS region is set", hint="give --region, or set AWS_REGION")
    if is_unreachable(error):
        return AwsError(
            f"{doing}: AWS could not be reached: {error}",
            hint="check the network, the proxy and --region; AWS_ENDPOINT_URL if it is set",
        )
    return AwsError(f"{doing}: {error}", hint="run again with --debug to see more")


def _explained_answer(error: ClientError, doing: str) -> PowertuneError:
    code, message = error_code(error), error_message(error)
    if code in _CREDENTIAL_CODES:
        return CredentialsError(
            f"{doing}: AWS does not accept these credentials: {message or code}",
            hint="renew them, as with aws sso login, and check the clock of this machine",
        )
    if code in _DENIED_CODES:
        return DeniedError(
            f"{doing} is not allowed: {message or code}",
            hint="powertune policy FUNCTION prints the permissions that tuning needs",
        )
    if code == "ResourceNotFoundException":
        return NotFoundError(f"{doing}: {message or 'it does not exist'}", hint="check its name, --region and account")
    if code in _THROTTLE_CODES:
        return AwsError(
            f"{doing}: AWS throttled it, repeatedly: {message or code}",
            hint="others use the same account's API quota: wait a minute and run it again",
        )
    return AwsError(f"{doing}: {code}: {message}", hint="run again with --debug to see more")
