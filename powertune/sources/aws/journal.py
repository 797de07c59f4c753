"""What is on disk before the first change, so that a run that was killed can be undone; and what it had measured.

One file a run, in the user's state folder, written whole and forced to disk. It is there exactly as long as there may
be something to put back. Beside it grows a file with a line for each run of the function, which `powertune estimate`
reads: what was paid for is not lost with the process.
"""

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from powertune import text
from powertune.errors import BadInputError
from powertune.model.invocation import Invocation

_FORMAT = 1
_RUN_ID_BYTES = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """What a run needs for putting the function back."""

    run_id: str
    function_arn: str
    region: str
    memory_mb: int
    """Of `$LATEST` before the run."""
    sizes_mb: tuple[int, ...]
    """The sizes that the run gives it."""
    deployed: dict[str, str]
    """A short hash of each field that a deploy may change; see changes.fingerprint."""
    created_at: str
    host: str
    pid: int
    profile: str | None = None
    is_back: bool = False
    """Whether `$LATEST` has been put back: from then on its memory is whatever others make it."""
    format: int = _FORMAT


def new_run_id() -> str:
    """Return a name for a run that no other run has."""
    return secrets.token_hex(_RUN_ID_BYTES)


def state_folder() -> Path:
    """Return the folder for journals: POWERTUNE_STATE_DIR, else the user's state folder of the platform."""
    given = os.environ.get("POWERTUNE_STATE_DIR")
    if given:
        return Path(given)
    import platformdirs  # noqa: PLC0415 - only live tuning needs it

    return platformdirs.user_state_path("powertune")


class Journal:
    """The file of one run and the record of what it measured."""

    def __init__(self, entry: Entry, folder: Path) -> None:
        self.entry = entry
        self.path = folder / f"{entry.run_id}.json"
        self.recording_path = folder / f"{entry.run_id}.jsonl"
        self._recording: TextIO | None = None
        self._lock: TextIO | None = None

    @classmethod
    def begin(
        cls,
        *,
        run_id: str,
        function_arn: str,
        region: str,
        memory_mb: int,
        sizes_mb: tuple[int, ...],
        deployed: dict[str, str],
        profile: str | None = None,
        folder: Path | None = None,
    ) -> "Journal":
        """Write the journal of a run that is about to change something. Raises BadInputError where it cannot."""
        entry = Entry(
            run_id=run_id,
            function_arn=function_arn,
            region=region,
            memory_mb=memory_mb,
            sizes_mb=sizes_mb,
            deployed=deployed,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            host=socket.gethostname(),
            pid=os.getpid(),
            profile=profile,
        )
        journal = cls(entry, folder or state_folder())
        journal._write()
        return journal

    def mark(self, *, is_back: bool) -> None:
        """Write down whether `$LATEST` has been put back. Raises BadInputError where that cannot be written."""
        if self.entry.is_back == is_back:
            return
        self.entry = replace(self.entry, is_back=is_back)
        self._write()

    def _write(self) -> None:
        before = self._lock
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _write_durably(self.path, json.dumps(asdict(self.entry), indent=1) + "\n")
        except OSError as error:
            raise BadInputError(
                f"the journal {text.printable(self.path)} cannot be written: {error.strerror or error}",
                hint="set POWERTUNE_STATE_DIR to a folder you can write to",
            ) from error
        if before is not None:
            before.close()

    def record(self, invocation: Invocation) -> None:
        """Add a run of the function to the record. A full disk does not stop the run: its result is in memory, too."""
        line = {
            "memory_mb": invocation.memory_mb,
            "duration_ms": invocation.duration_ms,
            "billed_ms": invocation.billed_ms,
            "init_ms": invocation.init_ms,
            "max_memory_used_mb": invocation.max_memory_used_mb,
            "cold": invocation.cold,
            "request_id": invocation.request_id,
            "payload": invocation.payload,
            "error": invocation.error,
            "status": invocation.status,
        }
        with suppress(OSError):
            if self._recording is None:
                self._recording = self.recording_path.open("a", encoding="utf-8", buffering=1)
            self._recording.write(json.dumps(line) + "\n")

    @property
    def has_recording(self) -> bool:
        """Whether anything was measured."""
        return self.recording_path.exists()

    def close(self) -> None:
        """Close the record."""
        if self._recording is not None:
            with suppress(OSError):
                self._recording.close()
            self._recording = None

    def forget(self) -> None:
        """Take the journal away: the function is as it was."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.release()

    def release(self) -> None:
        """Let go of the journal, which stays: the run has ended, whatever it left, and others may put that back."""
        self.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def forget_recording(self) -> None:
        """Take the record away: its content is kept elsewhere."""
        self.close()
        with suppress(FileNotFoundError):
            self.recording_path.unlink()

    @property
    def is_running(self) -> bool:
        """Whether the run that wrote this is still going, as far as this machine can tell by its lock."""
        try:
            with self.path.open(encoding="utf-8") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: who else looks is not taken for it
        except BlockingIOError:
            return self._lock is None
        except OSError:  # gone meanwhile, or on a file system without locks
            return False
        return False


def journals(folder: Path | None = None) -> Iterator[Journal]:
    """Yield the journals of runs that have not put everything back, oldest first.

    Raises BadInputError for one that cannot be read: it may be the only trace of a change.
    """
    home = folder or state_folder()
    for path in sorted(home.glob("*.json"), key=_age) if home.is_dir() else []:
        try:
            journal = Journal(_read(path), home)
        except FileNotFoundError:  # its run has ended meanwhile
            continue
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BadInputError(
                f"the journal {text.printable(path)} cannot be read: {text.printable(error, limit=80)}",
                hint="it tells what an interrupted run changed: look into it, put that back by hand, and delete it",
            ) from error
        yield journal


def _read(path: Path) -> Entry:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if document["format"] != _FORMAT:
        raise ValueError(f"it has format {document['format']}, of another version of powertune")
    document["sizes_mb"] = tuple(document["sizes_mb"])
    return Entry(**document)


def _age(path: Path) -> tuple[float, str]:
    try:
        return path.stat().st_mtime, path.name
    except FileNotFoundError:  # gone meanwhile
        return 0.0, path.name


def _write_durably(path: Path, content: str) -> TextIO:
    """Write by way of a temporary file that is forced to disk, as is the rename: a crash leaves all of it or nothing.

    Return the open file, locked for as long as this process keeps it open.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    stream = temporary.open("w", encoding="utf-8")
    try:
        with suppress(OSError):  # a file system without locks only loses the sign that the run is alive
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        stream.close()
        with suppress(OSError):
            temporary.unlink()
        raise
    return stream
