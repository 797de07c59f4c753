"""What runs may cost: a limit that waits for what may still be saved, and holds whatever they take."""

import threading

import pytest

from powertune.aws_lambda.pricing import Prices, Rates, find_prices, rates_for
from powertune.model.invocation import Invocation, Status
from powertune.sources.aws.spending import Spending, longest_ms, most_per_run

TIMEOUT_S = 3.0


@pytest.fixture
def rates() -> Rates:
    return rates_for(prices())


def prices() -> Prices:
    return find_prices("us-east-1", "x86_64")


def usd(memory_mb: int, billed_ms: float) -> float:
    return memory_mb / 1024 * billed_ms / 1000 * 0.0000166667 + 0.0000002


def test_the_most_that_a_run_can_cost_is_its_timeout_and_the_longest_init(rates: Rates) -> None:
    assert longest_ms(3) == 13_000
    assert most_per_run(rates, 1024, 3) == pytest.approx(usd(1024, 13_000))


@pytest.mark.parametrize(
    ("invocation", "billed_ms"),
    [
        (Invocation(1024, 19.5, billed_ms=21.0), 21),
        (Invocation(1024, 19.5), 20),
        (Invocation(1024, 19.5, init_ms=100.0, cold=True), 120),
        (Invocation(1024, 3000.0, billed_ms=3000.0, status="timed-out"), 3000),
        (Invocation(1024, 500.0, billed_ms=500.0, status="out-of-memory"), 500),
        (Invocation(1024, 500.0, status="failed"), 500),
        (Invocation(1024, 900.0, billed_ms=900.0, status="unavailable"), 900),
    ],
)
def test_a_run_costs_what_was_billed_or_else_what_it_took(
    invocation: Invocation, billed_ms: float, rates: Rates
) -> None:
    assert Spending(rates, timeout_s=TIMEOUT_S).cost_of(invocation) == pytest.approx(usd(1024, billed_ms))


@pytest.mark.parametrize("status", ["throttled", "unavailable"])
def test_a_run_that_was_refused_costs_nothing(status: Status, rates: Rates) -> None:
    spending = Spending(rates, timeout_s=TIMEOUT_S)
    assert spending.cost_of(Invocation(1024, 0.0, billed_ms=0.0, status=status)) == 0


def test_money_is_spent_as_runs_end(rates: Rates) -> None:
    spending = Spending(rates, timeout_s=TIMEOUT_S)
    reserved = spending.reserve(1024)
    assert reserved is not None
    assert reserved == pytest.approx(usd(1024, 13_000))
    assert spending.spent == 0
    assert spending.settle(reserved, Invocation(1024, 100, 100)) == pytest.approx(usd(1024, 100))
    assert spending.spent == pytest.approx(usd(1024, 100))


def test_what_the_logs_say_corrects_what_was_assumed(rates: Rates) -> None:
    spending = Spending(rates, timeout_s=TIMEOUT_S)
    reserved = spending.reserve(1024)
    assert reserved
    assumed = Invocation(1024, 1000)
    spending.settle(reserved, assumed)
    assert spending.correct(assumed, Invocation(1024, 100, 100)) == pytest.approx(usd(1024, 100) - usd(1024, 1000))
    assert spending.spent == pytest.approx(usd(1024, 100))


def test_without_a_limit_anything_goes(rates: Rates) -> None:
    spending = Spending(rates, timeout_s=900)
    assert all(spending.reserve(10_240) for _ in range(1000))
    assert not spending.is_exhausted


def test_a_run_that_could_go_beyond_the_limit_is_not_made(rates: Rates) -> None:
    limit = 2 * usd(1024, 13_000) + usd(1024, 100)
    spending = Spending(rates, timeout_s=TIMEOUT_S, limit=limit)
    for _ in range(2):
        reserved = spending.reserve(1024)
        assert reserved
        spending.settle(reserved, Invocation(1024, 13_000, 13_000))
    assert not spending.is_exhausted
    assert spending.reserve(1024) is None
    assert spending.is_exhausted
    assert spending.spent <= limit


