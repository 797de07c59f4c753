"""The worker runs in the function's own interpreter, whichever that is, and keeps apart from the handler."""

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from powertune.sources import worker

FILE = Path(worker.__file__)
HANDLER = """
import logging, os, sys

def tells(event, context):
    print("printed")
    logging.getLogger("orders").warning("logged")
    logging.basicConfig(level="DEBUG")
    return {"event": event}

def path(event, context):
    raise ValueError("|".join(sys.path))
"""
OLDEST, NEWEST = 9, 15
VERSIONS = [f"3.{minor}" for minor in range(OLDEST, NEWEST + 1)]


def interpreter(version: str) -> str | None:
    """Return an interpreter of that version, where there is one."""
    root = os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv"
    found = sorted(Path(root, "versions").glob(f"{version}.*/bin/python{version}"))
    return str(found[0]) if found else shutil.which(f"python{version}")


class Talk:
    """A worker, and our end of its line."""

    def __init__(self, python: str, folder: Path) -> None:
        self._here, there = socket.socketpair()
        self._here.settimeout(60)
        with there:
            self.process = subprocess.Popen(
                [python, str(FILE), str(there.fileno())],
                pass_fds=[there.fileno()],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.greeting = self.hear()

    def hear(self) -> dict[str, Any]:
        head = self._here.recv(4, socket.MSG_WAITALL)
        message: dict[str, Any] = json.loads(self._here.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
        return message

    def ask(self, message: object) -> dict[str, Any]:
        body = json.dumps(message).encode()
        self._here.sendall(len(body).to_bytes(4, "big") + body)
        return self.hear()

    def init(self, function: str, folder: Path, layers: tuple[str, ...] = ()) -> dict[str, Any]:
        context = {"function_name": "f", "memory_limit_in_mb": "128", "region": "r", "log_stream_name": "s"}
        order = {"module": "handler", "function": function, "folder": str(folder), "layers": layers, "path": None}
        return self.ask({"init": {**order, "context": context}})

    def call(self, payload: str = "{}") -> dict[str, Any]:
        return self.ask({"call": {"payload": payload, "timeout_s": 3, "request_id": "the-request"}})

    def close(self) -> str:
        """End the line and return what the handler printed."""
        self._here.close()
        return self.process.communicate(timeout=60)[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "handler.py").write_text(HANDLER, encoding="utf-8")
    return tmp_path


def test_the_worker_is_written_in_the_oldest_python_that_it_runs_on() -> None:
    ast.parse(FILE.read_text(encoding="utf-8"), feature_version=(3, OLDEST))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_handler_runs_in_every_python_that_lambda_has_or_had(folder: Path, version: str) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    talk = Talk(python, folder)
    assert talk.greeting["python"].startswith(version)
    assert talk.init("tells", folder)["problem"] is None
    for _ in range(2):
        answer = talk.call('{"id": 1}')
        assert answer["status"] == "ok"
        assert dict(zip(worker.Clocks.FIELDS, answer["after"], strict=True))["wall_ms"] > answer["before"][0]
    printed = talk.close()
    assert talk.process.returncode == 0
    assert printed.count("printed") == 2


def test_the_root_logger_is_set_up_as_on_lambda(folder: Path) -> None:
    talk = Talk(sys.executable, folder)
    talk.init("tells", folder)
    talk.call()
    level, when, request_id, message = talk.close().splitlines()[1].split("\t")
    assert (level, request_id, message) == ("[WARNING]", "the-request", "logged")
    assert len(when) == len("2026-11-26T12:00:00.000Z")


def test_modules_are_looked_for_in_the_task_root_and_then_in_layers_the_last_one_first(folder: Path) -> None:
    talk = Talk(sys.executable, folder)
    talk.init("path", folder, ("/one", "/two"))
    _, message, file, _ = talk.call()["failure"]
    talk.close()
    inside = f"python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    expected = [str(folder), f"/two/{inside}", "/two/python", f"/one/{inside}", "/one/python"]
    assert message.split("|")[: len(expected)] == expected
    assert str(FILE.parent) not in message.split("|")
    assert file == "handler.py"


def test_a_message_of_six_megabytes_gets_through(folder: Path) -> None:
    talk = Talk(sys.executable, folder)
    talk.init("tells", folder)
    assert talk.call(json.dumps("x" * 6_000_000))["status"] == "ok"
    talk.close()
