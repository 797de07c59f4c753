"""Whatever a runtime sends, the Runtime API goes on answering."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from powertune.sources.runtime_api import RuntimeApi, Task

BASE = b"/2018-06-01/runtime/invocation"
ENOUGH_S = 20.0

methods = st.sampled_from([b"GET", b"POST", b"PUT", b"get", b""])
paths = st.sampled_from([BASE + b"/next", BASE + b"/one/response", BASE + b"/one/error", BASE + b"/x/error", b"/"])
lengths = st.sampled_from([b"0", b"2", b"5", b"-1", b"1e3", b"\xb2", b"9" * 30, b""])
encodings = st.sampled_from([b"", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"broken\r\n"])
requests = st.builds(
    lambda method, path, length, encoding, body: (
        method + b" " + path + b" HTTP/1.1\r\nContent-Length: " + length + b"\r\n" + encoding + b"\r\n" + body
    ),
    methods,
    paths,
    lengths,
    encodings,
    st.binary(max_size=40) | st.sampled_from([b"{}", b"2\r\n{}\r\n0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"f\r\n"]),
)


@given(st.lists(st.binary(max_size=80) | requests, max_size=4))
def test_no_bytes_keep_it_from_answering_the_next_request(messages: list[bytes]) -> None:
    async def run() -> None:
        async with RuntimeApi() as api:
            _, hostile = await asyncio.open_connection("127.0.0.1", api.port)
            for message in messages:
                hostile.write(message)
            hostile.write_eof()
            reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(b"GET " + BASE + b"/next HTTP/1.1\r\n\r\n")
            mine = writer.get_extra_info("sockname")
            connections = api._connections  # noqa: SLF001 - the hostile one may ask, too
            while not any(one.is_asking and one.writer.get_extra_info("peername") == mine for one in connections):
                await api.change(ENOUGH_S)
            hostile.transport.abort()
            while api.is_talking:
                await api.change(0.01)
            api.hand_out(Task(b"{}", "arn", 0, "one"))
            head = await reader.readuntil(b"\r\n")
            assert head == b"HTTP/1.1 200 OK\r\n"
            writer.close()

    asyncio.run(asyncio.wait_for(run(), ENOUGH_S))
