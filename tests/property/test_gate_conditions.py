"""Conditions of --fail-if: whatever is written is understood as it was meant, or refused in words."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powertune.errors import UsageError
from powertune.gate.conditions import FIELDS, parse_condition

decimals = st.decimals(min_value=0, max_value=10**9, places=3, allow_nan=False, allow_infinity=False)
spaces = st.sampled_from(["", " ", "  "])


@given(
    st.sampled_from([field for field in FIELDS if field != "memory"]),
    st.sampled_from([">", ">=", "<", "<="]),
    decimals,
    spaces,
)
def test_every_field_takes_any_decimal_exactly(field: str, operator: str, value: object, space: str) -> None:
    found = parse_condition(f"{space}{field}{space}{operator}{space}{value}{space}")
    assert (found.field, found.operator, found.value) == (field, operator, float(str(value)))


@given(st.sampled_from(["cost", "usd_per_million", "duration", "memory"]), st.sampled_from("+-"), decimals, spaces)
def test_every_signed_percentage_is_a_change(field: str, sign: str, value: object, space: str) -> None:
    found = parse_condition(f"{field}>{space}{sign}{value}{space}%")
    assert found.relative
    assert found.value == float(f"{sign}{value}")


@given(st.text(max_size=200))
def test_any_text_is_a_condition_or_refused_in_words(spec: str) -> None:
    refused = ""
    try:
        found = parse_condition(spec)
    except UsageError as error:
        refused = error.message + error.hint
    else:
        assert found.field in FIELDS
        assert found.value is None or math.isfinite(found.value)
    assert not refused or refused.isprintable()


@pytest.mark.parametrize("digits", ["9" * 15, "0." + "3" * 15])
def test_numbers_have_fifteen_digits_at_most(digits: str) -> None:
    assert parse_condition(f"cost>{digits}").value == float(digits)
    with pytest.raises(UsageError):
        parse_condition(f"cost>{digits}1")
