"""Files that a command writes: as a whole or not at all."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from powertune.errors import BadInputError, PowertuneError, UsageError
from powertune.text import printable

_OWN_FOLDER = ".powertune"
"""Where baselines are kept, by default: made when the first is saved."""


def check_writable(path: str) -> None:
    """Raise PowertuneError if a file could not be written later. Leaves nothing behind."""
    if not path:
        raise UsageError("a file without a name cannot be written", hint="name a file")
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise UsageError(f"{printable(path)} is a folder", hint="name a file in it")
        if _is_own_folder_to_make(target.parent):
            target = target.parent
        if not target.parent.is_dir():
            raise UsageError(
                f"there is no folder {printable(target.parent)}", hint="make it first, or name another file"
            )
        if not _is_special(target):
            target.exists()  # a name that is too long is found out here
            os.close(_temporary(target)[0])
    except OSError as error:
        raise _unwritable(path, error) from error


def write(path: str, content: str | bytes) -> None:
    """Write a file, text as UTF-8, by way of a temporary one in the same folder, then renamed. Raises BadInputError.

    A link is followed; what is no regular file, such as a pipe or a device, is written to as it is.
    """
    target = Path(os.path.realpath(path))
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        if _is_special(target):
            target.write_bytes(data)
            return
        if _is_own_folder_to_make(target.parent):
            target.parent.mkdir(exist_ok=True)
        fd, temporary = _temporary(target, keep=True)
        try:
            with os.fdopen(fd, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.chmod(_mode_for(target))
            temporary.replace(target)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise _unwritable(path, error) from error


def append(path: str, content: str) -> None:
    """Add to the end of a file that others add to as well. Raises BadInputError."""
    try:
        with Path(path).open("a", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            stream.write(content)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: str, error: OSError) -> PowertuneError:
    return BadInputError(
        f"{printable(path)} cannot be written: {error.strerror or error}",
        hint="name a file in a folder you can write to",
    )


def _temporary(target: Path, *, keep: bool = False) -> tuple[int, Path]:
    """Make a temporary file beside `target`, and take it away again unless `keep` is set."""
    import tempfile  # noqa: PLC0415 - slow to load, and only files need it

    fd, name = tempfile.mkstemp(dir=target.parent, prefix=".powertune-")
    if not keep:
        Path(name).unlink()
    return fd, Path(name)


def _is_own_folder_to_make(folder: Path) -> bool:
    return folder.name == _OWN_FOLDER and not folder.exists() and folder.parent.is_dir()


def _is_special(target: Path) -> bool:
    try:
        return not stat.S_ISREG(target.stat().st_mode)
    except FileNotFoundError:
        return False


def _mode_for(target: Path) -> int:
    """Return the permissions of the file that is replaced, or those of any new file."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
