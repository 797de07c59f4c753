"""Where memory sizes are written in a text, or can be, and the edits that write others there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from powertune.errors import BadInputError
from powertune.model.configured import ConfiguredFunction, Edit
from powertune.templates.document import Document
from powertune.templates.edit_check import functions_changed
from powertune.templates.files import Files
from powertune.templates.insertion import inserted_entry
from powertune.templates.patch import Replacement, patched
from powertune.templates.tree import MapNode, Scalar, whole_number
from powertune.text import printable


@dataclass(frozen=True, slots=True)
class Slot:
    """The text of a document that is, or takes, the memory size of one function or several."""

    document: Document
    start: int
    filled: Callable[[int], Replacement]
    """Returns the change that writes a size in MB in it."""

    @property
    def key(self) -> tuple[str, int]:
        """Return what slots that are the same text have in common."""
        return self.document.path.as_posix(), self.start


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a memory size cannot be written by an edit, and what to do instead."""

    reason: str
    """Continues `the memory of checkout`."""
    hint: str


def number(document: Document, literal: Scalar) -> Slot | Refusal:
    """Return the slot of a number that is written, in quotes or not."""
    raw, digits = document.text[literal.start : literal.end], literal.text.strip()
    if whole_number(digits) is None or raw.count(digits) != 1:
        place = document.place(literal.start)
        return Refusal(
            "is no whole number" if whole_number(digits) is None else "is written in an unusual way",
            hint=f"edit it by hand: line {place.line} of {document.shown}",
        )
    start = literal.start + raw.index(digits)
    return Slot(document, start, lambda size: Replacement(start, start + len(digits), str(size)))


def new_entry(document: Document, target: MapNode, key: str, beside: Sequence[str]) -> Slot:
    """Return the slot of an entry that a map does not have, next to the first of the keys `beside` that it has."""

    def filled(size: int) -> Replacement:
        return inserted_entry(document, target, key, str(size), beside=beside)

    return Slot(document, filled(0).start, filled)


def unless_so(slot: Slot | Refusal, memory_mb: int | None) -> Slot | Refusal:
    """Return the slot of a new entry that stays empty for the size that a function has without it."""
    if isinstance(slot, Refusal):
        return slot
    empty = Replacement(slot.start, slot.start, "")
    return Slot(slot.document, slot.start, lambda size: empty if size == memory_mb else slot.filled(size))


def edits(slots: Mapping[str, Slot | Refusal], memory_mb: Mapping[str, int]) -> tuple[Edit, ...]:
    """Return the edits that give the named functions these sizes. `slots` are those of all functions, by name.

    Raises BadInputError where a size cannot be written, or where two that share one text are to differ.
    """
    chosen: dict[tuple[str, int], tuple[str, Slot, int]] = {}
    for name, size in memory_mb.items():
        slot = slots[name]
        if isinstance(slot, Refusal):
            raise BadInputError(f"the memory of {printable(name, limit=80)} {slot.reason}", hint=slot.hint)
        other, _, others = chosen.setdefault(slot.key, (name, slot, size))
        if others != size:
            raise BadInputError(
                f"{printable(other, limit=80)} and {printable(name, limit=80)} share one memory size, and are to get"
                f" {others} and {size} MB",
                hint="give each its own in the template first",
            )
    made = (_edit_of(file, chosen.values(), slots) for file in sorted({file for file, _ in chosen}))
    return tuple(edit for edit in made if edit.before != edit.after)


def checked_edits(
    slots: Mapping[str, Slot | Refusal],
    memory_mb: Mapping[str, int],
    document: Document,
    read: Callable[[Document, Files], Sequence[ConfiguredFunction]],
) -> tuple[Edit, ...]:
    """Return the edits as `edits` does, after they were read again.

    `read` reads the functions of the template, given anew, with files as they would be then. Raises BadInputError, too,
    where a wanted size is not read back or more than memory changed.
    """
    made = edits(slots, memory_mb)
    before, files = read(document, Files()), Files.after(made)
    try:
        after = read(files.document(document.path), files)
    except BadInputError:
        raise BadInputError(
            f"{document.shown} is written in a way that cannot be edited", hint=f"edit {document.shown} by hand"
        ) from None
    changed = functions_changed(before, after, memory_mb, shown=document.shown)
    for was, now in zip(before, after, strict=True):
        if was.memory_mb.value is not None and now.memory_mb.value is None:
            raise BadInputError(
                f"the memory of {printable(was.name, limit=80)} would no longer be one: {now.memory_mb.unresolved}",
                hint=f"edit {document.shown} by hand",
            )
    places = {function.name: function.memory_mb.place for function in after}
    return tuple(
        replace(edit, changed=tuple(name for name in changed if (place := places[name]) and place.file == edit.file))
        for edit in made
    )


def _edit_of(file: str, chosen: Iterable[tuple[str, Slot, int]], slots: Mapping[str, Slot | Refusal]) -> Edit:
    here = [(slot, size) for _, slot, size in chosen if slot.key[0] == file]
    document, keys = here[0][0].document, {slot.key for slot, _ in here}
    changed = tuple(name for name, slot in slots.items() if isinstance(slot, Slot) and slot.key in keys)
    return Edit(file, document.data, patched(document, [slot.filled(size) for slot, size in here]), changed)
