"""The formats of AWS Lambda Power Tuning (ALPT): its output JSON, and the link to its chart byte by byte."""

import base64
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from powertune.model.function_facts import FunctionFacts
from powertune.model.recommendation import Recommendation
from powertune.model.size_profile import Cost, Distribution, SizeProfile
from powertune.model.tuning_run import PricesUsed, Spent, TuningRun
from powertune.report import FORMATS, format_of, render
from powertune.report.alpt import CHART_URL, chart_url

REQUEST_FEE = 0.0000002
# Links that ALPT 4.4.0 makes: base, rows of (MB, ms, cost), currency, link. Apache-2.0 project; inputs of its own
# unit tests (the first) and of calls of its code.
LINKS: list[tuple[str, list[tuple[int, float, float]], str, str]] = [
    (
        "https://prefix/",
        [(1, 2, 3), (2, 2, 2), (3, 1, 2)],
        "USD",
        "https://prefix/#AQACAAMA;AAAAQAAAAEAAAIA/;AABAQAAAAEAAAABA",
    ),
    (
        "https://lambda-power-tuning.show/",
        [(1, 2, 3), (2, 2, 2), (3, 1, 2)],
        "CNY",
        "https://lambda-power-tuning.show/?currency=CNY#AQACAAMA;AAAAQAAAAEAAAIA/;AABAQAAAAEAAAABA",
    ),
    ("https://x/", [(128, 100, 1e-7), (10240, 1.5, 2e-7)], "USD", "https://x/#gAAAKA==;AADIQgAAwD8=;lb/WM5W/VjQ="),
    (
        "https://lambda-power-tuning.show/",
        [(128, 16, 0.01), (256, 8, 0.008), (512, 4, 0.005), (1024, 2.8, 0.009), (1536, 2.1, 0.012)],
        "USD",
        "https://lambda-power-tuning.show/#gAAAAQACAAQABg==;AACAQQAAAEEAAIBAMzMzQGZmBkA=;CtcjPG8SAzwK16M7vHQTPKabRDw=",
    ),
    (  # the arrays behind the link in its README
        "https://lambda-power-tuning.show/",
        [
            (128, 37002.3984375, 7.716799882473424e-05),
            (256, 18647.7734375, 7.779199950164184e-05),
            (512, 8489.4365234375, 7.07200015312992e-05),
            (1024, 3890.8916015625, 6.489599763881415e-05),
            (1536, 2512.2265625, 6.489599763881415e-05),
            (3008, 2009.7933349609375, 0.00010264800221193582),
        ],
        "USD",
        f"{CHART_URL}#gAAAAQACAAQABsAL;ZooQR4yvkUa/pQRGRC5zRaADHUVjOftE;QdWhOEMkoziDT5Q4xhiIOMYYiDi6RNc4",
    ),
]
CASES = Path(__file__).parents[3] / "shared" / "data" / "alpt_cases.json"


def run_of(rows: list[tuple[int, float, float]], *, currency: str = "USD", fee: float = REQUEST_FEE) -> TuningRun:
    """Return a run with these durations and costs, the costs without the fee, for the last of the sizes."""
    chosen = rows[-1][0] if rows else None
    return TuningRun(
        tool_version="0",
        created_at="2026-11-23T12:00:00Z",
        source={"kind": "aws"},
        function=FunctionFacts(architecture="x86_64"),
        pricing=PricesUsed("us-east-1", "x86_64", currency, None, 0.0000166667, fee, "list"),
        sizes=tuple(
            SizeProfile(
                memory_mb,
                duration_ms=Distribution(duration_ms),
                cost=Cost(cost + fee, (cost + fee) * 1e6, currency=currency),
            )
            for memory_mb, duration_ms, cost in rows
        ),
        recommendation=Recommendation("cost", chosen, "high", chosen, chosen, chosen),
    )


def decoded(url: str) -> list[tuple[int, float, float]]:
    """Return what ALPT's chart reads out of a link: size in MB, duration in ms, cost."""
    sizes, durations, costs = map(base64.b64decode, url.partition("#")[2].split(";"))
    return list(
        zip(
            struct.unpack(f"<{len(sizes) // 2}h", sizes),
            struct.unpack(f"<{len(durations) // 4}f", durations),
            struct.unpack(f"<{len(costs) // 4}f", costs),
            strict=True,
        )
    )


def output(run: TuningRun) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(render(run, "alpt"))
    return document


