"""What `Globals` of a SAM template adds to each function. Source: SAM specification, Globals, read 2026-11-26."""

from collections.abc import Callable

from powertune.templates.intrinsics import call_of
from powertune.templates.tree import Entry, ListNode, MapNode, Node, Scalar

_REPLACED_LISTS = {"Architectures"}
"""Lists of a function that take the place of the global one instead of going on after it."""


def of_functions(template: MapNode) -> MapNode | None:
    """Return what all functions have in common."""
    match template.get("Globals"):
        case MapNode(entries={"Function": Entry(value=MapNode() as common)}):
            return common
        case _:
            return None


class Merge:
    """Puts the properties of a function over those of all."""

    def __init__(self, take: Callable[[int], None]) -> None:
        """Say who counts the values that are merged: aliases may hold the same ones in many places."""
        self._take = take

    def properties(self, common: MapNode, own: MapNode, ignored: Node | None) -> MapNode:
        """Return the properties of a function with the global ones below them.

        `ignored` is its attribute `IgnoreGlobals`: names of global properties that it does not take, or `*`.
        """
        match ignored:
            case Scalar(text="*"):
                return own
            case ListNode(items=items):
                without = {item.text for item in items if isinstance(item, Scalar)}
                kept = {name: entry for name, entry in common.entries.items() if name not in without}
                return self._maps(MapNode(kept, common.start, common.end, common.flow), own)
            case _:
                return self._maps(common, own)

    def _maps(self, common: MapNode, own: MapNode) -> MapNode:
        self._take(1 + len(common.entries) + len(own.entries))
        entries = dict(common.entries)
        for name, entry in own.entries.items():
            shared = entries.get(name)
            value = self._values(name, shared.value, entry.value) if shared else entry.value
            entries[name] = Entry(entry.key, value)
        return MapNode(entries, own.start, own.end, own.flow)

    def _values(self, name: str, common: Node, own: Node) -> Node:
        """Merge maps and let lists go on after the global one; all else takes its place, an intrinsic function too."""
        if call_of(common) is None and call_of(own) is None:
            if isinstance(common, MapNode) and isinstance(own, MapNode):
                return self._maps(common, own)
            if isinstance(common, ListNode) and isinstance(own, ListNode) and name not in _REPLACED_LISTS:
                self._take(len(common.items) + len(own.items))
                return ListNode([*common.items, *own.items], own.start, own.end, own.flow)
        return own