def test_a_smaller_run_may_still_be_made_where_a_larger_one_may_not(rates: Rates) -> None:
    spending = Spending(rates, timeout_s=TIMEOUT_S, limit=usd(512, 13_000))
    assert spending.reserve(1024) is None
    assert spending.reserve(512)


def test_a_limit_of_nothing_allows_nothing(rates: Rates) -> None:
    assert Spending(rates, timeout_s=TIMEOUT_S, limit=0.0).reserve(128) is None


def test_runs_under_way_are_waited_for_as_they_may_have_cost_less(
    rates: Rates, monkeypatch: pytest.MonkeyPatch
) -> None:
    spending = Spending(rates, timeout_s=TIMEOUT_S, limit=1.5 * usd(1024, 13_000))
    first = spending.reserve(1024)
    assert first
    waits: list[bool] = []

    def wait(_condition: threading.Condition, _timeout: float | None = None) -> bool:
        # The first run ends meanwhile, as it would in another thread.
        waits.append(True)
        spending.settle(first, Invocation(1024, 100, 100))
        return True

    monkeypatch.setattr(threading.Condition, "wait", wait)
    assert spending.reserve(1024)
    assert waits == [True]
    assert not spending.is_exhausted


def test_runs_under_way_that_turn_out_dear_leave_nothing_for_the_next(
    rates: Rates, monkeypatch: pytest.MonkeyPatch
) -> None:
    spending = Spending(rates, timeout_s=TIMEOUT_S, limit=1.5 * usd(1024, 13_000))
    first = spending.reserve(1024)
    assert first

    def wait(_condition: threading.Condition, _timeout: float | None = None) -> bool:
        spending.settle(first, Invocation(1024, 13_000, 13_000))
        return True

    monkeypatch.setattr(threading.Condition, "wait", wait)
    assert spending.reserve(1024) is None
    assert spending.is_exhausted


def test_a_run_that_was_not_made_gives_its_money_back(rates: Rates) -> None:
    spending = Spending(rates, timeout_s=TIMEOUT_S, limit=1.5 * usd(1024, 13_000))
    reserved = spending.reserve(1024)
    assert reserved
    spending.release(reserved)
    assert (spending.spent, spending.under_way) == (0, 0)
    assert spending.reserve(1024)


def test_a_small_run_under_way_keeps_its_money_when_a_large_one_ends(
    rates: Rates, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = most_per_run(rates, 128, TIMEOUT_S), most_per_run(rates, 10_240, TIMEOUT_S)
    spending = Spending(rates, timeout_s=TIMEOUT_S, limit=small + 1.5 * large)
    reserved_small, reserved_large = spending.reserve(128), spending.reserve(10_240)
    assert reserved_small
    assert reserved_large
    spending.settle(reserved_large, Invocation(10_240, 6_500, 6_500))
    assert spending.under_way == 1

    def wait(_condition: threading.Condition, _timeout: float | None = None) -> bool:
        spending.settle(reserved_small, Invocation(128, 100, 100))
        return True

    monkeypatch.setattr(threading.Condition, "wait", wait)
    assert spending.reserve(10_240), "after the small one has ended"
    assert spending.under_way == 1


def test_a_run_whose_answer_got_lost_may_have_cost_the_most_until_the_logs_tell(rates: Rates) -> None:
    spending = Spending(rates, timeout_s=TIMEOUT_S, limit=2.5 * usd(1024, 13_000))
    lost = Invocation(1024, 100, 100, status="unavailable")
    for _ in range(2):
        reserved = spending.reserve(1024)
        assert reserved
        assert spending.settle(reserved, lost, is_lost=True) == pytest.approx(usd(1024, 100))
    assert spending.spent == pytest.approx(2 * usd(1024, 100))
    assert spending.reserve(1024) is None
    spending.correct(lost, Invocation(1024, 200, 200), was_lost=True)
    assert spending.spent == pytest.approx(usd(1024, 100) + usd(1024, 200))
    assert spending.reserve(1024)
