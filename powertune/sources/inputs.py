"""Which files are meant: names, folders, patterns, standard input and S3 prefixes, and in which parts to read them."""

import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from powertune import text
from powertune.errors import BadInputError
from powertune.sources.byte_streams import GZIP_MAGIC
from powertune.sources.line_reader import SYNC
from powertune.sources.reading import STANDARD_INPUT, Part

SMALLEST_RANGE = 16 << 20
"""Bytes of a file that are worth a part of their own."""

_WINDOW = 1 << 20
_SYNC = re.compile(rb"\n(?=" + SYNC.pattern.encode() + rb")")
_PATTERN = re.compile(r"[*?\[]")


@dataclass(slots=True)
class Inputs:
    """The files to read, in order."""

    files: list[Part] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of each file, by name, where they are known."""
    unreadable: list[str] = field(default_factory=list)
    """Folders that could not be looked into."""


def find_inputs(names: Sequence[str]) -> Inputs:
    """Return the files that names stand for. Raises BadInputError for names that stand for nothing."""
    inputs = Inputs()
    seen: set[tuple[int, int]] = set()
    for name in names:
        if name == STANDARD_INPUT:
            inputs.files.append(Part(STANDARD_INPUT))
        elif name.startswith("s3://"):
            _add_objects(inputs, name)
        else:
            _add_paths(inputs, name, seen)
    return inputs


def _add_objects(inputs: Inputs, url: str) -> None:
    from powertune.sources.aws.s3_objects import find_objects  # noqa: PLC0415 - boto3 is slow to load

    found = find_objects(url)
    for name, size in found:
        # One that is named in full has to hold something; among all of a prefix there may be others.
        inputs.files.append(Part(name, is_found=name != url))
        inputs.sizes[name] = size


def _add_paths(inputs: Inputs, name: str, seen: set[tuple[int, int]]) -> None:
    if not name:
        raise BadInputError("a file or folder without a name cannot be read", hint="name it")
    paths = [name]
    if _PATTERN.search(name) and not os.path.lexists(name):
        paths = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute patterns
        if not paths:
            raise BadInputError(f"no file is called {text.printable(name)}", hint="check the pattern")
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - a path that is no valid one is told when it is opened
        except (OSError, ValueError):
            inputs.files.append(Part(path))
            continue
        if not stat.S_ISDIR(status.st_mode):
            _add_file(inputs, Part(path), status, seen)
            continue
        before = len(inputs.files)
        _add_folder(inputs, path, seen)
        if len(inputs.files) == before:
            raise BadInputError(f"the folder {text.printable(path)} holds no files", hint="name one that does")


def _add_folder(inputs: Inputs, folder: str, seen: set[tuple[int, int]]) -> None:
    """Add the files in a folder and in those below, each once however links lead to it."""
    if Path(folder).resolve() == Path(folder).resolve().parent:
        raise BadInputError(f"{text.printable(folder)} is the folder of all folders", hint="name a folder in it")
    visited: set[tuple[int, int]] = set()

    def note(error: OSError) -> None:
        inputs.unreadable.append(f"{text.printable(error.filename)}: {error.strerror}")

    for place, folders, files in os.walk(folder, followlinks=True, onerror=note):
        status = os.stat(place)  # noqa: PTH116 - the same as below
        if (status.st_dev, status.st_ino) in visited:  # a link that leads back
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            path = os.path.join(place, name)  # noqa: PTH118 - as it was named
            try:
                status = os.stat(path)  # noqa: PTH116 - the same
            except OSError:
                continue  # a link to nowhere
            if stat.S_ISREG(status.st_mode):  # reading a pipe that happens to lie there might never end
                _add_file(inputs, Part(path, is_found=True), status, seen)


def _add_file(inputs: Inputs, part: Part, status: os.stat_result, seen: set[tuple[int, int]]) -> None:
    key = (status.st_dev, status.st_ino)
    if stat.S_ISREG(status.st_mode):
        if key in seen:
            return
        seen.add(key)
        # A file that grows is read up to where it ended when it was found.
        part = replace(part, end=status.st_size)
        inputs.sizes[part.name] = status.st_size
    inputs.files.append(part)


def split(part: Part, parts: int) -> list[Part]:
    """Return a file in up to so many parts of about the same size, each beginning with a record of a log.

    What cannot be parted, as it is packed, or no log, is one part.
    """
    size = part.end or 0
    parts = min(parts, size // SMALLEST_RANGE)
    if parts < 2 or part.name.startswith("s3://"):  # noqa: PLR2004 - one part is the whole
        return [part]
    try:
        with Path(part.name).open("rb", buffering=0) as raw:
            if raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC:
                return [part]
            places = [0, *_boundaries(raw.fileno(), size, parts), size]
    except OSError:
        return [part]
    return [
        replace(part, begin=begin, end=end, is_whole=len(places) == 2)  # noqa: PLR2004 - its begin and its end
        for begin, end in pairwise(places)
    ]


def _boundaries(fd: int, size: int, parts: int) -> Iterator[int]:
    """Yield where records begin that part a file evenly, as far as there are any nearby."""
    last = 0
    for number in range(1, parts):
        place = size * number // parts
        found = _SYNC.search(os.pread(fd, _WINDOW, place))
        if found and place + found.end() > last:
            last = place + found.end()
            yield last
