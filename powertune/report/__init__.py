"""A TuningRun for people and pipelines: one file a format, one registry. Pure functions of the run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING

from powertune import text
from powertune.errors import UsageError

if TYPE_CHECKING:  # looking a format up must not load the nouns
    from powertune.model.tuning_run import TuningRun


@dataclass(frozen=True, slots=True)
class Style:
    """How a format that draws may draw."""

    width: int = 80
    color: bool = False
    ascii_only: bool = False


Renderer = Callable[["TuningRun", Style], str]

# Format to its module; loaded when used, because a table takes rich and JSON takes nothing.
_MODULES = {
    "table": "table",
    "json": "json_format",
    "csv": "csv_format",
    "markdown": "markdown",
    "alpt": "alpt",
    "alpt-url": "alpt_url",
}
_SUFFIXES = {".txt": "table", ".json": "json", ".csv": "csv", ".md": "markdown", ".markdown": "markdown"}

FORMATS = tuple(_MODULES)


def render(run: "TuningRun", format_name: str, style: Style | None = None) -> str:
    """Return `run` in a format, ending in a newline. Raises UsageError for an unknown format."""
    check_format(format_name)
    return load_renderer(format_name)(run, style or Style())


def load_renderer(format_name: str) -> Renderer:
    """Return what renders a format that there is, loaded with the libraries it needs."""
    renderer: Renderer = import_module(f"powertune.report.{_MODULES[format_name]}").render
    return renderer


def check_format(name: str, formats: Sequence[str] = FORMATS) -> None:
    """Raise UsageError for a format that is not among `formats`."""
    if name not in formats:
        raise UsageError(
            f"there is no format {text.printable(name, limit=40)!r}",
            hint=text.nearest(name, formats) or f"choose from {', '.join(formats)}",
        )


def format_of(path: str) -> str:
    """Return the format that a file's suffix stands for. Raises UsageError."""
    suffix = PurePath(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"{text.printable(path)} does not end in a format that powertune writes",
            hint=f"end it in {', '.join(_SUFFIXES)}",
        )
    return _SUFFIXES[suffix]
