"""Connections to AWS: invocations are never repeated by themselves, and errors say how to go on."""

from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    TokenRetrievalError,
)

from powertune.errors import AwsError, ExitCode, PowertuneError, UsageError
from powertune.sources.aws.clients import (
    Aws,
    CredentialsError,
    DeniedError,
    NotFoundError,
    explained,
    is_unreachable,
    told,
)


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL", "AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def error(code: str, message: str = "AWS says so") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetFunction")


def test_an_invocation_is_never_repeated_and_outlives_its_function() -> None:
    config = Aws("eu-central-1").invoking(900, 24).meta.config
    assert config.retries["total_max_attempts"] == 1
    assert config.read_timeout >= 900 + 60
    assert config.connect_timeout == 10
    assert config.tcp_keepalive is True
    assert config.max_pool_connections == 24


def test_not_even_settings_of_the_user_make_an_invocation_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
    assert Aws("eu-central-1").invoking(3, 1).meta.config.retries["total_max_attempts"] == 1


def test_what_only_reads_or_names_its_revision_is_repeated() -> None:
    assert Aws("eu-central-1").control.meta.config.retries["total_max_attempts"] > 3


def test_clients_are_made_once_for_each_use() -> None:
    aws = Aws("eu-central-1")
    assert aws.invoking(3, 8) is aws.invoking(3, 8)
    assert aws.invoking(3, 8) is not aws.invoking(4, 8)
    assert aws.control is aws.control
    assert aws.renewed().region == "eu-central-1"
    assert aws.renewed().control is not aws.control


def test_the_region_is_the_one_given_or_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no AWS region is set") as caught:
        Aws()
    assert "--region" in caught.value.hint
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert Aws().region == "us-west-2"
    assert Aws("eu-central-1").control.meta.region_name == "eu-central-1"


def test_a_profile_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="nobody") as caught:
        Aws("eu-central-1", profile="nobody")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("problem", "kind", "words"),
    [
        (error("ExpiredTokenException"), CredentialsError, "does not accept these credentials: AWS says so"),
        (error("UnrecognizedClientException"), CredentialsError, "credentials"),
        (error("InvalidSignatureException"), CredentialsError, "credentials"),
        (error("AccessDeniedException", "not authorized"), DeniedError, "is not allowed: not authorized"),
        (error("AccessDenied"), DeniedError, "is not allowed"),
        (error("ResourceNotFoundException", "Function not found"), NotFoundError, "Function not found"),
        (error("TooManyRequestsException"), AwsError, "throttled"),
        (error("ServiceException"), AwsError, "ServiceException: AWS says so"),
        (NoCredentialsError(), CredentialsError, "needs AWS credentials"),
        (PartialCredentialsError(provider="env", cred_var="x"), CredentialsError, "needs AWS credentials"),
        (TokenRetrievalError(provider="sso", error_msg="expired"), CredentialsError, "expired"),
        (CredentialRetrievalError(provider="process", error_msg="broken"), CredentialsError, "broken"),
        (NoRegionError(), UsageError, "no AWS region is set"),
        (EndpointConnectionError(endpoint_url="https://lambda"), AwsError, "could not be reached"),
        (ConnectTimeoutError(endpoint_url="https://lambda"), AwsError, "could not be reached"),
        (ReadTimeoutError(endpoint_url="https://lambda"), AwsError, "could not be reached"),
        (ParamValidationError(report="odd"), AwsError, "odd"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_errors_say_what_failed_and_how_to_go_on(
    problem: ClientError | BotoCoreError, kind: type[PowertuneError], words: str
) -> None:
    found = explained(problem, "reading the function")
    assert type(found) is kind
    assert words in found.message
    assert found.hint
    assert found.exit_code == (ExitCode.USAGE if kind is UsageError else ExitCode.AWS)


def test_errors_of_boto_become_powertunes_own_and_others_pass() -> None:
    def read(problem: Exception) -> None:
        with told("reading the function"):
            raise problem

    with pytest.raises(NotFoundError, match="reading the function"):
        read(error("ResourceNotFoundException"))
    with pytest.raises(ValueError, match="a bug"):
        read(ValueError("a bug"))


def test_an_error_of_aws_may_say_nothing_at_all() -> None:
    empty: Any = {}
    assert "Unknown" in explained(ClientError(empty, "GetFunction"), "reading the function").message


def test_only_trouble_with_connections_is_being_unreachable() -> None:
    assert is_unreachable(ReadTimeoutError(endpoint_url="https://lambda"))
    assert is_unreachable(EndpointConnectionError(endpoint_url="https://lambda"))
    assert not is_unreachable(error("ServiceException"))
    assert not is_unreachable(NoCredentialsError())
