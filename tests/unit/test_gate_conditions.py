"""Conditions of --fail-if: what may be written, what is wrong told with the way out, and when one holds."""

import re

import pytest

from powertune.errors import UsageError
from powertune.gate.conditions import FIELDS, Condition, parse_condition
from powertune.gate.figures import Figure
from powertune.model.judgement import CheckResult


@pytest.mark.parametrize(
    ("spec", "field", "operator", "value", "relative"),
    [
        ("p95>800ms", "p95", ">", 800.0, False),
        ("p95 > 0.8s", "p95", ">", 800.0, False),
        ("duration>=12.5", "duration", ">=", 12.5, False),
        ("usd_per_million>20", "usd_per_million", ">", 20.0, False),
        ("usd-per-million>$20.50", "usd_per_million", ">", 20.5, False),
        ("USD_PER_MONTH<5usd", "usd_per_month", "<", 5.0, False),
        ("cost>+5%", "cost", ">", 5.0, True),
        ("duration > +10 %", "duration", ">", 10.0, True),
        ("duration<-2.5%", "duration", "<", -2.5, True),
        ("memory>+0%", "memory", ">", 0.0, True),
        ("saving>5%", "saving", ">", 5.0, False),
        ("saving>.5", "saving", ">", 0.5, False),
        ("memory!=recommended", "memory", "!=", None, False),
        ("memory == 1GB", "memory", "==", 1024.0, False),
        ("memory>=512MB", "memory", ">=", 512.0, False),
    ],
)
def test_a_condition_is_a_field_an_operator_and_a_value(
    spec: str, field: str, operator: str, value: float | None, *, relative: bool
) -> None:
    found = parse_condition(spec)
    assert (found.field, found.operator, found.value, found.relative) == (field, operator, value, relative)
    assert found.text == re.sub(r"\s+", " ", spec)


@pytest.mark.parametrize(
    ("spec", "complaint", "way_out"),
    [
        ("p99>5", "there is no field 'p99'", "the fields are cost, usd_per_million"),
        ("durations>5", "no field 'durations'", "did you mean duration?"),
        ("cost", "is no condition", "write it like"),
        ("", "is no condition", "write it like"),
        ("cost>", "is no condition", "write it like"),
        ("cost=>5", "is no condition", "write it like"),
        ("cost>five", "'five' is no number", "write it like"),
        ("cost>1e3", "'1e3' is no number", "write it like"),
        ("cost>5%", "cost has no unit '%'", "against the baseline write cost>+5%"),
        ("p95>5%", "p95 has no unit '%'", "p95 takes ms, s"),
        ("p95>+5%", "a sign makes it a change", "cost, usd_per_million, duration, memory"),
        ("saving>+5%", "a sign makes it a change", "such changes are known of"),
        ("cost>+5", "a sign makes it a change", "as in 'cost>+5%'"),
        ("p95>8kg", "p95 has no unit 'kg'", "p95 takes ms, s"),
        ("p95>$8", "p95 has no unit '$'", "p95 takes ms, s"),
        ("p95==8ms", "never equals a number exactly", "> or <"),
        ("cost>recommended", "only memory is recommended", "memory!=recommended"),
    ],
)
def test_a_wrong_condition_is_told_with_the_way_out(spec: str, complaint: str, way_out: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_condition(spec)
    assert complaint in caught.value.message
    assert way_out in caught.value.hint or way_out in caught.value.message


def test_an_unknown_field_lists_all_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        parse_condition("latency>5")
    assert all(field in caught.value.hint for field in FIELDS)


def test_a_hostile_condition_is_shown_harmlessly() -> None:
    with pytest.raises(UsageError) as caught:
        parse_condition("\x1b[31m>5\n::error::")
    assert "\x1b" not in caught.value.message + caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("operator", "interval", "result"),
    [
        (">", (101, 120), "fail"),
        (">", (99, 120), "unknown"),
        (">", (80, 100), "pass"),
        (">=", (100, 120), "fail"),
        ("<", (80, 99), "fail"),
        ("<", (80, 100), "unknown"),
        ("<=", (101, 120), "pass"),
    ],
)
def test_a_condition_holds_only_over_the_whole_interval(
    operator: str, interval: tuple[float, float], result: CheckResult
) -> None:
    condition = Condition("p95 and so on", "p95", operator, 100.0)
    assert condition.holds(Figure(110.0, interval), 100.0) == result
