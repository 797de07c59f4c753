"""A new entry in a map that is already written, in the way the map is written: one line more where lines are used."""

import re
from collections.abc import Sequence

from powertune.templates.document import Document
from powertune.templates.patch import Replacement
from powertune.templates.tree import Entry, MapNode

_COLON = re.compile(r"[ \t]*:[ \t]*")


def inserted_entry(document: Document, target: MapNode, key: str, value: str, *, beside: Sequence[str]) -> Replacement:
    """Return what adds `key: value` to a map that does not write the key itself.

    The entry goes next to the first of the keys `beside` that is there, else to any. `value` is text as it is written.
    """
    written = sorted(target.written(), key=lambda entry: entry.key.start)
    by_name = {entry.key.text: entry for entry in written}
    likeliest = [by_name[name] for name in beside if name in by_name]
    if not written:
        quote = '"' if document.text.lstrip("\ufeff \t\r\n").startswith("{") else ""
        return _at(target.start + 1, f"{quote}{key}{quote}: {value}")
    if target.flow:
        return _before_in_flow(document, (likeliest or written)[0], key, value)
    for entry in (*likeliest, *written):
        if _is_one_line(document, entry):
            return _after_line(document, entry, key, value)
    first = written[0].key.start
    indent = " " * (first - document.line_start(first))
    return _at(first, f"{_like(document, written[0], key)}: {value}{document.line_ending(first)}{indent}")


def _at(offset: int, text: str) -> Replacement:
    return Replacement(offset, offset, text)


def _is_one_line(document: Document, entry: Entry) -> bool:
    # The value of an alias is written elsewhere, before it.
    return entry.key.end <= entry.value.start and "\n" not in document.text[entry.key.start : entry.value.end]


def _like(document: Document, entry: Entry, key: str) -> str:
    """Return a key in quotes if that of an entry is."""
    quote = document.text[entry.key.start]
    return f"{quote}{key}{quote}" if quote in "\"'" else key


def _after_line(document: Document, entry: Entry, key: str, value: str) -> Replacement:
    start = document.line_start(entry.key.start)
    indent = " " * (entry.key.start - start)
    line = f"{_like(document, entry, key)}: {value}{document.line_ending(start)}"
    end = document.text.find("\n", entry.value.end)
    if end >= 0:
        return _at(end + 1, indent + line)
    # The last line of the file is not ended. It stays so, and the new one goes before it.
    return _at(entry.key.start, line + indent)


def _before_in_flow(document: Document, entry: Entry, key: str, value: str) -> Replacement:
    text, at = document.text, entry.key.start
    between = text[entry.key.end : entry.value.start]
    colon = between if _COLON.fullmatch(between) else ": "
    gap = text[len(text[:at].rstrip(" \t\r\n")) : at]
    last_line = gap.rfind("\n")
    after = " " * colon.endswith(" ") if last_line < 0 else document.line_ending(at) + gap[last_line + 1 :]
    return _at(at, f"{_like(document, entry, key)}{colon}{value},{after}")
