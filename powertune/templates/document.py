"""A template file: its text exactly as it is on disk, where lines begin, and its tree with positions."""

import os
from bisect import bisect_right
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from powertune.errors import BadInputError
from powertune.model.configured import Place
from powertune.templates import json_tree
from powertune.templates.tree import Node, UnreadableError
from powertune.text import printable

MAX_BYTES = 16 * 1024 * 1024
"""CloudFormation takes templates of 1 MB at most; plans of Terraform may be larger."""
_BYTE_ORDER_MARK = "\ufeff"
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")


class Document:
    """A file, or a folder of files, that may be a template. Nothing is read before it is asked for.

    Positions are offsets in `text`, in which a byte that is no UTF-8 stands as one lone surrogate, so that `encode`
    gives back the very bytes.
    """

    def __init__(self, path: str, data: bytes | None = None) -> None:
        """Name a file; `data` is its content where that is not what is on disk, an edit to be checked say."""
        self.path = Path(path)
        self.shown = printable(path, limit=120)
        self._given = data

    @cached_property
    def data(self) -> bytes:
        """The bytes of the file. Raises BadInputError where it cannot be read, or is far too large."""
        if self._given is not None:
            return self._given
        try:
            with self.path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except FileNotFoundError:
            raise BadInputError(f"there is no file {self.shown}", hint="name the template") from None
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise BadInputError(f"{self.shown} cannot be read: {why}", hint="name the template") from error
        if len(data) > MAX_BYTES:
            raise self.bad(f"is larger than {MAX_BYTES // 1024**2} MB", hint="name a template, which is far smaller")
        return data

    @cached_property
    def text(self) -> str:
        """The text with its line endings and byte order mark. Raises BadInputError for what is no text."""
        if self.data.startswith(_OTHER_ENCODINGS) or b"\0" in self.data:
            raise self.bad("is no UTF-8 text", hint="name a template, saved as UTF-8")
        return self.data.decode("utf-8", "surrogateescape")

    @cached_property
    def tree(self) -> Node:
        """What the text says as YAML or JSON. Raises BadInputError with the line where it is neither."""
        start = len(_BYTE_ORDER_MARK) if self.text.startswith(_BYTE_ORDER_MARK) else 0
        try:
            if self.path.suffix.lower() == ".json":
                return json_tree.parse(self.text, start)
            if self.text[start:].lstrip()[:1] in ("{", "["):  # JSON by another name, or YAML that begins so
                with suppress(UnreadableError):
                    return json_tree.parse(self.text, start)
            from powertune.templates import yaml_tree  # noqa: PLC0415 - it loads the YAML parser

            return yaml_tree.parse(self.text, start)
        except UnreadableError as error:
            raise self.bad(error.problem, hint="name a template in YAML or JSON", offset=error.offset) from None

    @cached_property
    def _line_starts(self) -> list[int]:
        starts, found = [0], self.text.find("\n")
        while found >= 0:
            starts.append(found + 1)
            found = self.text.find("\n", found + 1)
        return starts

    def place(self, offset: int) -> Place:
        """Return where an offset of the text is, for people."""
        line = bisect_right(self._line_starts, offset)
        return Place(self.path.as_posix(), line, offset - self._line_starts[line - 1] + 1)

    def line_start(self, offset: int) -> int:
        """Return the offset at which the line of `offset` begins."""
        return self._line_starts[bisect_right(self._line_starts, offset) - 1]

    def line_ending(self, offset: int) -> str:
        """Return how the line of `offset` ends; the way of the file's first line if it is the last, and does not."""
        end = self.text.find("\n", offset)
        if end < 0:
            end = self.text.find("\n")
        return "\r\n" if end > 0 and self.text[end - 1] == "\r" else "\n"

    def beside(self, relative: str) -> str:
        """Return a path that the template names, relative to its own folder, as it can be opened from here."""
        return Path(os.path.normpath(self.path.parent / relative)).as_posix()

    def bad(self, what: str, *, hint: str, offset: int | None = None) -> BadInputError:
        """Return an error about this file: `what` continues its name."""
        if offset is not None:
            place = self.place(offset)
            what += f": line {place.line}, column {place.column}"
        return BadInputError(f"{self.shown} {what}", hint=hint)
