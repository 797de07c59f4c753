"""The process that watches a handler, or keeps it: its end, and what is told where it does not work."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

from powertune.errors import FunctionFailedError
from powertune.sources.isolated import IsolatedHandler, Launch
from powertune.sources.watching import ProcessWatch

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are watched on Linux only")
LONGEST_S = 5.0  # far less than a watcher is waited for


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    (tmp_path / "answering.py").write_text("def handler(event, context): return event\n", encoding="utf-8")
    return Launch(
        handler="answering:handler",
        folder=str(tmp_path),
        environment=dict(os.environ),
        context={"function_name": "f", "memory_limit_in_mb": "128", "region": "us-east-1", "log_stream_name": "s"},
        memory_mb=512,
    )


@on_linux
def test_a_fork_of_the_handler_that_lives_on_does_not_keep_the_watcher() -> None:
    watch = ProcessWatch(os.getpid())
    watch.begin()
    child = os.fork()
    if not child:
        try:
            time.sleep(600)
        finally:
            os._exit(0)
    began = time.monotonic()
    try:
        assert watch.end().samples
        watch.close()
        assert time.monotonic() - began < LONGEST_S
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_worker_that_ends_before_it_has_read_its_order_is_a_failed_call(launch: Launch) -> None:
    with IsolatedHandler(launch) as handler:
        assert handler.call("{}", timeout_s=30).status == "ok"
        pid = handler._pid  # noqa: SLF001 - nobody else needs it
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
        killer.start()
        call = handler.call("{}", timeout_s=30)
        killer.join()
        assert call.status == "failed"
        assert call.error == "Runtime.ExitError: signal: killed"
        assert not handler.alive


def test_where_no_process_can_be_started_that_is_told_with_a_way_out(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    handler = IsolatedHandler(launch)
    with pytest.raises(FunctionFailedError, match="Resource temporarily unavailable") as raised, handler:
        pass
    assert raised.value.hint
    watch = ProcessWatch(os.getpid())  # does without
    watch.begin()
    assert not watch.end().samples


def test_a_watcher_that_ends_at_once_leaves_nothing_open(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    descriptors = len(os.listdir("/dev/fd"))  # noqa: PTH208 - a count
    handler = IsolatedHandler(launch)
    with pytest.raises(FunctionFailedError), handler:
        pass
    assert len(os.listdir("/dev/fd")) == descriptors  # noqa: PTH208 - likewise
