"""What a reader should know before trusting the answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunWarning:
    """A doubt about the data or the answer. `hint` says what would cure it, ending in the flag where there is one."""

    code: str
    message: str
    hint: str
    memory_mb: int | None = None