@pytest.mark.parametrize(("base", "rows", "currency", "url"), LINKS)
def test_the_link_is_the_one_that_alpt_makes(
    base: str, rows: list[tuple[int, float, float]], currency: str, url: str
) -> None:
    assert chart_url(run_of(rows, currency=currency, fee=0.0), base) == url
    assert chart_url(run_of(rows[::-1], currency=currency, fee=0.0), base) == url


@pytest.mark.skipif(not CASES.exists(), reason="the shared cases of ALPT are not beside this checkout")
def test_the_link_is_the_one_that_alpt_makes_in_all_recorded_cases() -> None:
    cases = [case for case in json.loads(CASES.read_text("utf-8"))["cases"] if case["group"] == "visualization_url"]
    assert cases
    for case in cases:
        rows = [(row["memory_mb"], row["duration_ms"], row["cost"]) for row in case["input"]["stats"]]
        currency = "CNY" if case["input"]["region"].startswith("cn-") else "USD"
        url = chart_url(run_of(rows, currency=currency, fee=0.0), case["input"]["base_url"])
        assert url == case["expected"].get("url", url)
        assert all(part in url for part in case["expected"].get("url_contains", ()))


def test_what_the_link_carries_is_what_the_chart_reads() -> None:
    rows = [(128, 11722.965, 2.442780125e-05), (1769, 860.5, 2.5e-05), (10240, 0.25, 1.6e-07)]
    for read, written in zip(decoded(chart_url(run_of(rows))), rows, strict=True):
        assert read == pytest.approx(written, rel=1e-6)


def test_the_link_is_one_line_and_the_same_in_both_formats() -> None:
    run = run_of([(128, 100, 1e-7), (256, 50, 1e-7)])
    line = render(run, "alpt-url")
    assert line.splitlines() == [output(run)["stateMachine"]["visualization"]]
    assert line.endswith("\n")


def test_the_output_says_what_was_chosen_and_what_each_size_took() -> None:
    run = replace(run_of([(256, 50.5, 2e-7), (128, 100.0, 3e-7)]), spent=Spent(100, 0.0005))
    assert output(run) == {
        "power": 128,
        "cost": 3e-7,
        "duration": 100.0,
        "stateMachine": {
            "executionCost": 0,
            "lambdaCost": 0.00048,
            "visualization": "https://lambda-power-tuning.show/#gAAAAQ==;AADIQgAASkI=;sA+hNJW/VjQ=",
        },
        "stats": [
            {"value": 128, "averagePrice": 3e-7, "averageDuration": 100.0},
            {"value": 256, "averagePrice": 2e-7, "averageDuration": 50.5},
        ],
    }


def test_the_request_fee_is_not_in_the_costs_and_leaves_no_rounding_noise_behind() -> None:
    run = run_of([(1024, 1466, 2.443822e-05)])
    assert output(run)["cost"] == 2.443822e-05


def test_a_cost_is_never_below_zero() -> None:
    run = run_of([(128, 1, 0.0)])
    dearer = replace(run, pricing=replace(run.pricing, per_request=1.0))
    assert output(dearer)["cost"] == 0


def test_sizes_without_figures_are_left_out() -> None:
    run = run_of([(256, 50, 2e-7), (512, 30, 3e-7)])
    run = replace(run, sizes=(SizeProfile(128, "out-of-memory", "needs more"), *run.sizes))
    assert [row["value"] for row in output(run)["stats"]] == [256, 512]
    assert [row[0] for row in decoded(chart_url(run))] == [256, 512]


def test_without_a_recommendation_the_figures_of_the_sizes_are_still_there() -> None:
    run = run_of([(256, 50, 2e-7)])
    run = replace(run, recommendation=Recommendation("cost", None, "inconclusive", None, None, None))
    document = output(run)
    assert [document[key] for key in ("power", "cost", "duration")] == [None, None, None]
    assert [row["value"] for row in document["stats"]] == [256]


def test_a_run_without_any_figures_is_still_valid_json_and_one_link() -> None:
    document = output(run_of([]))
    assert document["stats"] == []
    assert render(run_of([]), "alpt-url") == "https://lambda-power-tuning.show/#;;\n"


def test_a_cost_too_large_for_the_chart_is_drawn_as_large_as_it_can() -> None:
    assert decoded(chart_url(run_of([(128, 1, 1e300)])))[0][2] == pytest.approx(3.4e38, rel=0.01)


def test_both_formats_are_chosen_by_name_and_by_no_suffix() -> None:
    assert {"alpt", "alpt-url"} <= set(FORMATS)
    assert format_of("run.alpt.json") == "json"
