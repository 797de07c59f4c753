"""What holds for every test: no network beyond this machine, no settings from the environment."""

import compileall
import os
import socket
from pathlib import Path
from typing import Any

import pytest

import powertune

_LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and not str(address[0]).startswith(_LOOPBACK):
            raise AssertionError(f"a test tried to reach {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in [name for name in os.environ if name.startswith("POWERTUNE_")]:
        monkeypatch.delenv(name)
    # Prices that somebody refreshed on this machine are none of the tests'.
    monkeypatch.setenv("POWERTUNE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "no-refreshed-prices"))
    # Nor are settings.
    monkeypatch.setenv("POWERTUNE_CONFIG_DIR", str(tmp_path_factory.getbasetemp() / "no-settings"))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)


def pytest_configure(config: pytest.Config) -> None:
    # As an installer does it: hundreds of processes start powertune, and not each is to compile it.
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(Path(powertune.__file__).parent, quiet=2)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew; look at the diff")
    parser.addoption("--every-call", action="store_true", help="crash runs at every call to AWS, not at every eighth")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
