"""Progress: plain lines where nobody watches, a bar that leaves nothing behind where somebody does."""

import io
import time

import pytest

from powertune import progress as module
from powertune.progress import NoProgress, PlainProgress, TerminalProgress, progress_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUIET_FOR_S", 0.0)
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_LINES", 0.0)


def wait_for(stream: io.StringIO, text: str) -> None:
    give_up = time.monotonic() + 10
    while text not in stream.getvalue():
        assert time.monotonic() < give_up, stream.getvalue()
        time.sleep(0.01)


def test_a_stage_that_is_over_at_once_says_nothing() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.begin("reading", total=2)
    progress.step()
    progress.step()
    progress.end()
    assert stream.getvalue() == ""


@pytest.mark.usefixtures("_no_patience")
def test_a_single_long_step_says_what_is_going_on() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.begin("importing shop.orders")
    wait_for(stream, "importing shop.orders ...\n")
    progress.end()


@pytest.mark.usefixtures("_no_patience")
def test_plain_lines_say_how_far_it_is_and_how_long_it_will_take() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.begin("calling", total=4)
    progress.step()
    progress.end()
    assert "calling: 1 of 4, about 1 s left\n" in stream.getvalue()


def test_a_bar_is_drawn_while_it_works_and_gone_afterwards() -> None:
    stream = Terminal()
    progress = TerminalProgress(stream)
    progress.begin("calling \x1b[31mshop", total=2)
    progress.step()
    drawn = stream.getvalue()
    progress.end()
    assert "calling \\x1b[31mshop" in drawn
    assert "1/2" in drawn
    assert "\x1b[2K" in stream.getvalue()[len(drawn) :]


def test_the_stream_decides_what_is_shown() -> None:
    with progress_for(io.StringIO()) as plain, progress_for(Terminal()) as bar, progress_for(quiet=True) as nothing:
        assert isinstance(plain, PlainProgress)
        assert isinstance(bar, TerminalProgress)
        assert isinstance(nothing, NoProgress)
