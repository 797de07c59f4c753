"""A runtime on bare sockets, well-behaved or not: `python bootstrap.py MODE [FILE]`. Standard library only.

FILE gets the ids of all processes that it starts, one a line.
"""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HOST, _, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].partition(":")
BASE = "/2018-06-01/runtime"
FOR_EVER_S = 600


class Api:
    """One connection, kept alive."""

    def __init__(self) -> None:
        self.socket = socket.create_connection((HOST, int(PORT)))
        self.stream = self.socket.makefile("rb")

    def send(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request as it is and return status, headers and body."""
        self.socket.sendall(data)
        status = int(self.stream.readline().split()[1])
        headers = {}
        while line := self.stream.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self.stream.read(int(headers.get("content-length", "0")))

    def next(self) -> tuple[str, dict[str, str], bytes]:
        """Return request id, headers and event."""
        status, headers, body = self.send(f"GET {BASE}/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert status == 200, body
        return headers["lambda-runtime-aws-request-id"], headers, body

    def post(self, path: str, body: bytes = b"{}", *headers: str) -> int:
        """Post a body and return the status."""
        lines = [f"POST {BASE}/{path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
        return self.send("\r\n".join(lines).encode() + body)[0]

    def answer(self, request_id: str, body: bytes = b"{}", *headers: str) -> int:
        """Post a response."""
        return self.post(f"invocation/{request_id}/response", body, *headers)

    def fail(self, request_id: str, kind: str, message: str) -> int:
        """Post an error."""
        body = json.dumps({"errorType": kind, "errorMessage": message, "stackTrace": []}).encode()
        return self.post(f"invocation/{request_id}/error", body, f"Lambda-Runtime-Function-Error-Type: {kind}")


def serve(handle: Callable[[Api, str, dict[str, str], bytes, int], None]) -> None:
    """Handle events for ever; `handle` gets their number, from 0, last."""
    api = Api()
    number = 0
    while True:
        request_id, headers, body = api.next()
        handle(api, request_id, headers, body, number)
        number += 1


def compute(milliseconds: float) -> None:
    """Use CPU time."""
    until = time.process_time() + milliseconds / 1000
    while time.process_time() < until:
        pass


def note(pid: int) -> None:
    """Write a process id to FILE."""
    if len(sys.argv) > 2:
        with Path(sys.argv[2]).open("a", encoding="ascii") as file:
            file.write(f"{pid}\n")


def start_daemon() -> None:
    """Start a process that cuts all ties."""
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return
    os.setsid()
    daemon = os.fork()
    if daemon:
        note(daemon)
        os._exit(0)
    time.sleep(FOR_EVER_S)


# --- modes, each called for each event ---


def echo(api: Api, request_id: str, _headers: dict[str, str], body: bytes, _number: int) -> None:
    api.answer(request_id, body)


def tells(api: Api, request_id: str, headers: dict[str, str], body: bytes, _number: int) -> None:
    now_ms = time.time() * 1000
    told = {"headers": headers, "now_ms": now_ms, "body": body.decode(), "environment": dict(os.environ)}
    Path(sys.argv[2]).write_text(json.dumps(told), encoding="utf-8")
    api.answer(request_id)


def computes(api: Api, request_id: str, _headers: dict[str, str], body: bytes, _number: int) -> None:
    compute(json.loads(body).get("cpu_ms", 50))
    api.answer(request_id)


def waits(api: Api, request_id: str, _headers: dict[str, str], body: bytes, _number: int) -> None:
    time.sleep(json.loads(body).get("wait_ms", 50) / 1000)
    api.answer(request_id)


def alternates(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    for cpu_ms, wait_ms in ((20, 60), (60, 30), (10, 0)):
        compute(cpu_ms)
        time.sleep(wait_ms / 1000)
    api.answer(request_id)


def computes_in_a_child(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    code = "import time\nwhile time.process_time() < 0.1: pass"
    subprocess.run([sys.executable, "-S", "-c", code], check=True)
    api.answer(request_id)


def holds(api: Api, request_id: str, _headers: dict[str, str], body: bytes, _number: int) -> None:
    held = b"x" * (json.loads(body)["mb"] * 1024 * 1024)
    api.answer(request_id, held[:1])


def holds_in_a_child(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    code = "import time; held = b'x' * (100 * 1024 * 1024); print(1, flush=True); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    note(child.pid)
    api.answer(request_id)


def prints(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    os.write(1, b"\x1b[31mred on standard output\n")
    os.write(2, b"and on standard error\n")
    api.answer(request_id)


def raises(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    api.fail(request_id, "ValueError", "no such \x1b[31morder")


def raises_sometimes(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, number: int) -> None:
    if number == 1:
        api.fail(request_id, "KeyError", "once")
    else:
        api.answer(request_id)


def memory_error(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    api.fail(request_id, "MemoryError", "")


def exits(_api: Api, _id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    sys.exit(3)


def exits_in_the_second_call(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, number: int) -> None:
    if number == 1:
        os._exit(4)
    api.answer(request_id)


def exits_after_its_answer(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    api.answer(request_id)
    sys.exit(0)


def kills_itself(_api: Api, _id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(_api: Api, _id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    time.sleep(FOR_EVER_S)


def hangs_after_its_answer(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    api.answer(request_id)
    time.sleep(FOR_EVER_S)


def ignores_signals(_api: Api, _id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(FOR_EVER_S)


def leaves_a_daemon(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    start_daemon()
    api.answer(request_id)


def forks(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    for _ in range(20):
        child = os.fork()
        if not child:
            time.sleep(FOR_EVER_S)
        note(child)
    api.answer(request_id)


def eats_memory(_api: Api, _id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    held = [b"x" * (1024 * 1024) for _ in range(400)]  # and no more, should nothing stop it
    time.sleep(FOR_EVER_S * len(held))


def starts_too_much(_api: Api, _id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    for _ in range(1100):  # and no more, should nothing stop it
        if not os.fork():
            time.sleep(FOR_EVER_S)
    time.sleep(FOR_EVER_S)


def answers_twice(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    assert api.answer(request_id) == 202
    assert api.answer(request_id) == 403


def answers_another(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    assert api.answer("no-such-id") == 400
    api.answer(request_id)


def asks_before_it_answers(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    with contextlib.suppress(AssertionError):
        api.next()
    api.answer(request_id)


def sends_garbage(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    Api().socket.sendall(b"\x00\xff garbage\r\n\r\n")
    api.answer(request_id)


def sends_nothing_but_garbage(_api: Api, _id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            Api().socket.sendall(b"\x00\xff garbage\r\n\r\n")
            time.sleep(0.01)


def answers_too_much(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    assert api.answer(request_id, b"x" * (6 * 1024 * 1024 + 1)) == 413
    api.fail(request_id, "RequestEntityTooLarge", "it was refused")


def streams(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    head = (
        f"POST {BASE}/invocation/{request_id}/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        "Lambda-Runtime-Function-Response-Mode: streaming\r\nTrailer: Lambda-Runtime-Function-Error-Type\r\n\r\n"
    )
    api.socket.sendall(head.encode())
    for _ in range(7):
        api.socket.sendall(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")  # 7 MB, more than may be sent at once
    assert api.send(b"0\r\n\r\n")[0] == 202


def breaks_off_its_stream(api: Api, request_id: str, _headers: dict[str, str], _body: bytes, _number: int) -> None:
    head = (
        f"POST {BASE}/invocation/{request_id}/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        "Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n3\r\nabc\r\n"
    )
    api.socket.sendall(head.encode())
    error = base64.b64encode(b'{"errorType": "Broken", "errorMessage": "midway"}').decode()
    name = "Lambda-Runtime-Function-Error"
    api.send(f"0\r\n{name}-Type: Broken\r\n{name}-Body: {error}\r\n\r\n".encode())


# --- modes of init ---


def fails_in_init() -> None:
    Api().post("init/error", b'{"errorType":"Runtime.ImportModuleError","errorMessage":"No module named \'shop\'"}')
    sys.exit(1)


def exits_in_init() -> None:
    sys.exit(7)


def exits_in_the_first_init() -> None:
    """Keep a note of the first init in FILE."""
    if not Path(sys.argv[2]).exists():
        note(os.getpid())
        sys.exit(7)
    serve(echo)


def never_asks() -> None:
    note(os.getpid())
    time.sleep(FOR_EVER_S)


def leaves_its_work_to_a_child() -> None:
    """Exit at once, while a child in another session means to serve."""
    child = os.fork()
    if child:
        note(child)
        return
    os.setsid()
    time.sleep(1)
    with contextlib.suppress(OSError):
        serve(echo)


INITS = {
    init.__name__: init
    for init in (fails_in_init, exits_in_init, exits_in_the_first_init, never_asks, leaves_its_work_to_a_child)
}

if __name__ == "__main__":
    mode = sys.argv[1]
    if mode in INITS:
        INITS[mode]()
    else:
        note(os.getpid())
        serve(globals()[mode])
