"""Reads one file, or a part of it, into a recording: the function that executors run, in this process or elsewhere."""

import sys
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from powertune import text
from powertune.errors import AwsError, BadInputError, PowertuneError
from powertune.sources.bulk.block import REACH, Block
from powertune.sources.bulk.log_reader import LogReader
from powertune.sources.byte_streams import (
    GZIP_MAGIC,
    SNIFFED,
    DamagedGzipError,
    Gunzip,
    Limited,
    LineEnds,
    Pushed,
    Reader,
    Transcoded,
    read_up_to,
)
from powertune.sources.line_reader import FORMS, LineReader
from powertune.sources.log_events import LogEvents
from powertune.sources.recording import Origin, Recording

STANDARD_INPUT = "-"
_BLOCK = 1 << 20
_WORTH_TELLING = 1 << 20
"""Bytes of holes in a file that are worth a word."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file, or a part of one that begins and ends with a line of a log."""

    name: str
    """A path, `-` for standard input, or `s3://bucket/key`."""
    begin: int = 0
    end: int | None = None
    """Where to stop; None where the end is not known beforehand."""
    is_whole: bool = True
    is_found: bool = False
    """Whether the file was found in a folder, where there may be others than recordings."""
    origin: Origin = Origin()  # noqa: RUF009 - frozen
    """What is known of its records that do not say better."""

    @property
    def shown(self) -> str:
        """The name as it is shown to people."""
        return "standard input" if self.name == STANDARD_INPUT else text.printable(self.name, limit=80)


@dataclass(slots=True)
class Reading:
    """What reading a part led to."""

    recording: Recording
    refused: tuple[str, str, bool] | None = None
    """Why the part cannot be used, what to do about it, and whether it was AWS that refused."""
    nothing: str = ""
    """What to say of the file if no part of it holds anything."""


class _BinaryFileError(Exception):
    """The file is no text in any encoding that is known."""


def read_part(part: Part, *, skip_invalid: bool = False, step: Callable[[int], object] | None = None) -> Reading:
    """Read a part. Errors are part of what is returned, so that it may have been read anywhere.

    `step` is told of bytes that were read.
    """
    recording = Recording()
    try:
        nothing = _read(part, recording, skip_invalid=skip_invalid, step=step)
    except PowertuneError as error:
        return Reading(Recording(), refused=(error.message, error.hint, isinstance(error, AwsError)))
    except _BinaryFileError:
        return Reading(Recording(), nothing="is a binary file")
    recording.pack()
    return Reading(recording, nothing=nothing)


def _read(part: Part, recording: Recording, *, skip_invalid: bool, step: Callable[[int], object] | None) -> str:
    if part.name == STANDARD_INPUT:
        if sys.stdin is None or sys.stdin.closed:
            raise BadInputError("standard input is closed", hint="pipe a recording in, or name a file")
        return _read_stream(
            _Counted(cast("_Readable", sys.stdin.buffer), step), part, recording, skip_invalid=skip_invalid
        )
    if part.name.startswith("s3://"):
        from powertune.sources.aws.s3_objects import open_object  # noqa: PLC0415 - boto3 is slow to load

        with closing(open_object(part.name)) as body:
            return _read_stream(_Counted(body, step), part, recording, skip_invalid=skip_invalid)
    try:
        with Path(part.name).open("rb", buffering=0) as raw:
            limited = Limited(raw, part.begin, part.end) if part.end is not None else None
            nothing = _read_stream(_Counted(limited or raw, step), part, recording, skip_invalid=skip_invalid)
    except IsADirectoryError:
        raise BadInputError(f"{part.shown} is a folder", hint="name the files in it") from None
    except OSError as error:
        raise BadInputError(
            f"{part.shown} cannot be read: {error.strerror or error}", hint="check its name and permissions"
        ) from error
    if limited and limited.holes >= _WORTH_TELLING:
        where = f"{limited.holes / 1e6:,.0f} MB where nothing was ever written"
        recording.notes.append(f"{part.shown} has {where}; they were passed over")
        return f"{nothing}; it has {where}" if nothing == "is empty" else nothing
    return nothing


