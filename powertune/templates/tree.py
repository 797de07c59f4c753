"""What YAML and JSON say, with where they say it: scalars, lists, maps and tags over one text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from powertune.text import printable

MAX_DEPTH = 200
"""Of lists and maps in each other. Templates of people stay below thirty."""
MAX_NODES = 1_000_000
MAX_MERGED = 100_000
"""Entries that come into maps by merge keys. What an alias holds is gone through again wherever it is merged."""
MERGE_KEY = "<<"


# Compared by identity: an alias in YAML is the very node of its anchor, and equal texts elsewhere are others.
@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A text, number, truth value or null, as it is written between `start` and `end`."""

    text: str
    """Without quotes and escapes. Numbers, truth values and null as they are spelled."""
    start: int
    end: int
    plain: bool = False
    """Without quotes, so that it may mean a number, a truth value or null."""

    @property
    def is_null(self) -> bool:
        """Say whether it stands for no value."""
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True, eq=False)
class ListNode:
    """A list."""

    items: list["Node"]
    start: int
    end: int
    flow: bool
    """Written with brackets, as in JSON."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A key of a map and its value."""

    key: Scalar
    value: "Node"
    merged: bool = False
    """It came from another map by the merge key `<<` of YAML."""


@dataclass(frozen=True, slots=True, eq=False)
class MapNode:
    """A map in the order of the text. A key appears once: its own one, or the first that was merged in."""

    entries: dict[str, Entry]
    start: int
    end: int
    flow: bool
    """Written with braces, as in JSON."""
    merges: tuple[Entry, ...] = ()
    """The merge keys, which `entries` has not."""

    def get(self, key: str) -> "Node | None":
        """Return the value of a key."""
        entry = self.entries.get(key)
        return entry.value if entry else None

    def written(self) -> Iterator[Entry]:
        """Yield what is written in this map itself: entries that were not merged in, and merge keys."""
        yield from (entry for entry in self.entries.values() if not entry.merged)
        yield from self.merges


@dataclass(frozen=True, slots=True, eq=False)
class Tagged:
    """A value under a tag that YAML itself does not know: `!Ref Memory`."""

    tag: str
    """With its exclamation mark."""
    content: "Scalar | ListNode | MapNode"
    start: int

    @property
    def end(self) -> int:
        """Where the content ends."""
        return self.content.end


Node = Scalar | ListNode | MapNode | Tagged


class UnreadableError(Exception):
    """The text is not what it has to be, at an offset."""

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.offset = offset


_WHOLE_NUMBER = re.compile(r"\s*\+?[0-9]{1,9}\s*", re.ASCII)


def whole_number(text: str) -> int | None:
    """Return a number of up to nine digits, or None for what is none."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


@dataclass(slots=True)
class _Open:
    """A list or map that is being read."""

    start: int
    flow: bool
    is_map: bool
    tag: str | None
    nodes: list[Node] = field(default_factory=list)
    """Items; of a map keys and values in turn."""


class TreeBuilder:
    """Makes a tree of what a parser meets, without recursion and within limits. Raises UnreadableError."""

    def __init__(self) -> None:
        self._root: Node | None = None
        self._open: list[_Open] = []
        self._nodes = 0
        self._merged = 0

    def tree(self) -> Node:
        """Return what was read. Raises UnreadableError where there was nothing."""
        if self._root is None:
            raise UnreadableError("is empty", 0)
        return self._root

    def open(self, start: int, *, is_map: bool, flow: bool, tag: str | None = None) -> None:
        """Begin a list or a map, under a tag of its own if it has one."""
        if len(self._open) >= MAX_DEPTH:
            raise UnreadableError(f"nests deeper than {MAX_DEPTH} levels", start)
        self._open.append(_Open(start, flow, is_map, tag))

    def add(self, node: Node) -> None:
        """Take a value, or a key, where the text has one now."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise UnreadableError(f"holds more than {MAX_NODES:,} values", node.start)
        if self._open:
            self._open[-1].nodes.append(node)
        else:
            self._root = node

    def close(self, end: int) -> Node:
        """End the innermost list or map, and take it."""
        closed = self._open.pop()
        content = self._map(closed, end) if closed.is_map else ListNode(closed.nodes, closed.start, end, closed.flow)
        node = Tagged(closed.tag, content, closed.start) if closed.tag else content
        self.add(node)
        return node

    def _map(self, closed: _Open, end: int) -> MapNode:
        entries: dict[str, Entry] = {}
        merges: list[Entry] = []
        for key, value in zip(closed.nodes[::2], closed.nodes[1::2], strict=True):
            if not isinstance(key, Scalar):
                raise UnreadableError("has a key that is no text", key.start)
            if key.plain and key.text == MERGE_KEY:
                merges.append(Entry(key, value))
            elif key.text in entries:
                raise UnreadableError(f"has the key {printable(key.text, limit=60)} twice in one map", key.start)
            else:
                entries[key.text] = Entry(key, value)
        for merge in merges:
            for source in merge.value.items if isinstance(merge.value, ListNode) else [merge.value]:
                if not isinstance(source, MapNode):
                    raise UnreadableError("merges with << what is no map", merge.key.start)
                self._merged += len(source.entries)
                if self._merged > MAX_MERGED:
                    raise UnreadableError(f"merges more than {MAX_MERGED:,} entries", merge.key.start)
                for name, entry in source.entries.items():
                    entries.setdefault(name, Entry(entry.key, entry.value, merged=True))
        return MapNode(entries, closed.start, end, closed.flow, tuple(merges))
