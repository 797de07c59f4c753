"""Runs and gate results for people and pipelines: one file a format, one registry. Pure functions of what they show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from powertune import text
from powertune.errors import UsageError

if TYPE_CHECKING:  # looking a format up must not load the nouns
    from powertune.model.judgement import GateResult
    from powertune.model.run_comparison import RunsComparison
    from powertune.model.tuning_run import TuningRun

_COMMENT_BYTES = 60_000
"""GitHub takes 65,536 characters in a comment. Bytes are at least as many, and a job may add words of its own."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a format may draw, where it draws."""

    width: int = 80
    color: bool = False
    ascii_only: bool = False
    name: str = "gate"
    """Of the hidden mark by which a job finds its own comment again: one for each gate that comments."""
    most_bytes: int = _COMMENT_BYTES
    """Longest markdown of a gate result, in bytes of UTF-8. Rows that go beyond it are left out, and counted."""


@dataclass(frozen=True, slots=True)
class _Format:
    """A format's modules under powertune.report; loaded when used, because a table takes rich and JSON nothing."""

    run: str | None = None
    """Renders a TuningRun; None where the format makes sense for findings alone."""
    gate: str | None = None
    """Renders a GateResult."""
    comparison: str | None = None
    """Renders a RunsComparison."""
    suffixes: tuple[str, ...] = ()
    """Of files in this format; the longest that fits counts."""


_FORMATS = {
    "table": _Format("table", "gate_table", "compare_table", (".txt",)),
    "json": _Format("json_format", "gate_json", "compare_json", (".json",)),
    "csv": _Format("csv_format", "gate_csv", suffixes=(".csv",)),
    "markdown": _Format("markdown", "gate_markdown", "compare_markdown", (".md", ".markdown")),
    "html": _Format("html", suffixes=(".html", ".htm")),
    "junit": _Format(gate="junit", suffixes=(".xml",)),
    "sarif": _Format(gate="sarif", suffixes=(".sarif", ".sarif.json")),
    "github": _Format(gate="github"),
    "gitlab": _Format(gate="gitlab", suffixes=(".gitlab.json",)),
    "alpt": _Format("alpt"),
    "alpt-url": _Format("alpt_url"),
}
FORMATS = tuple(name for name, known in _FORMATS.items() if known.run)
"""Formats of a run."""
GATE_FORMATS = tuple(name for name, known in _FORMATS.items() if known.gate)
"""Formats of a gate result."""
COMPARISON_FORMATS = tuple(name for name, known in _FORMATS.items() if known.comparison)
"""Formats of a comparison of runs."""


def render(run: "TuningRun", format_name: str, style: Style | None = None) -> str:
    """Return `run` in a format, ending in a newline. Raises UsageError for an unknown format."""
    check_format(format_name)
    return _rendered(_FORMATS[format_name].run, run, style)


def render_gate(result: "GateResult", format_name: str, style: Style | None = None) -> str:
    """Return a gate result in a format, ending in a newline. Raises UsageError for an unknown format."""
    check_format(format_name, GATE_FORMATS)
    return _rendered(_FORMATS[format_name].gate, result, style)


def render_comparison(comparison: "RunsComparison", format_name: str, style: Style | None = None) -> str:
    """Return a comparison of runs in a format, ending in a newline. Raises UsageError for an unknown format."""
    check_format(format_name, COMPARISON_FORMATS)
    return _rendered(_FORMATS[format_name].comparison, comparison, style)


def _rendered(module: str | None, shown: Any, style: Style | None) -> str:
    rendered: str = import_module(f"powertune.report.{module}").render(shown, style or Style())
    return rendered


def check_format(name: str, formats: Sequence[str] = FORMATS) -> None:
    """Raise UsageError for a format that is not among `formats`."""
    if name in formats:
        return
    if name in _FORMATS:
        raise UsageError(f"{name} is a format of other results", hint=f"choose from {', '.join(formats)}")
    raise UsageError(
        f"there is no format {text.printable(name, limit=40)!r}",
        hint=text.nearest(name, formats) or f"choose from {', '.join(formats)}",
    )


def format_of(path: str, formats: Sequence[str] = FORMATS) -> str:
    """Return the one among `formats` that a file's suffix stands for. Raises UsageError."""
    name = PurePath(path).name.lower()
    suffixes = _suffixes(formats)
    for suffix in sorted(suffixes, key=len, reverse=True):
        if name.endswith(suffix) and name != suffix:
            return suffixes[suffix]
    raise UsageError(
        f"{text.printable(path)} does not end in a format that powertune writes",
        hint=f"end it in {', '.join(suffixes)}",
    )


def _suffixes(formats: Iterable[str]) -> dict[str, str]:
    return {suffix: name for name in formats for suffix in _FORMATS[name].suffixes}
