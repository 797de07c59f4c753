"""ministack as a child process on 127.0.0.1: an AWS that really runs Python handlers, without containers.

What it does, tried with ministack 1.5.33:

Logs. The tail of an invocation holds what the handler wrote and never a REPORT; there is none if it wrote nothing.
Each invocation gets a log stream of its own, `2026/11/25/[$LATEST]` and 32 hex digits, with the number of the version
in the brackets for a version. START, the handler's lines, END and REPORT are there as soon as the invocation is
answered, all with one timestamp: the end of the invocation, between the client's sending and receiving. A REPORT reads
`REPORT RequestId: <uuid>\tDuration: 268 ms\tBilled Duration: 268 ms\tMemory Size: 256 MB\tMax Memory Used: 0 MB`:
whole milliseconds, starting the worker included, no Init Duration, no Status even after a time-out, no line end.
Its RequestId is that of the handler's context and not that of the response's x-amzn-requestid.

Filters. A pattern is split at spaces, quotes are stripped at the ends of words, and all words have to be in the
message, in any case: `REPORT` and `"REPORT RequestId"` find the REPORTs, `?REPORT ?platform.report` and
`?"REPORT RequestId" ?"platform.report"` find nothing, and `{...}` finds everything. startTime, endTime,
logStreamNames and limit work; there is no nextToken, so what lies beyond limit cannot be had; logStreamNamePrefix is
ignored.

Functions. An update is InProgress for about half a second; invocations get the new memory at once, another update or
PublishVersion is let through, and MemorySize has no bounds. The revision changes with an update, not when it is done
nor with PublishVersion. A wrong RevisionId fails an update (412) but not PublishVersion, which ignores CodeSha256 as
well. PublishVersion takes Description, returns the existing version with its own Description where nothing has
changed, never gives a number twice, and during an update returns a version that is Pending but can be invoked.
DeleteFunction with a Qualifier deletes that version alone, 404 if there is none, 409 if an alias points at it.
GetFunctionConcurrency (empty unless set; 0 makes Invoke fail with 429, which has a Reason), ListVersionsByFunction
and the alias operations are as on AWS; a missing alias is a 404. ListProvisionedConcurrencyConfigs answers with the
404 that GetProvisionedConcurrencyConfig has. An error of a handler has the type Runtime.HandlerError, a time-out
Sandbox.Timedout.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Self

_READY_WITHIN_S = 30.0
_STOPS_WITHIN_S = 10.0
_SERVICES = "iam,lambda,logs,s3,sts"


class Ministack:
    """The server, from entering the context to leaving it. Everything it writes goes to a directory of its own."""

    def __init__(self) -> None:
        self._port = 0
        self._home: tempfile.TemporaryDirectory[str] | None = None
        self.home = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The id of its process and of its process group."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        self._home = tempfile.TemporaryDirectory(prefix="ministack-")
        self._port = _free_port()
        self.home = self._home.name
        home = Path(self.home)
        with (home / "output.txt").open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ministack"],
                cwd=home,
                env=_environment(home, self._port),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A group of its own, so that the workers that run handlers can be ended with it.
                start_new_session=True,
            )
        try:
            self._wait_until_ready(home)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOPS_WITHIN_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._home is not None:
            self._home.cleanup()

    def _wait_until_ready(self, home: Path) -> None:
        assert self._process is not None
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while self._process.poll() is None and time.monotonic() < give_up_at:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{self.endpoint_url}/_ministack/health", timeout=2),  # noqa: S310
            ):
                return
            time.sleep(0.05)
        raise RuntimeError(f"ministack does not start: {(home / 'output.txt').read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(home: Path, port: int) -> dict[str, str]:
    """Return the environment of the server: nothing of the tests' own but the way to programs."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "STATE_DIR": str(home / "state"),
        "S3_DATA_DIR": str(home / "s3"),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": _SERVICES,
        "LOG_LEVEL": "WARNING",
        # Two services that would listen on ports of their own, and containers that nobody wants.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "DOCKER_HOST": f"unix://{home}/no-docker.sock",
    }
