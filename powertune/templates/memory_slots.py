"""Where memory sizes are written in a text, or can be, and the edits that write others there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from powertune.errors import BadInputError
from powertune.model.configured import Edit
from powertune.templates.document import Document
from powertune.templates.patch import Replacement, patched
from powertune.text import printable


@dataclass(frozen=True, slots=True)
class Slot:
    """The text between two offsets of a document that is, or takes, the memory size of one function or several."""

    document: Document
    start: int
    end: int
    before: str = ""
    after: str = ""

    @property
    def key(self) -> tuple[str, int]:
        """Return what slots that are the same text have in common."""
        return self.document.path.as_posix(), self.start

    def filled(self, memory_mb: int) -> Replacement:
        """Return the change that writes a size in it."""
        return Replacement(self.start, self.end, f"{self.before}{memory_mb}{self.after}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a memory size cannot be written by an edit, and what to do instead."""

    reason: str
    """Continues `the memory of checkout`."""
    hint: str


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
    return tuple(_edit_of(file, chosen.values(), slots) for file in sorted({file for file, _ in chosen}))


def _edit_of(file: str, chosen: Iterable[tuple[str, Slot, int]], slots: Mapping[str, Slot | Refusal]) -> Edit:
    here = [(slot, size) for _, slot, size in chosen if slot.key[0] == file]
    document, keys = here[0][0].document, {slot.key for slot, _ in here}
    changed = tuple(name for name, slot in slots.items() if isinstance(slot, Slot) and slot.key in keys)
    return Edit(file, document.data, patched(document, [slot.filled(size) for slot, size in here]), changed)
