"""Changes to a text that leave every other byte as it was, and how they are shown."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from powertune.model.configured import Edit
from powertune.templates.document import Document
from powertune.text import visible

_CONTEXT_LINES = 3


@dataclass(frozen=True, slots=True, order=True)
class Replacement:
    """What stands between two offsets of a document's text, and what takes its place. An insertion has no width."""

    start: int
    end: int
    text: str


def patched(document: Document, replacements: Iterable[Replacement]) -> bytes:
    """Return the bytes of a document with all replacements made; those that are equal count once.

    Raises ValueError where two of them touch the same text.
    """
    parts, at = [], 0
    for replacement in sorted(set(replacements)):
        if replacement.start < at:
            raise ValueError(f"two changes of {document.shown} overlap")
        parts += [document.text[at : replacement.start], replacement.text]
        at = replacement.end
    parts.append(document.text[at:])
    return "".join(parts).encode("utf-8", "surrogateescape")


def unified_diff(edit: Edit) -> str:
    """Return an edit as a unified diff that `git apply` takes, safe to print: control characters are escaped.

    A diff in which something had to be escaped shows the change, but does not apply.
    """
    name = visible(edit.file)
    before, after = _lines(edit.before), _lines(edit.after)
    parts = []
    for line in difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", n=_CONTEXT_LINES):
        body, end = (line[:-1], "\n") if line.endswith("\n") else (line, "\n\\ No newline at end of file\n")
        body, end = (body[:-1], "\r" + end) if body.endswith("\r") else (body, end)
        parts.append(visible(body) + end)
    return "".join(parts)


def _lines(data: bytes) -> list[str]:
    # Not by splitlines, which also ends lines where neither git nor an editor does.
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
