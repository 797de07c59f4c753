"""Requests as HTTP/1.1 clients send them, read from a stream: what a runtime needs, and no more."""

import asyncio
import re
from dataclasses import dataclass
from http import HTTPStatus

from powertune.aws_lambda.memory import MAX_PAYLOAD_BYTES

BUFFER_BYTES = 1024 * 1024
"""Read at a time; the limit of a stream, and so of lines and of a request's head."""


@dataclass(slots=True)
class Request:
    """A request, whole."""

    method: str
    path: str
    headers: dict[str, str]
    """By name in lower case, trailers among them."""
    body: bytes = b""
    size: int = 0
    """Bytes of the body; more than were kept if it was too large."""


class RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(
        self, status: HTTPStatus, kind: str, message: str, *, is_misuse: bool = True, closing: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.is_misuse = is_misuse
        self.closing = closing
        """Whether what follows on the connection cannot be made sense of."""


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    """Return the next request with its body. Raises RefusedError, OSError, and EOFError where it is not all there."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise _garbage("it sent what is no HTTP request") from None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, _, rest = first.partition(" ")
    path, _, version = rest.partition(" ")
    fields = [line.partition(":") for line in lines]
    if not version.startswith("HTTP/1.") or not all(colon and name.strip() for name, colon, _ in fields):
        raise _garbage("it sent what is no HTTP request")
    request = Request(method, path, {name.strip().lower(): value.strip() for name, _, value in fields})
    if version == "HTTP/1.0":
        request.headers.setdefault("connection", "close")
    if request.headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray()
    if request.headers.get("transfer-encoding", "").lower() == "chunked":
        await _read_chunks(reader, request, body)
    else:
        await _read_bytes(reader, _number(request.headers.get("content-length", "0"), 10), request, body)
    request.body = bytes(body)
    return request


async def _read_chunks(reader: asyncio.StreamReader, request: Request, body: bytearray) -> None:
    """Read a body in chunks; the trailers behind it count as headers."""
    while size := _number((await _read_line(reader)).partition(";")[0], 16):
        await _read_bytes(reader, size, request, body)
        if await _read_line(reader):
            raise _garbage("it sent a chunk of another length than it said")
    while line := await _read_line(reader):
        name, _, value = line.partition(":")
        request.headers[name.strip().lower()] = value.strip()


async def _read_line(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\n")).decode("latin-1").strip()
    except asyncio.LimitOverrunError:
        raise _garbage("it sent a line without end") from None


async def _read_bytes(reader: asyncio.StreamReader, count: int, request: Request, body: bytearray) -> None:
    """Read `count` bytes, all of them so that the sender gets to hear of it, and keep what a payload may have."""
    while count:
        read = await reader.read(min(count, BUFFER_BYTES))
        if not read:
            raise EOFError
        count -= len(read)
        request.size += len(read)
        body += read[: max(0, MAX_PAYLOAD_BYTES - len(body))]


def _number(written: str, base: int) -> int:
    digits = written.strip()
    if not re.fullmatch("[0-9a-fA-F]{1,12}", digits) or (base == 10 and not digits.isdecimal()):  # noqa: PLR2004 - ten digits
        raise _garbage("it sent a length that is no number")
    return int(digits, base)


def _garbage(message: str) -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, "BadRequest", message, closing=True)
