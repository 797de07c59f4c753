"""What a value in a template has to be, whatever the format: numbers may be written as text, and have limits."""

from collections.abc import Callable
from typing import TypeVar

from powertune.aws_lambda.memory import MAX_MEMORY_MB, MAX_TIMEOUT_S, MIN_MEMORY_MB
from powertune.model.configured import Configured, Place
from powertune.text import printable

ARCHITECTURES = ("x86_64", "arm64")
EPHEMERAL_STORAGE_MB = (512, 10_240)
"""Least, which is the default, and most. Source: AWS Lambda quotas page, read 2026-11-23."""

T = TypeVar("T")


def checked(value: object, check: Callable[[object], T], place: Place | None, origin: str) -> Configured[T]:
    """Return a value that a template configures, unresolved where it is not what it has to be."""
    try:
        return Configured(check(value), place, origin)
    except ValueError as error:
        return Configured(None, place, origin, unresolved=f"{origin} is {error}")


def memory_mb(value: object) -> int:
    """Return a memory size in MB. Raises ValueError."""
    return _whole(value, MIN_MEMORY_MB, MAX_MEMORY_MB, "memory size in MB")


def timeout_s(value: object) -> float:
    """Return a timeout in seconds. Raises ValueError."""
    return float(_whole(value, 1, MAX_TIMEOUT_S, "timeout in seconds"))


def ephemeral_storage_mb(value: object) -> int:
    """Return a size of /tmp in MB. Raises ValueError."""
    return _whole(value, *EPHEMERAL_STORAGE_MB, "size of /tmp in MB")


def architecture(value: object) -> str:
    """Return an architecture, also from a list of one. Raises ValueError."""
    only = value[0] if isinstance(value, list) and len(value) == 1 else value
    if only not in ARCHITECTURES:
        raise ValueError(f"{_shown(value)}, which is neither {ARCHITECTURES[0]} nor {ARCHITECTURES[1]}")
    return str(only)


def text(value: object) -> str:
    """Return a text. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{_shown(value)}, which is no text")  # noqa: TRY004 - a value in a template, not in code
    return str(value)


def _whole(value: object, least: int, most: int, what: str) -> int:
    written = str(value).strip() if isinstance(value, str | int) else ""
    number = int(written) if written.isascii() and written.isdigit() and len(written) < len("100000000") else None
    if isinstance(value, float) and value.is_integer():
        number = int(value)
    if number is None or isinstance(value, bool) or not least <= number <= most:
        raise ValueError(f"{_shown(value)}, which is no {what} from {least} to {most}")
    return number


def _shown(value: object) -> str:
    return printable(value, limit=60) if isinstance(value, str | int | float) else "a list or map"
