"""Bytes of recordings as they should be: unpacked, in UTF-8, with one kind of line end, and no further than asked."""

import codecs
import io
import os
import queue
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

GZIP_MAGIC = b"\x1f\x8b"
SNIFFED = 65_536
"""Bytes of a file by which it is told what it is."""

_CHUNK = 1 << 20
_MOST_WAITING = 4
_SMALL = 1 << 18
"""Bytes of packed data that are not worth a thread."""


class Reader(Protocol):
    """What bytes are read from."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill a buffer as far as possible and return how far; 0 at the end."""


class DamagedGzipError(Exception):
    """Packed data that cannot be unpacked further."""


class Limited:
    """Reads no further than to a certain byte of a file that may be growing, and passes over holes in it."""

    def __init__(self, raw: io.RawIOBase, begin: int, end: int) -> None:
        """Take where in the file to begin, and where to end."""
        self._raw = raw
        self._place = begin
        self._end = end
        self._hole = self._next(os.SEEK_HOLE) if hasattr(os, "SEEK_HOLE") else end
        self.holes = 0
        """Bytes that were passed over, as nothing was ever written there."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer as far as possible and return how far; a line end stands for a hole."""
        if self._place < self._end and self._place >= self._hole:
            place, self._place = self._place, self._next(os.SEEK_DATA)
            self._hole = self._next(os.SEEK_HOLE)
            self.holes += self._place - place
            buffer[0] = ord("\n")
            return 1
        size = min(len(buffer), min(self._end, self._hole) - self._place)
        if size <= 0:
            return 0
        self._raw.seek(self._place)
        count = self._raw.readinto(buffer[:size]) or 0
        self._place += count
        if count and self._hole <= self._place < self._end and not buffer[count - 1]:
            # Holes begin where a block does, and what was never written of the one before reads as zeroes.
            return len(bytes(buffer[:count]).rstrip(b"\0")) or self.readinto(buffer)
        return count

    def _next(self, what: int) -> int:
        """Return where the next hole or data begins; the end where there is none."""
        try:
            return min(self._end, os.lseek(self._raw.fileno(), self._place, what))
        except OSError:
            return self._end


class Gunzip:
    """Unpacks gzip, of one member or several, in a thread of its own: zlib works while others compute."""

    def __init__(self, raw: Reader) -> None:
        self._raw = raw
        self._chunks: queue.Queue[bytes | Exception] = queue.Queue(_MOST_WAITING)
        self._is_closed = False
        self._left = memoryview(b"")
        self._thread: threading.Thread | None = None
        first = read_up_to(raw, _SMALL)
        if len(first) < _SMALL:
            self._source = self._unpacked(first)
        else:
            self._source = self._received()
            self._thread = threading.Thread(target=self._unpack, args=[first], daemon=True)
            self._thread.start()

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer with some bytes and return how many; 0 at the end. Raises DamagedGzipError."""
        if not self._left:
            self._left = memoryview(next(self._source, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def close(self) -> None:
        """Stop unpacking."""
        self._is_closed = True
        if self._thread:
            while self._thread.is_alive():
                with suppress(queue.Empty):
                    self._chunks.get_nowait()
                self._thread.join(0.01)

    def _received(self) -> Iterator[bytes]:
        while True:
            chunk = self._chunks.get()
            if isinstance(chunk, Exception):
                raise chunk
            if not chunk:
                return
            yield chunk

    def _unpack(self, first: bytes) -> None:
        try:
            for chunk in self._unpacked(first):
                self._chunks.put(chunk)
                if self._is_closed:
                    return
            self._chunks.put(b"")
        except Exception as error:  # noqa: BLE001 - whoever reads has to know of it, whatever it is
            self._chunks.put(error)

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        """Yield pieces of at most a megabyte: what is packed well may be a thousand times larger unpacked."""
        unpacker = zlib.decompressobj(wbits=31)
        is_begun = False
        try:
            while True:
                data = data or read_up_to(self._raw, _CHUNK, at_once=True)
                if not data:
                    break
                if unpacker.eof:
                    # What pads the last block of a tape is no damage.
                    data = data if is_begun else data.lstrip(b"\0")
                    unpacker, is_begun = zlib.decompressobj(wbits=31), False
                    continue
                is_begun = True
                piece = unpacker.decompress(data, _CHUNK)
                data = unpacker.unconsumed_tail or unpacker.unused_data
                if unpacker.eof:
                    is_begun = False
                if piece:
                    yield piece
        except zlib.error as error:
            raise DamagedGzipError(str(error)) from error
        if is_begun:
            raise DamagedGzipError("it breaks off")


class Transcoded:
    """Text in another encoding, as UTF-8; what is no text stays visible as such."""

    def __init__(self, raw: Reader, encoding: str) -> None:
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="backslashreplace")
        self._left = b""
        self._is_done = False

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer with some bytes and return how many; 0 at the end."""
        while not self._left and not self._is_done:
            data = read_up_to(self._raw, _CHUNK, at_once=True)
            self._is_done = not data
            self._left = self._decoder.decode(data, final=self._is_done).encode("utf-8", "backslashreplace")
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class Pushed:
    """A reader with some bytes put back before the rest."""

    def __init__(self, first: bytes, raw: Reader) -> None:
        self._first = first
        self._raw = raw

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer with some bytes and return how many; 0 at the end."""
        if not self._first:
            return self._raw.readinto(buffer) or 0
        count = min(len(buffer), len(self._first))
        buffer[:count] = self._first[:count]
        self._first = self._first[count:]
        return count


def read_up_to(raw: Reader, size: int, *, at_once: bool = False) -> bytes:
    """Return bytes, up to a number; fewer only at the end, or where what is there `at_once` is enough."""
    data = bytearray(size)
    view = memoryview(data)
    place = 0
    while place < size and (count := raw.readinto(view[place:])):
        place += count
        if at_once:
            break
    return bytes(view[:place])


class LineEnds:
    """Fills buffers with text whose lines all end in a line feed."""

    def __init__(self, raw: Reader) -> None:
        self._raw = raw
        self._ended_in_return = False

    def fill(self, buffer: bytearray, begin: int, end: int) -> int:
        """Fill a buffer from `begin` to before `end` as far as there is text, and return where that ends."""
        with memoryview(buffer) as view:
            while begin < end and (count := self._raw.readinto(view[begin:end])):
                begin += self._with_line_feeds(buffer, view, begin, begin + count)
        return begin

    def _with_line_feeds(self, buffer: bytearray, view: memoryview, begin: int, end: int) -> int:
        """Change the line ends of some text in place, and return how long it is then."""
        if not self._ended_in_return and buffer.find(b"\r", begin, end) < 0:
            return end - begin
        text = bytes(view[begin:end])
        if self._ended_in_return:
            text = text.removeprefix(b"\n")
        self._ended_in_return = text.endswith(b"\r")
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        view[begin : begin + len(text)] = text
        return len(text)
