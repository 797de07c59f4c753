"""Lambda's side of the Runtime API answers as documented, whatever a runtime sends it; over real sockets."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from powertune.aws_lambda.memory import MAX_PAYLOAD_BYTES
from powertune.sources import runtime_api
from powertune.sources.runtime_api import RuntimeApi, Task

ARN = "arn:aws:lambda:us-east-1:123456789012:function:orders"
BASE = "/2018-06-01/runtime"
ENOUGH_S = 20.0


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A runtime that says what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def of(cls, api: RuntimeApi) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", api.port))

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def reply(self) -> Reply:
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), ENOUGH_S)).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(head[0].split()[1]), headers, body)

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        self.send(method, path, body, **headers)
        return await self.reply()

    async def raw(self, data: bytes) -> Reply:
        self.writer.write(data)
        return await self.reply()

    async def is_dropped(self) -> bool:
        return await asyncio.wait_for(self.reader.read(1), ENOUGH_S) == b""


def served(test: Callable[[RuntimeApi, Client], Awaitable[None]]) -> None:
    """Run a test with a server and a client that is connected to it."""

    async def run() -> None:
        async with RuntimeApi() as api:
            client = await Client.of(api)
            try:
                await asyncio.wait_for(test(api, client), ENOUGH_S)
            finally:
                client.writer.close()

    asyncio.run(run())


def task(payload: bytes = b'{"orders": 3}', request_id: str = "one") -> Task:
    return Task(payload, ARN, 1_764_158_400_123, request_id)


async def until(api: RuntimeApi, is_true: Callable[[], bool]) -> None:
    while not is_true():
        await api.change(ENOUGH_S)


async def handed_out(api: RuntimeApi, client: Client, given: Task | None = None) -> Reply:
    client.send("GET", f"{BASE}/invocation/next")
    await until(api, lambda: api.is_asked)
    api.hand_out(given or task())
    return await client.reply()


# --- as documented ---


def test_the_next_event_comes_with_what_the_runtime_has_to_know() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        reply = await handed_out(api, client)
        assert reply.status == 200
        assert reply.body == b'{"orders": 3}'
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["lambda-runtime-aws-request-id"] == "one"
        assert reply.headers["lambda-runtime-deadline-ms"] == "1764158400123"
        assert reply.headers["lambda-runtime-invoked-function-arn"] == ARN
        assert reply.headers["lambda-runtime-trace-id"].startswith("root=1-")
        assert "lambda-runtime-client-context" not in reply.headers

    served(test)


def test_an_invocation_is_over_when_it_is_answered_and_the_next_is_asked_for() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        assert api.answer is None
        assert not api.is_asked
        reply = await client.ask("POST", f"{BASE}/invocation/one/response", b'{"ok": true}')
        assert (reply.status, json.loads(reply.body)) == (202, {"status": "OK"})
        assert api.answer is not None
        assert (api.answer.size_bytes, api.answer.error) == (12, None)
        assert not api.is_asked
        assert (await handed_out(api, client, task(b"2", "two"))).body == b"2"
        assert api.answer is None
        assert not api.misuse

    served(test)


def test_an_error_of_the_function_is_told_by_type_and_message_safe_to_show() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        body = json.dumps({"errorType": "ValueError", "errorMessage": "no \x1b[31morder\nhere", "stackTrace": []})
        reply = await client.ask("POST", f"{BASE}/invocation/one/error", body.encode())
        assert reply.status == 202
        assert api.answer is not None
        assert str(api.answer.error) == "ValueError: no \\x1b[31morder here"

    served(test)


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'"text"', b"\xff\xfe", b'{"errorType": null}', b"[" * 9999])
def test_an_error_without_a_body_worth_the_name_is_told_by_its_header(body: bytes) -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        await client.ask(
            "POST", f"{BASE}/invocation/one/error", body, Lambda_Runtime_Function_Error_Type="Runtime.NoSuchHandler"
        )
        assert api.answer is not None
        assert str(api.answer.error) == "Runtime.NoSuchHandler"

    served(test)


def test_an_error_in_init_is_taken_and_remembered_until_the_runtime_is_gone() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        body = b'{"errorType": "Runtime.ImportModuleError", "errorMessage": "no shop"}'
        reply = await client.ask("POST", f"{BASE}/init/error", body)
        assert (reply.status, json.loads(reply.body)) == (202, {"status": "OK"})
        assert str(api.init_error) == "Runtime.ImportModuleError: no shop"
        api.forget()
        assert api.init_error is None
        assert await client.is_dropped()

    served(test)


def test_a_response_may_have_6_mb_and_no_byte_more() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        reply = await client.ask("POST", f"{BASE}/invocation/one/response", b"x" * MAX_PAYLOAD_BYTES)
        assert reply.status == 202
        await handed_out(api, client, task(request_id="two"))
        reply = await client.ask("POST", f"{BASE}/invocation/two/response", b"x" * (MAX_PAYLOAD_BYTES + 1))
        assert reply.status == 413
        assert json.loads(reply.body)["errorType"] == "RequestEntityTooLarge"
        assert api.answer is not None
        assert str(api.answer.error) == "Function.ResponseSizeTooLarge: it returned 6.3 MB; Lambda takes 6 MB"
        # Runtimes report that as an error of the function, which is refused but no misuse.
        assert (await client.ask("POST", f"{BASE}/invocation/two/error", b"{}")).status == 403
        assert not api.misuse

    served(test)


def chunked(path: str, *chunks: bytes, trailers: bytes = b"", **headers: str) -> bytes:
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{named}\r\n".encode()
    return (
        head + b"".join(b"%x;ext=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"
    )


def test_a_response_may_come_in_chunks() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        reply = await client.raw(chunked(f"{BASE}/invocation/one/response", b"abc", b"defg"))
        assert reply.status == 202
        assert api.answer is not None
        assert (api.answer.size_bytes, api.answer.error) == (7, None)

    served(test)


def test_a_streamed_response_may_be_larger_than_6_mb_and_not_than_its_own_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime_api, "MAX_STREAM_BYTES", 8 * 1024 * 1024)

    async def test(api: RuntimeApi, client: Client) -> None:
        for number, size, status in ((1, MAX_PAYLOAD_BYTES + 1, 202), (2, 8 * 1024 * 1024 + 1, 413)):
            await handed_out(api, client, task(request_id=str(number)))
            data = chunked(
                f"{BASE}/invocation/{number}/response",
                b"x" * size,
                Lambda_Runtime_Function_Response_Mode="streaming",
            )
            assert (await client.raw(data)).status == status

    served(test)


@pytest.mark.parametrize(
    ("trailers", "told"),
    [
        (b"Lambda-Runtime-Function-Error-Type: Broken\r\n", "Broken"),
        (
            (
                b"Lambda-Runtime-Function-Error-Type: Broken\r\n"
                b"Lambda-Runtime-Function-Error-Body: eyJlcnJvck1lc3NhZ2UiOiJoYWxmd2F5In0=\r\n"
            ),
            "Broken: halfway",
        ),
        (b"Lambda-Runtime-Function-Error-Type: Broken\r\nLambda-Runtime-Function-Error-Body: %%%\r\n", "Broken"),
    ],
    ids=["type", "type and body", "type and no body"],
)
def test_a_stream_that_breaks_off_says_so_behind_its_end(trailers: bytes, told: str) -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        data = chunked(f"{BASE}/invocation/one/response", b"abc", trailers=trailers)
        assert (await client.raw(data)).status == 202
        assert api.answer is not None
        assert str(api.answer.error) == told

    served(test)


# --- refused, and noted ---


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/invocation/other/response", 400),
        ("POST", "/invocation/other/error", 400),
        ("GET", "/invocation/next", 403),
        ("POST", "/init/error", 403),
        ("POST", "/invocation/next", 405),
        ("GET", "/invocation/one/response", 405),
        ("GET", "/init/error", 405),
        ("POST", "/invocation//response", 404),
        ("POST", "/response", 404),
        ("GET", "/restore/next", 404),
        ("GET", "", 404),
        ("GET", "/invocation/next/", 404),
    ],
)
def test_what_makes_no_sense_while_an_event_is_handled_is_refused_with_a_reason(
    method: str, path: str, status: int
) -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        reply = await client.ask(method, BASE + path)
        assert reply.status == status
        assert set(json.loads(reply.body)) == {"errorType", "errorMessage"}
        assert sum(api.misuse.values()) == 1
        assert api.answer is None
        assert (await client.ask("POST", f"{BASE}/invocation/one/response")).status == 202

    served(test)


@pytest.mark.parametrize("path", ["/2019-01-01/runtime/invocation/next", "/2020-01-01/extension/register", "/", "*"])
def test_other_interfaces_are_not_there(path: str) -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        assert (await client.ask("GET", path)).status == 404
        assert [message for message in api.misuse if path in message]

    served(test)


def test_requests_of_ever_new_kinds_are_not_all_kept() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        for number in range(50):
            assert (await client.ask("GET", f"/{number}")).status == 404
        assert len(api.misuse) == 9
        assert api.misuse["it sent other requests that make no sense"] == 42

    served(test)


def test_an_invocation_is_answered_once() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        assert (await client.ask("POST", f"{BASE}/invocation/one/response", b"1")).status == 202
        reply = await client.ask("POST", f"{BASE}/invocation/one/error", b"{}")
        assert (reply.status, json.loads(reply.body)["errorType"]) == (403, "InvalidStateTransition")
        assert api.answer is not None
        assert api.answer.error is None
        assert dict(api.misuse) == {"it answered an invocation that was over": 1}

    served(test)


def test_an_answer_that_comes_after_the_runtime_was_killed_changes_nothing() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        api.forget()
        late = await Client.of(api)
        assert (await late.ask("POST", f"{BASE}/invocation/one/response")).status == 403
        assert api.answer is None
        late.writer.close()

    served(test)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / FTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 1f\r\n\r\n",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
    ],
    ids=[
        "bytes",
        "no path",
        "no http",
        "no header",
        "negative",
        "word",
        "hex",
        "chunk",
        "chunk end",
        "empty chunk",
    ],
)
def test_garbage_is_refused_and_its_connection_closed_and_others_go_on(data: bytes) -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        other = await Client.of(api)
        other.writer.write(data)
        reply = await other.reply()
        assert (reply.status, reply.headers["connection"]) == (400, "close")
        assert sum(api.misuse.values()) == 1
        assert (await handed_out(api, client)).status == 200
        other.writer.close()

    served(test)


@pytest.mark.parametrize(
    "head",
    [b"GET / HTTP/1.1\r\nX: ", b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ids=["header", "chunk"],
)
def test_a_line_without_end_is_not_listened_to_for_ever(head: bytes) -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        other = await Client.of(api)
        other.writer.write(head + b"1" * (3 * 1024 * 1024))
        await until(api, lambda: sum(api.misuse.values()) == 1)
        assert (await handed_out(api, client)).status == 200
        other.writer.close()

    served(test)


@pytest.mark.parametrize("sent", [b"POST ", b"{path} HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"], ids=["head", "body"])
def test_what_breaks_off_is_no_answer(sent: bytes) -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        broken = await Client.of(api)
        path = f"POST {BASE}/invocation/one/response".encode()
        broken.writer.write(sent.replace(b"{path}", path))
        await broken.writer.drain()
        broken.writer.close()
        assert (await client.ask("POST", f"{BASE}/invocation/one/response")).status == 202

    served(test)


# --- HTTP as clients speak it ---


def test_a_client_that_asks_first_whether_it_may_send_is_told_to_go_on() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        head = f"POST {BASE}/invocation/one/response HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        client.writer.write(head.encode())
        assert (await client.reply()).status == 100
        assert (await client.raw(b"{}")).status == 202

    served(test)


@pytest.mark.parametrize("head", ["HTTP/1.0\r\n", "HTTP/1.1\r\nConnection: close\r\n"], ids=["1.0", "close"])
def test_a_connection_for_one_request_is_closed_after_it(head: str) -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        other = await Client.of(api)
        reply = await other.raw(f"POST {BASE}/invocation/one/response {head}Content-Length: 2\r\n\r\n{{}}".encode())
        assert (reply.status, reply.headers["connection"]) == (202, "close")
        assert await other.is_dropped()
        other.writer.close()

    served(test)


def test_requests_may_be_sent_one_behind_the_other() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        client.send("POST", f"{BASE}/invocation/one/response")
        client.send("GET", f"{BASE}/invocation/next")
        assert (await client.reply()).status == 202
        await until(api, lambda: api.is_asked)

    served(test)


def test_header_names_and_values_may_be_written_in_any_case() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        await handed_out(api, client)
        head = f"POST {BASE}/invocation/one/response HTTP/1.1\r\nCONTENT-LENGTH:2\r\nconnection: Keep-Alive\r\n\r\n"
        reply = await client.raw(head.encode() + b"{}")
        assert reply.status == 202
        assert "connection" not in reply.headers

    served(test)


def test_one_of_several_that_ask_gets_the_event() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        other = await Client.of(api)
        for each in (client, other):
            each.send("GET", f"{BASE}/invocation/next")
        await until(api, lambda: sum(one.is_asking for one in api._connections) == 2)  # noqa: SLF001 - no other way to know
        api.hand_out(task(request_id="one"))
        first = {asyncio.ensure_future(client.reply()), asyncio.ensure_future(other.reply())}
        done, waiting = await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        assert [reply.result().headers["lambda-runtime-aws-request-id"] for reply in done] == ["one"]
        for reply in waiting:
            reply.cancel()
        other.writer.close()

    served(test)


def test_one_that_asked_and_hung_up_gets_no_event() -> None:
    async def test(api: RuntimeApi, client: Client) -> None:
        gone = await Client.of(api)
        gone.send("GET", f"{BASE}/invocation/next")
        await until(api, lambda: api.is_asked)
        gone.writer.close()
        while api.is_asked:
            await api.change(0.001)
        assert (await handed_out(api, client)).status == 200

    served(test)


def test_it_listens_on_the_loopback_address_alone() -> None:
    async def test(api: RuntimeApi, _client: Client) -> None:
        assert [socket.getsockname()[0] for socket in api._server.sockets] == ["127.0.0.1"]  # noqa: SLF001 - what it is bound to

    served(test)


def test_a_bug_of_the_server_is_raised_where_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(RuntimeApi, "_answer_one", broken)

    async def test(api: RuntimeApi, client: Client) -> None:
        client.send("GET", f"{BASE}/invocation/next")
        with pytest.raises(ZeroDivisionError):
            await until(api, lambda: False)

    served(test)
