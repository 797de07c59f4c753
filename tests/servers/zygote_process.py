"""The process that a Zygote forks powertune from: everything is imported, and there is but one thread.

Takes a line of JSON for each command line to run, and answers with its exit code.
"""

import gc
import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from functools import partial
from typing import Any

import botocore.httpsession
import numpy as np
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from quick_botocore import make_quick
from zygote import CRASHED, Crash

import powertune.cli.app
import powertune.cli.restore
import powertune.cli.tune
import powertune.sources.aws.apply
import powertune.sources.aws.processors
import powertune.sources.aws.restore
import powertune.sources.aws.s3
import powertune.sources.aws.source
from powertune import tuning
from powertune.__main__ import run
from powertune.sources.aws import measuring
from powertune.sources.aws.clients import Aws
from powertune.sources.aws.measuring import Pace

ENOUGH_S = 60
TIME_SCALE = 0.01
"""What becomes of the times that powertune waits: the server under test is that fast, too."""


class Calls:
    """Stands before botocore's way to the network: writes down each call, and crashes at one of them."""

    def __init__(self, send: Any, crash: Crash | None, path: str) -> None:
        self._send = send
        self._crash = crash
        self._fd = os.open(path, os.O_WRONLY)
        self._count = self._under_way = 0
        self._is_dying = False
        self._condition = threading.Condition()

    def send(self, session: Any, request: Any) -> Any:
        """Send a request, unless something else is to come of it."""
        with self._condition:
            self._condition.wait_for(lambda: not self._is_dying)
            self._count += 1
            self._under_way += 1
            path = request.url.partition("://")[2].partition("/")[2].partition("?")[0]
            self._tell(f"{request.method} {request.headers.get('X-Amz-Target', path)!s}")
            crash = self._crash if self._crash is not None and self._count == self._crash.at else None
        try:
            if crash is not None and crash.moment == "before":
                answer = self._do(crash, request)
                return self._send(session, request) if answer is None else answer
            answer = self._send(session, request)
            if crash is None:
                return answer
            if crash.how in ("closed", "bug"):  # the answer gets lost
                answer.raw.close()
            return self._do(crash, request) or answer
        finally:
            with self._condition:
                self._under_way -= 1
                self._condition.notify_all()

    def _tell(self, line: str) -> None:
        os.write(self._fd, f"{line}\n".encode())

    def _do(self, crash: Crash, request: Any) -> Any:
        """Crash, or return the answer in place of the right one if there is to be another."""
        self._tell(CRASHED)
        match crash.how:
            case "SIGKILL":
                with self._condition:
                    # What is under way arrives first, so that whoever looks afterwards sees all that was changed.
                    self._is_dying = True
                    self._condition.wait_for(lambda: self._under_way == 1, ENOUGH_S)
                os.kill(os.getpid(), signal.SIGKILL)
            case "SIGINT" | "SIGTERM" | "SIGHUP":
                os.kill(os.getpid(), signal.Signals[crash.how])
            case "two signals":
                for number in (signal.SIGINT, signal.SIGTERM):  # two of the same kind might be taken for one
                    os.kill(os.getpid(), number)
            case "closed":
                raise ConnectionClosedError(endpoint_url=request.url)
            case "refused":
                raise EndpointConnectionError(endpoint_url=request.url)
            case "bug":
                raise RuntimeError("a bug, made up")
            case "denied":
                return error_answer(request, 403, "AccessDeniedException")
            case "500":
                return error_answer(request, 500, "ServiceException")
        return None


class Body:
    """What urllib3 gives, as far as botocore looks at it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> list[bytes]:
        """Return all of it."""
        return [self._content]


def error_answer(request: Any, status: int, code: str) -> Any:
    """Return an error as AWS answers it, whatever the protocol of the service."""
    content = json.dumps({"__type": code, "message": "made up", "Message": "made up"}).encode()
    return AWSResponse(request.url, status, HeadersDict({"x-amzn-ErrorType": code}), Body(content))


def get_ready() -> None:
    """Do what children would do again and again, and make short what they wait for."""
    make_quick(setattr)
    aws = Aws("us-east-1")
    assert aws.control, "its description has been read"
    assert aws.logs, "likewise"
    # The commands look it up when they run.
    shortened = partial(Pace, time_scale=TIME_SCALE, poll_s=0.25 * TIME_SCALE, lost_patience_s=2.0)
    measuring.__dict__["Pace"] = shortened
    gc.collect()
    gc.freeze()


def become_powertune(order: Mapping[str, Any]) -> None:
    """Run a command line, and end this process as it ends."""
    try:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # as in a shell, whatever the tests were started by
            usual = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
            signal.signal(signal.Signals[name], usual)
        signal.alarm(ENOUGH_S)  # whatever hangs
        for fd, path in enumerate((os.devnull, order["out"], order["err"])):
            os.dup2(os.open(path, os.O_RDWR), fd)
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(order["env"])
        crash = order["crash"] and Crash(**order["crash"])
        calls = Calls(botocore.httpsession.URLLib3Session.send, crash, order["calls"])
        botocore.httpsession.URLLib3Session.send = lambda session, request: calls.send(session, request)  # noqa: PLW0108 - it has to be a method
        sys.stdin = io.StringIO()
        sys.argv = ["powertune", *order["argv"]]
        run()
    except BaseException:  # noqa: BLE001 - nothing may get back into the zygote's own loop
        traceback.print_exc()
    finally:
        os._exit(99)


def serve() -> None:
    """Fork a child for each order that comes in."""
    assert all((np, powertune.cli.app, tuning)), "imported for the children"
    get_ready()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            become_powertune(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
