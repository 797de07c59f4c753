"""Signals end what runs in the loop in an orderly way, and reach the handler that was set for them."""

import asyncio
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from powertune.errors import UsageError
from powertune.sources.event_loop import EventLoop


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """Have SIGTERM noted in a list."""
    numbers: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        numbers.append(number)

    before = signal.signal(signal.SIGTERM, note)
    yield numbers
    signal.signal(signal.SIGTERM, before)


async def signalled(number: int, ends: list[str]) -> None:
    try:
        signal.raise_signal(number)
        await asyncio.sleep(60)
    finally:
        ends.append("cleaned up")


def test_a_coroutine_gives_what_it_returns_or_raises() -> None:
    async def divide(by: int) -> float:
        await asyncio.sleep(0)
        return 1 / by

    with EventLoop() as loop:
        assert loop.run(divide(2)) == 0.5
        with pytest.raises(ZeroDivisionError):
            loop.run(divide(0))
        assert loop.run(divide(4)) == 0.25


def test_an_interrupt_lets_the_coroutine_clean_up_first() -> None:
    ends: list[str] = []
    with EventLoop() as loop, pytest.raises(KeyboardInterrupt):
        loop.run(signalled(signal.SIGINT, ends))
    assert ends == ["cleaned up"]


def test_a_signal_reaches_the_handler_that_was_there_and_ends_the_coroutine_all_the_same(handled: list[int]) -> None:
    ends: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    with EventLoop() as loop, pytest.raises(KeyboardInterrupt):
        loop.run(signalled(signal.SIGTERM, ends))
    assert (handled, ends) == ([signal.SIGTERM], ["cleaned up"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def ignored() -> str:
        signal.raise_signal(signal.SIGHUP)
        await asyncio.sleep(0)
        return "went on"

    try:
        with EventLoop() as loop:
            assert loop.run(ignored()) == "went on"
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_coroutine_that_cancels_itself_is_no_interrupt() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with EventLoop() as loop, pytest.raises(asyncio.CancelledError):
        loop.run(cancelled())


def test_within_another_loop_it_says_what_to_do() -> None:
    async def nested() -> None:
        with EventLoop():
            pass

    with pytest.raises(UsageError, match="from within an event loop") as caught:
        asyncio.run(nested())
    assert caught.value.hint == "use asyncio.to_thread"


def test_in_another_thread_it_runs_without_signals() -> None:
    async def answer() -> int:
        return 42

    def run() -> int:
        with EventLoop() as loop:
            return loop.run(answer())

    assert asyncio.run(asyncio.to_thread(run)) == 42