class _Readable(Protocol):
    """What takes a buffer to fill, as files do."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill a buffer as far as possible and return how far."""


class _Counted:
    """Tells of the bytes that are read."""

    def __init__(self, raw: _Readable, step: Callable[[int], object] | None) -> None:
        self._raw = raw
        self._step = step

    def readinto(self, buffer: memoryview) -> int:
        count = self._raw.readinto(buffer) or 0
        if self._step:
            self._step(count)
        return count


def _read_stream(raw: Reader, part: Part, recording: Recording, *, skip_invalid: bool) -> str:
    """Read all that a stream gives. Returns what to say if nothing was found. Raises BadInputError."""
    head = read_up_to(raw, len(GZIP_MAGIC))
    stream: Reader = Pushed(head, raw)
    unpacked = Gunzip(stream) if head.startswith(GZIP_MAGIC) and part.begin == 0 else None
    with closing(unpacked) if unpacked else nullcontext():
        events = LogEvents(recording, part.shown)
        lines = LineReader(recording, part.shown, skip_invalid=skip_invalid, add_event=events.add, origin=part.origin)
        log = LogReader(recording, lines, offset=part.begin)
        if part.begin:
            lines.interrupt()
        try:
            _read_blocks(LineEnds(_decoded(unpacked or stream, part)), log)
        except DamagedGzipError as error:
            _complain_of_damage(part, recording, error, log.offset, skip_invalid=skip_invalid)
        lines.close()
        events.flush()
    return lines.nothing


def _decoded(stream: Reader, part: Part) -> Reader:
    """Return the text in UTF-8, whatever encoding its first bytes tell. Raises _BinaryFileError."""
    if part.begin:
        return stream
    head = read_up_to(stream, SNIFFED)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # what PowerShell writes when output is redirected
        return Transcoded(Pushed(head, stream), "utf-16")
    if b"\0" in head[:SNIFFED]:
        raise _BinaryFileError
    return Pushed(head.removeprefix(b"\xef\xbb\xbf"), stream)


def _read_blocks(stream: LineEnds, log: LogReader) -> None:
    block = Block(_BLOCK)
    view = memoryview(block.data)
    kept = 0
    while not block.is_last:
        block.end = stream.fill(block.data, kept, block.size)
        block.is_last = block.end < block.size
        view[block.end : block.end + REACH] = bytes(REACH)
        end = block.end if block.is_last else block.data.rfind(b"\n", 0, block.end) + 1 or block.end
        done = log.read(block, end) if end else 0
        kept = block.end - done
        view[:kept] = view[done : block.end]


def _complain_of_damage(part: Part, recording: Recording, error: Exception, offset: int, *, skip_invalid: bool) -> None:
    """Say how far a packed file could be read; what came before counts if that was asked for. Raises BadInputError."""
    far = f"{offset / 1e6:,.1f} MB" if offset else "its very beginning"
    problem = f"{part.shown} is compressed and damaged behind {far}: {text.printable(error, limit=80)}"
    if skip_invalid and not recording.is_empty:
        recording.notes.append(f"{problem}; what came before counts")
        return
    raise BadInputError(problem, hint="copy it again, or count what can be read with --skip-invalid") from error


def complaint_of_nothing(part: Part, recording: Recording, nothing: str) -> BadInputError:
    """Return what to say of a file that holds nothing to estimate from."""
    if recording.complaints:
        what = f"has only invalid rows; the first: {recording.complaints[0]}"
    elif recording.damaged:
        what = f"holds {text.count(recording.damaged, 'REPORT record')}, none of them whole"
    else:
        what = nothing
    return BadInputError(f"{part.shown} {what}", hint=FORMS)
