"""Gate results as people and pipelines see them, fixed in files: made anew with `pytest --update-golden`."""

import pytest
from gate_results import RESULTS
from golden_files import STYLES, check, steady

from powertune.report import Style, render_gate

SUFFIXES = {
    "json": "json",
    "csv": "csv",
    "markdown": "md",
    "junit": "xml",
    "sarif": "sarif",
    "github": "github.txt",
    "gitlab": "gitlab.json",
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("result", RESULTS)
def test_the_table_of_a_gate_looks_as_it_did(result: str, style: str, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    table = render_gate(RESULTS[result](), "table", STYLES[style])
    check(f"gate-{result}-{style}.txt", table, update=update_golden)


@pytest.mark.parametrize("format_name", SUFFIXES)
@pytest.mark.parametrize("result", RESULTS)
def test_a_format_of_a_gate_reads_as_it_did(result: str, format_name: str, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    rendered = steady(render_gate(RESULTS[result](), format_name))
    check(f"gate-{result}.{SUFFIXES[format_name]}", rendered, update=update_golden)


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("width", [40, 56, 72, 80, 100, 120, 200])
def test_no_line_of_the_table_of_a_gate_is_wider_than_the_screen(result: str, width: int) -> None:
    assert max(map(len, render_gate(RESULTS[result](), "table", Style(width)).splitlines())) <= width


@pytest.mark.parametrize("result", RESULTS)
def test_without_colour_a_gate_sends_no_escape_sequence_and_in_ascii_nothing_else(result: str) -> None:
    assert "\x1b" not in render_gate(RESULTS[result](), "table", Style(80))
    assert render_gate(RESULTS[result](), "table", Style(80, ascii_only=True)).isascii()
