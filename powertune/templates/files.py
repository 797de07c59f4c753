"""Files that a template leads to, each read once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from powertune.model.configured import Edit
from powertune.templates.document import Document


@dataclass(frozen=True, slots=True)
class Files:
    """Documents by path, with what edits would make of them in place of what is on disk."""

    edited: Mapping[str, bytes] = field(default_factory=dict)
    _known: dict[str, Document] = field(default_factory=dict)

    @classmethod
    def after(cls, edits: Iterable[Edit]) -> "Files":
        """Return the files as edits leave them."""
        return cls({edit.file: edit.after for edit in edits})

    def document(self, path: Path) -> Document:
        """Return a file; it need not exist, and is read when it is asked for its text."""
        name = path.as_posix()
        if name not in self._known:
            self._known[name] = Document(str(path), self.edited.get(name))
        return self._known[name]

    @property
    def count(self) -> int:
        """Return how many files were asked for."""
        return len(self._known)

    def mention(self, text: str) -> bool:
        """Say whether a text stands in any of the files that were asked for."""
        return any(text in document.text for document in self._known.values())
