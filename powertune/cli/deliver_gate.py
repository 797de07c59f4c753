"""What commands do with a gate result: to standard output and files, and where a CI job looks for it."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from powertune.cli import files
from powertune.cli.deliver import check_outputs, screen_style, show_warnings, write_out
from powertune.cli.options import Delivery, GateDelivery
from powertune.report import GATE_FORMATS, Style, check_format, format_of, render_gate

if TYPE_CHECKING:  # the nouns take longer to load than --version may take
    from powertune.model.configured import Place
    from powertune.model.judgement import GateResult

_OF_REPOSITORY = ("sarif", "github", "gitlab")
"""Formats whose readers look files up from the root of the repository."""
_NEEDS_PLACE = ("sarif", "gitlab")
"""Formats that cannot show a finding that is at no line of a file."""


def check_gate(delivery: Delivery, *, inputs: Sequence[str] = ()) -> None:
    """Raise PowertuneError for an output that could not be written later, before any work is done.

    `inputs` are files that must not be written over.
    """
    check_format(delivery.format_name, GATE_FORMATS)
    check_outputs(delivery, GATE_FORMATS, inputs)


def deliver_gate(result: "GateResult", delivery: GateDelivery) -> None:
    """Write a gate result everywhere it was asked for. The exit code is the caller's to give.

    With the format `github` the summary of the job and the outputs of the step are written, too, where GitHub says
    where: to $GITHUB_STEP_SUMMARY and $GITHUB_OUTPUT.
    """
    root, name = _root(), delivery.comment_name
    style = replace(screen_style(sys.stdout, no_color=delivery.no_color), name=name)
    write_out(_rendered(result, delivery.format_name, style, root), sys.stdout)
    for path in delivery.output or ():
        files.write(path, _rendered(result, format_of(path, GATE_FORMATS), Style(width=120, name=name), root))
    if delivery.save is not None:
        files.write(delivery.save, render_gate(result, "json"))
    if delivery.format_name == "github":
        _tell_github(result, delivery)
    if not delivery.quiet:
        with suppress(OSError):  # warnings that nobody can read are no reason to fail
            _warn(result, delivery)


def _rendered(result: "GateResult", format_name: str, style: Style, root: str) -> str:
    return render_gate(_from(root, result) if format_name in _OF_REPOSITORY else result, format_name, style)


def _root() -> str:
    """Return the folder that a CI job checked the repository out into, elsewhere the working directory."""
    named = os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR") or "."
    return os.path.realpath(named)


def _from(root: str, result: "GateResult") -> "GateResult":
    """Return the result with files named from `root`, where they lie in it."""

    def moved(place: "Place | None") -> "Place | None":
        if place is None:
            return None
        try:
            path = os.path.realpath(place.file)
        except (OSError, ValueError):  # a name that no file can have, from a file that somebody made up
            return place
        if not path.startswith(os.path.join(root, "")):  # noqa: PTH118 - adds the separator that ends the folder's name
            return place
        return replace(place, file=os.path.relpath(path, root).replace(os.sep, "/"))

    judgements = (replace(judgement, place=moved(judgement.place)) for judgement in result.judgements)
    return replace(result, judgements=tuple(judgements))


def _tell_github(result: "GateResult", delivery: GateDelivery) -> None:
    from powertune.report import github  # noqa: PLC0415 - loads the nouns

    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        written = Path(summary).stat().st_size if Path(summary).is_file() else 0
        style = Style(name=delivery.comment_name, most_bytes=max(0, github.SUMMARY_BYTES - written))
        files.append(summary, render_gate(result, "markdown", style))
    if outputs := os.environ.get("GITHUB_OUTPUT"):
        report_path = next(iter(delivery.output or ()), delivery.save or "")
        files.append(outputs, github.outputs(result, report_path))


def _warn(result: "GateResult", delivery: Delivery) -> None:
    from powertune.model.run_warning import RunWarning  # noqa: PLC0415 - see above
    from powertune.report.verdicts import without_place  # noqa: PLC0415 - likewise

    if delivery.format_name != "table":  # the table itself shows them
        show_warnings(result.warnings, sys.stderr)
    formats = {delivery.format_name, *(format_of(path, GATE_FORMATS) for path in delivery.output or ())}
    if (blind := [one for one in _NEEDS_PLACE if one in formats]) and (lost := without_place(result)):
        functions = sorted({one.judgement.function for one in lost})
        message = f"{' and '.join(blind)} cannot show findings of {', '.join(functions)}: no file is known for them"
        show_warnings(
            [RunWarning("no-place", message, "name the template that configures them: --template")], sys.stderr
        )
