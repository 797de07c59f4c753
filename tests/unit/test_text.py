"""Text from outside made safe, and numbers made readable."""

import pytest

from powertune.text import count, duration, inert, money, nearest, percent, printable, rough_duration, symbol


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text", "plain text"),
        ("größer 日本語 🙂", "größer 日本語 🙂"),
        ("  tabs\tand\nlines\r\n  are   folded ", "tabs and lines are folded"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x00nul\x7f", "\\x00nul\\x7f"),
        ("\x9b31m", "\\x9b31m"),  # one character that starts a terminal command
        ("abc\u202ecba", "abc\\u202ecba"),  # from here on, right to left
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),  # nothing to see
        ("a\u2028b\u00a0c", "a b c"),
        ("\ud800", "\\ud800"),
        ("\ue000", "\\ue000"),
        ("\U000e0041", "\\U000e0041"),
        (12, "12"),
        (None, "None"),
        ("", ""),
    ],
)
def test_text_from_outside_is_shown_on_one_line_without_anything_a_terminal_obeys(text: object, expected: str) -> None:
    assert printable(text) == expected


def test_text_up_to_the_limit_is_kept_and_longer_text_is_cut_to_it() -> None:
    assert printable("x" * 200) == "x" * 200
    assert printable("x" * 201) == "x" * 197 + "..."
    assert printable("123456", limit=5) == "12..."
    assert printable("12345", limit=5) == "12345"


def test_escapes_count_towards_the_limit() -> None:
    assert printable("\x1b" * 5, limit=10) == "\\x1b\\x1..."


def test_a_text_whose_rest_was_not_looked_at_says_so() -> None:
    assert printable(" " * 100 + "hidden", limit=10) == "..."
    assert printable("a" + " " * 100 + "hidden", limit=10) == "a..."


def test_names_close_to_a_word_are_suggested() -> None:
    known = ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1"]
    assert nearest("us-east-1", known).startswith("did you mean us-east-1, ")
    assert nearest("us-east-1", known).count(",") == 2
    assert nearest("west", known).startswith("did you mean ")


def test_names_are_suggested_whatever_the_case_of_the_word() -> None:
    assert nearest("US-EAST-1", ["us-east-1"]) == "did you mean us-east-1?"


def test_names_that_hold_the_word_are_suggested_too() -> None:
    assert nearest("orders", ["a-very-long-prefix-orders-and-a-long-end", "x"]) == (
        "did you mean a-very-long-prefix-orders-and-a-long-end?"
    )


@pytest.mark.parametrize(("word", "known"), [("zzz", ["us-east-1"]), ("", ["us-east-1"]), ("us-east-1", [])])
def test_without_a_close_name_nothing_is_suggested(word: str, known: list[str]) -> None:
    assert nearest(word, known) == ""


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 sizes"), (1, "1 size"), (2, "2 sizes"), (1200, "1,200 sizes"), (-1, "-1 sizes")]
)
def test_a_noun_agrees_with_its_number(number: int, expected: str) -> None:
    assert count(number, "size") == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "0.00 ms"),
        (0.394, "0.39 ms"),
        (1, "1.0 ms"),
        (17.26, "17.3 ms"),
        (99.9, "99.9 ms"),
        (100, "100 ms"),
        (223.4, "223 ms"),
        (999.4, "999 ms"),
        (1000, "1.000 s"),
        (1465.2, "1.465 s"),
        (10_000, "10.00 s"),
        (38_020.68, "38.02 s"),
        (100_000, "100 s"),
        (742_123, "742 s"),
    ],
)
def test_a_duration_has_a_unit_and_about_four_digits(milliseconds: float, expected: str) -> None:
    assert duration(milliseconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "1 s"), (0.4, "1 s"), (2.4, "2 s"), (89.4, "89 s"), (90, "2 min"), (150, "2 min"), (900, "15 min")],
)
def test_a_time_to_wait_is_no_finer_than_a_person_cares_for(seconds: float, expected: str) -> None:
    assert rough_duration(seconds) == expected


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0, "$0.00"),
        (12.345, "$12.35"),
        (0.1, "$0.10"),
        (0.999, "$1.00"),
        (0.05, "$0.050"),
        (0.0995, "$0.10"),
        (0.00123, "$0.0012"),
        (0.0000166667, "$0.000017"),
        (0.0000002, "$0.00000020"),
        (3.09e-8, "$0.000000031"),
        (999.99, "$999.99"),
        (1000, "$1,000"),
        (1234567.8, "$1,234,568"),
        (-0.00123, "-$0.0012"),
        (-12.3, "-$12.30"),
    ],
)
def test_an_amount_keeps_two_digits_that_count(amount: float, expected: str) -> None:
    assert money(amount) == expected


def test_an_amount_has_the_sign_of_its_currency_or_its_code() -> None:
    assert money(1.5, "CNY") == "¥1.50"
    assert money(1.5, "EUR") == "EUR 1.50"
    assert (symbol("USD"), symbol("CNY"), symbol("EUR")) == ("$", "¥", "EUR ")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.04, "+0.04 %"),
        (-8.34, "-8.3 %"),
        (-49.5, "-50 %"),
        (-49.4, "-49 %"),
        (0, "+0.00 %"),
        (123.4, "+123 %"),
        (9.94, "+9.9 %"),
        (-0.994, "-0.99 %"),
        (0.996, "+1.0 %"),
        (9.96, "+10 %"),
    ],
)
def test_a_change_has_a_sign_and_about_two_digits(value: float, expected: str) -> None:
    assert percent(value) == expected


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::error::x", ": :error::x"),
        ("  ::error::x", "  : :error::x"),
        ("\x1b[1m::error::x", "\x1b[1m: :error::x"),
        ("a\n::error::x", "a\n: :error::x"),
        ("a ##[group]x ##vso[task.x]", "a # #[group]x # #vso[task.x]"),
        ("shop::orders, ## heading [x]", "shop::orders, ## heading [x]"),
    ],
)
def test_what_the_log_of_a_job_would_obey_is_broken_and_nothing_else(line: str, shown: str) -> None:
    assert inert(line) == shown
