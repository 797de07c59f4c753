"""The function that is tuned, as far as it is known."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """None stands for what the source does not tell."""

    name: str | None = None
    runtime: str | None = None
    architecture: str | None = None
    region: str | None = None
    current_memory_mb: int | None = None
    ephemeral_storage_mb: int | None = None
    """Size of /tmp."""
    timeout_s: float | None = None
    """What the function's configuration allows a run, init aside."""
