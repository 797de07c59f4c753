"""What a template is read with besides its own text."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Inputs:
    """Values given from outside. A value that they decide has no place in the file."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    """For parameters or variables by name; they go before the template's defaults."""
    stage: str | None = None
    """For formats that have stages, such as Serverless."""
