"""What a template says about functions: each value with its file and line, and what could not be resolved said so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

TemplateKind = Literal["sam", "cloudformation", "cdk", "serverless", "terraform-plan", "terraform"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written. Line and column count from 1."""

    file: str
    """As the user would name it from where powertune runs, with forward slashes."""
    line: int
    column: int = 1


@dataclass(frozen=True, slots=True)
class Configured(Generic[T]):
    """One configured value. `value` is None where it could not be resolved, and where nothing is set nor by default."""

    value: T | None
    place: Place | None = None
    """Of the text that decides the value: a literal, a line of Globals, the default of a parameter. None where no text
    does (a default of Lambda's own), or the format knows no lines."""
    origin: str = ""
    """In words: `MemorySize`, `Globals.Function.MemorySize`, `default of parameter Memory`, `default of Lambda`."""
    unresolved: str | None = None
    """Why there is no value, in words that name the expression: `Fn::ImportValue shared-memory`."""


@dataclass(frozen=True, slots=True)
class ConfiguredFunction:
    """A function as a template configures it. Paths are as they can be opened from where powertune runs."""

    name: str
    """What the template calls it: logical id, key under `functions`, Terraform address."""
    kind: TemplateKind
    place: Place
    """Of the function's own definition."""
    memory_mb: Configured[int]
    architecture: Configured[str]
    """`x86_64` or `arm64`."""
    timeout_s: Configured[float]
    ephemeral_storage_mb: Configured[int]
    runtime: Configured[str]
    handler: Configured[str]
    """As the runtime understands it, `app.handler` say; no value for container images."""
    code_path: Configured[str]
    """Folder or archive with the code, where it is local."""
    function_name: Configured[str]
    """What AWS calls it, where the template says so."""
    environment: Mapping[str, Configured[str]] = field(default_factory=dict)
    """Values are secrets until proven otherwise: never print them."""
    environment_unresolved: str | None = None
    """Why there may be variables that `environment` does not hold."""
    layers: tuple[Configured[str], ...] = ()
    """Folders of layers that are local; an ARN is unresolved."""
    package_type: Literal["Zip", "Image"] = "Zip"


@dataclass(frozen=True, slots=True)
class Edit:
    """One file with memory sizes changed and every other byte as it was."""

    file: str
    before: bytes
    after: bytes
    changed: tuple[str, ...]
    """Names of the functions whose memory this edit sets, also those that shared a value with one of them."""
