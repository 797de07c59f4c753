"""Comparisons of runs as people and programs see them, fixed in files: made anew with `pytest --update-golden`."""

from dataclasses import replace

import pytest
from gate_results import run
from golden_files import STYLES, check

from powertune.comparing import compare_runs
from powertune.model.run_comparison import RunsComparison
from powertune.report import render_comparison


def commits() -> RunsComparison:
    """Return a comparison of three functions: one slower, one as it was, one measured once; two have no partner."""
    before = [
        run("Orders", {256: 822.4, 512: 409.3, 1024: 204.6}, 512),
        run("Reports", {1024: 690.1, 1769: 402.0, 3008: 400.0}, 3008, scatter=0.02),
        run("Imports", {512: 100.0}, 512),
        run("Legacy", {512: 100.0, 1024: 90.0}, 512),
    ]
    once = run("Imports", {512: 104.0}, 512)
    size = once.size(512)
    once = replace(once, sizes=(replace(size, invocations=replace(size.invocations, warm=1)),))
    after = [
        run("Orders", {256: 1050.2, 512: 521.8, 1024: 262.0, 2048: 160.0}, 512),
        run("Reports", {1024: 693.3, 1769: 404.6, 3008: 399.1}, 1769, scatter=0.02),
        once,
        run("Invoices", {512: 100.0, 1024: 90.0}, 512),
    ]
    return compare_runs(before, after)


@pytest.mark.parametrize("style", STYLES)
def test_a_comparison_looks_as_it_did(style: str, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    check(f"compare-{style}.txt", render_comparison(commits(), "table", STYLES[style]), update=update_golden)


@pytest.mark.parametrize(("format_name", "suffix"), [("markdown", "md"), ("json", "json")])
def test_a_format_of_a_comparison_reads_as_it_did(format_name: str, suffix: str, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    check(f"compare.{suffix}", render_comparison(commits(), format_name), update=update_golden)
