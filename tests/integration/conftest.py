"""The two doubles of AWS: one that behaves like Lambda where it is hard, and one that really runs handlers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from believable_lambda import ACCOUNT, BelievableLambda
from ministack_server import Ministack

from powertune import progress


@pytest.fixture(autouse=True)
def _progress_keeps_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed must not depend on how long a busy machine takes."""
    monkeypatch.setattr(progress, "_QUIET_FOR_S", 3600.0)


@pytest.fixture(scope="session")
def believable_lambda_server() -> Iterator[BelievableLambda]:
    with BelievableLambda() as server:
        yield server


@pytest.fixture
def believable(
    believable_lambda_server: BelievableLambda, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> BelievableLambda:
    """An empty account with default behaviour, which AWS SDKs and the command line talk to."""
    believable_lambda_server.reset()
    _talk_to(believable_lambda_server.endpoint_url, monkeypatch, tmp_path)
    return believable_lambda_server


@pytest.fixture(scope="session")
def ministack() -> Iterator[Ministack]:
    with Ministack() as server:
        yield server


@pytest.fixture
def on_ministack(ministack: Ministack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ministack:
    """An account that all tests share, which AWS SDKs and the command line talk to: use a function name of your own."""
    _talk_to(ministack.endpoint_url, monkeypatch, tmp_path)
    return ministack


def _talk_to(endpoint_url: str, monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCOUNT,  # ministack takes twelve digits for the account
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(nowhere / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(nowhere / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
