"""A JSON value that names its place when it is not what was expected."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeVar

_MEMORY_MB = (128, 10_240)
_LARGEST_AMOUNT = 1e9
"""In ms or MB; what is larger was not measured on Lambda."""

Choice = TypeVar("Choice", bound=str)
Value = TypeVar("Value")


class RunFileError(ValueError):
    """The document is no run file that this version can read; the text says where it is off."""


class Node:
    """A JSON value together with its place in the document, so that every complaint can name the place.

    Readers raise RunFileError for a value of another kind.
    """

    def __init__(self, value: object, place: str) -> None:
        self.value = value
        self.place = place

    def mapping(self) -> Mapping[str, object]:
        """Return the value as an object."""
        if not isinstance(self.value, dict):
            raise self._complaint("an object")
        return self.value

    def child(self, key: str) -> "Node":
        """Return what stands under `key`."""
        if key not in self.mapping():
            raise RunFileError(f"{self.place} has no {key!r}")
        return Node(self.mapping()[key], f"{self.place}, {key!r}")

    def __bool__(self) -> Literal[True]:
        return True

    def optional_child(self, key: str) -> "Node | None":
        """Return what stands under `key`, None where it is missing or null."""
        return self.child(key) if self.mapping().get(key) is not None else None

    def items(self) -> Iterator["Node"]:
        """Yield the items of a list."""
        if not isinstance(self.value, list):
            raise self._complaint("a list")
        return (Node(item, f"{self.place}[{index}]") for index, item in enumerate(self.value))

    def get(self, key: str, read: Callable[["Node"], Value]) -> Value:
        """Return what `read` makes of the value under `key`."""
        return read(self.child(key))

    def get_optional(self, key: str, read: Callable[["Node"], Value]) -> Value | None:
        """Return what `read` makes of the value under `key`, None where it is missing or null."""
        node = self.optional_child(key)
        return read(node) if node else None

    def text(self) -> str:
        """Return the value as text."""
        if not isinstance(self.value, str):
            raise self._complaint("text")
        return self.value

    def boolean(self) -> bool:
        """Return the value as true or false."""
        if not isinstance(self.value, bool):
            raise self._complaint("true or false")
        return self.value

    def number(self) -> float:
        """Return the value as a finite number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not _is_finite(self.value):
            raise self._complaint("a number")
        return float(self.value)

    def integer(self) -> int:
        """Return the value as a whole number."""
        if not self.number().is_integer():
            raise self._complaint("a whole number")
        return int(self.number())

    def count(self) -> int:
        """Return the value as a whole number of at least 0."""
        if self.integer() < 0:
            raise self._complaint("a count")
        return self.integer()

    def memory(self) -> int:
        """Return the value as a memory size in MB."""
        if not _MEMORY_MB[0] <= self.integer() <= _MEMORY_MB[1]:
            raise self._complaint(f"a memory size from {_MEMORY_MB[0]} to {_MEMORY_MB[1]} MB")
        return self.integer()

    def amount(self) -> float:
        """Return the value as a duration in ms or a memory size in MB."""
        if not 0 <= self.number() <= _LARGEST_AMOUNT:
            raise self._complaint("a duration or a memory size")
        return self.number()

    def key_as_memory(self, key: str) -> int:
        """Return a key of an object, which JSON can only write as text, as a memory size in MB."""
        is_size = key.isdecimal() and len(key) <= len(str(_MEMORY_MB[1]))
        return Node(int(key) if is_size else key, f"{self.place}, {key!r}").memory()

    def interval(self) -> tuple[float, float]:
        """Return the value as the two ends of an interval."""
        bounds = [item.number() for item in self.items()]
        if len(bounds) != 2:  # noqa: PLR2004 - an interval has two ends
            raise self._complaint("two numbers")
        return bounds[0], bounds[1]

    @staticmethod
    def choice(options: tuple[Choice, ...]) -> Callable[["Node"], Choice]:
        """Return a reader of one of `options`."""

        def read(node: "Node") -> Choice:
            for option in options:
                if option == node.value:
                    return option
            raise node._complaint(f"one of {', '.join(options)}")  # noqa: SLF001 - the class's own

        return read

    def _complaint(self, wanted: str) -> RunFileError:
        found = str(self.value) if isinstance(self.value, float) else type(self.value).__name__
        return RunFileError(f"{self.place} should be {wanted}, not {found}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False
