"""Progress: plain lines where nobody watches, a bar that leaves nothing behind where somebody does."""

import errno
import io
import re
import sys
import threading
import time
from collections.abc import Callable

import pytest
from rich.console import Console

from powertune import progress as module
from powertune.progress import NoProgress, PlainProgress, Progress, TerminalProgress, progress_for
from powertune.progress_table import frame
from powertune.tally import Standing, Tally, half_width, median_in_words

HOSTILE = "\x1b[31m[bold]red[/]\u202e\r\n"
HARMLESS = "\\x1b[31m[bold]red[/]\\u202e"
COLOR = re.compile(r"\x1b\[[0-9;]*(?:3|4|9|10)[0-9]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Pipe(io.StringIO):
    """A terminal that fails once it is told to."""

    error: Exception | None = None

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.error:
            raise self.error
        return super().write(text)


def screen(sent: str) -> list[str]:
    """Return the lines that a terminal shows after all that was sent, those that are empty at the end left out."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[?0-9;]*[A-Za-z]|.|\n", sent):
        if part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part == "\x1b[1A":
            row -= 1
            assert row >= 0, "above what was drawn is what others wrote"
        elif not part.startswith("\x1b"):
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + 1 :]
            column += 1
        else:
            assert part[-1] in "mhl", part
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.rstrip() for line in lines]


def drawn(standing: Standing, *, width: int = 80, height: int = 24, plus_minus: str = "±") -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, force_terminal=True)
    with console.capture() as captured:
        console.print(frame(standing, width=width, height=height, plus_minus=plus_minus))
    return captured.get().splitlines()


@pytest.fixture
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUIET_FOR_S", 0.0)
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_FRAMES", 0.01)


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


def run_at(progress: Progress, memory_mb: int, *durations_ms: float, amount: float = 0.000021) -> None:
    for duration_ms in durations_ms:
        progress.ran(memory_mb, duration_ms=duration_ms, amount=amount, counts=True)


def tally_of(runs: dict[int, list[float]], wanted: int = 10) -> Tally:
    tally = Tally(0.0)
    tally.plan(dict.fromkeys(runs, wanted))
    for memory_mb, durations_ms in runs.items():
        for duration_ms in durations_ms:
            tally.ran(memory_mb, 1.0, duration_ms=duration_ms, amount=0.000021, counts=True)
    return tally


def test_a_description_is_no_markup() -> None:
    stream = Terminal()
    progress = TerminalProgress(stream)
    progress.begin("reading [/] [bold]x", total=2)
    progress.end()
    assert "reading [/] [bold]x" in stream.getvalue()


def test_the_interval_of_a_median_is_that_of_a_notched_box_plot() -> None:
    # Quartiles of 1..9 are 3 and 7: 1.57 * 4 / sqrt(9).
    assert half_width([1, 2, 3, 4, 5, 6, 7, 8, 9]) == pytest.approx(1.57 * 4 / 3)


@pytest.mark.parametrize(
    ("median_ms", "half_width_ms", "shown"),
    [
        (179.2, None, "179 ms"),
        (179.2, 4.4, "179 ms ± 4"),
        (179.2, 0.04, "179 ms ± 0.04"),
        (179.2, 0.0, "179 ms ± 0"),
        (17.34, 0.4, "17.3 ms ± 0.4"),
        (0.394, 0.021, "0.39 ms ± 0.02"),
        (1465.0, 21.0, "1.465 s ± 0.021"),
        (742_000.0, 9_000.0, "742 s ± 9"),
    ],
)
def test_a_median_and_its_interval_share_unit_and_decimals(
    median_ms: float, half_width_ms: float | None, shown: str
) -> None:
    assert median_in_words(median_ms, half_width_ms, "±") == shown


def test_the_interval_is_shown_from_four_runs_on() -> None:
    rows = tally_of({512: [1, 2, 3], 1024: [1, 2, 3, 4]}).standing(1.0).rows
    assert [row.half_width_ms is None for row in rows] == [True, False]


def test_only_runs_that_count_are_counted_but_all_are_paid_for() -> None:
    tally = tally_of({1024: [100.0, 300.0, 200.0]})
    tally.ran(1024, 1.0, duration_ms=9000.0, amount=1.0, counts=False)
    tally.ran(1024, 1.0, duration_ms=None, amount=1.0, counts=False)
    row = tally.standing(1.0).rows[0]
    assert (row.runs, row.median_ms) == (3, 200.0)
    assert row.amount == pytest.approx(2.000063)


def test_a_duration_that_is_no_number_does_not_spoil_the_median() -> None:
    row = tally_of({1024: [300.0, float("nan"), 100.0, 200.0]}).standing(1.0).rows[0]
    assert (row.runs, row.median_ms) == (4, 200.0)


def test_runs_that_a_finished_size_still_lacks_are_not_waited_for() -> None:
    tally = tally_of({128: [1.0], 256: [1.0]})
    assert tally.standing(1.0).wanted == 20
    tally.state(128, "out of memory", final=True)
    assert tally.standing(1.0).wanted == 11


def test_the_pace_is_that_of_the_runs_and_not_of_what_prepares_them() -> None:
    tally = Tally(0.0)
    tally.plan({1024: 10})
    assert tally.standing(60.0).left_s is None
    tally.ran(1024, 62.0, duration_ms=2000.0, amount=0.0, counts=True)
    assert tally.standing(62.0).left_s == 18
    assert tally.standing(62.0).elapsed_s == 62


def test_planning_again_adds_sizes_and_runs() -> None:
    tally = tally_of({512: [1.0] * 10})
    tally.state(512, "done", final=True)
    tally.plan({512: 5, 1024: 10})
    standing = tally.standing(1.0)
    assert [(row.memory_mb, row.runs, row.wanted, row.finished) for row in standing.rows] == [
        (512, 10, 15, 0),
        (1024, 0, 10, 0),
    ]
    assert standing.wanted == 25


def test_plain_progress_tells_of_a_size_once_it_has_finished() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.sizes({128: 4, 512: 4, 1024: 4})
    for words in ("updating", "publishing", "measuring"):
        progress.state(1024, words)
    run_at(progress, 1024, 170, 175, 183, 190)
    progress.state(1024, "done", final=True)
    progress.state(1024, "done", final=True)
    progress.ran(128, duration_ms=None, amount=0.0000021, counts=False)
    progress.state(128, "out of memory", final=True)
    progress.state(512, "done", final=True)
    progress.end()
    assert stream.getvalue().splitlines() == [
        "1024 MB: 4 runs, median 179 ms ± 9 ms, $0.000084",
        "128 MB: out of memory, $0.0000021",
        "512 MB: 0 runs",
    ]


@pytest.mark.usefixtures("_no_patience")
def test_plain_progress_says_how_far_all_sizes_are_and_what_they_cost() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.sizes({512: 30, 1024: 30}, "CNY")
    wait_for(stream, "measured 0 of 60 runs\n")
    run_at(progress, 512, 14_000, amount=0.0012)
    assert "measured 1 of 60 runs, ¥0.0012 spent, about 14 min left\n" in stream.getvalue()
    progress.end()


def test_plain_progress_leaves_two_seconds_between_its_lines() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.sizes({512: 1000})
    run_at(progress, 512, *[1.0] * 1000)
    progress.end()
    assert stream.getvalue() == ""


def test_hostile_words_and_notes_are_escaped_in_plain_lines() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.sizes({512: 1})
    progress.state(512, HOSTILE, final=True)
    progress.note(HOSTILE)
    progress.end()
    assert stream.getvalue() == f"512 MB: {HARMLESS}\n{HARMLESS}\n"


def test_a_stream_that_knows_ascii_only_gets_that() -> None:
    raw = io.BytesIO()
    progress = PlainProgress(io.TextIOWrapper(raw, encoding="ascii"))
    progress.sizes({512: 4}, "CNY")
    run_at(progress, 512, 170, 175, 183, 190)
    progress.state(512, "done", final=True)
    progress.end()
    assert raw.getvalue().decode("ascii").strip() == "512 MB: 4 runs, median 179 ms +- 9 ms, ?0.000084"


def test_a_line_for_each_size_and_one_for_all() -> None:
    tally = tally_of({128: [], 512: [1340, 1351, 1362, 1373], 1024: [175, 179, 183, 171, 190, 180, 177], 3008: []})
    tally.ran(128, 1.0, duration_ms=None, amount=0.0000021, counts=False)
    tally.state(128, "out of memory", final=True)
    tally.state(512, "throttled, backing off")
    tally.state(1024, "measuring")
    assert [line.rstrip() for line in drawn(tally.standing(42.0))] == [
        "  128 MB  out of memory              0/10                   $0.0000021",
        "  512 MB  throttled, backing off     4/10  1.357 s ± 0.013   $0.000084",
        " 1024 MB  measuring                  7/10  179 ms ± 3         $0.00015",
        " 3008 MB  waiting                    0/10",
        "━━━━━╸            11/30 runs  $0.00023 spent  0:42 elapsed  about 73 s left",
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("height", [1, 2, 3, 10, 24, 47, 48])
def test_lines_fit_the_terminal(width: int, height: int) -> None:
    tally = tally_of({128 * number: [1465.0, 1365.0, 1265.0, 1565.0] * 300 for number in range(1, 47)}, wanted=10_000)
    for number in range(1, 20):
        tally.state(128 * number, "done" if number % 2 else "stopped: it took a great deal longer", final=True)
    tally.state(1024, "\u8a08\u6e2c" * 20)
    lines = drawn(tally.standing(4000.0), width=width, height=height)
    assert 1 <= len(lines) <= height
    assert max(map(len, lines)) <= width
    assert ("more size" in "\n".join(lines)) == (1 < height < 47 and width > 20)


def test_sizes_beyond_the_height_are_counted_and_those_at_work_stay() -> None:
    tally = tally_of({128 * number: [] for number in range(1, 41)})
    for number in (1, 2, 3):
        tally.state(128 * number, "done", final=True)
    for number in (4, 5, 20):
        tally.state(128 * number, "measuring")
    lines = drawn(tally.standing(0.0), height=7)
    assert [" ".join(line.split()[:3]) for line in lines[:5]] == [
        "256 MB done",
        "384 MB done",
        "512 MB measuring",
        "640 MB measuring",
        "2560 MB measuring",
    ]
    assert lines[5].strip() == "... 1 more size finished, 34 waiting"
    assert len(lines) == 7


def test_lines_of_sizes_are_drawn_while_they_are_measured_and_only_notes_stay() -> None:
    stream = Terminal()
    progress = TerminalProgress(stream)
    progress.note("before")
    progress.sizes({512: 4, 1024: 4})
    progress.state(512, f"measuring {HOSTILE}")
    run_at(progress, 512, 340, 350, 360, 350)
    wait_for(stream, "350 ms ± 4")
    shown = screen(stream.getvalue())
    assert [line.split()[0] for line in shown[:3]] == ["before", "512", "1024"]
    assert "4/8 runs" in shown[3]
    progress.note(f"my-fn: restored {HOSTILE}")
    progress.end()
    progress.end()
    progress.note("after")
    assert screen(stream.getvalue()) == ["before", f"my-fn: restored {HARMLESS}", "after"]
    assert "\x1b[31m" not in stream.getvalue()


def test_sizes_may_be_added_while_others_are_drawn() -> None:
    stream = Terminal()
    progress = TerminalProgress(stream)
    progress.sizes({512: 4})
    progress.sizes({1024: 4, 2048: 4})
    wait_for(stream, "0/12 runs")
    assert [line.split()[0] for line in screen(stream.getvalue())[:3]] == ["512", "1024", "2048"]
    progress.end()
    assert screen(stream.getvalue()) == []


def test_a_full_screen_is_cleared_to_the_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "10")
    stream = Terminal()
    progress = TerminalProgress(stream)
    progress.sizes({128 * number: 1 for number in range(1, 47)})
    assert len(screen(stream.getvalue())) == 9
    progress.end()
    assert screen(stream.getvalue()) == []


def test_stages_of_steps_and_of_sizes_end_each_other() -> None:
    stream = Terminal()
    progress = TerminalProgress(stream)
    progress.begin("asking", total=2)
    progress.step()
    progress.sizes({512: 4})
    assert "asking" not in "".join(screen(stream.getvalue()))
    progress.begin("reading", total=2)
    assert screen(stream.getvalue())[0].startswith("reading")
    progress.note("read half of it")
    assert screen(stream.getvalue())[0] == "read half of it"
    progress.end()
    assert screen(stream.getvalue()) == ["read half of it"]


def test_what_others_print_to_standard_error_stays_above_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    progress = TerminalProgress(stream)
    progress.sizes({512: 4})
    sys.stderr.write("a warning\n")
    assert [line.split()[0] for line in screen(stream.getvalue())[:2]] == ["a", "512"]
    progress.end()
    assert screen(stream.getvalue()) == ["a warning"]
    assert sys.stderr is stream


def test_lines_have_no_colour_where_none_is_wanted() -> None:
    stream, plain = Terminal(), Terminal()
    for target, color in ((stream, True), (plain, False)):
        progress = TerminalProgress(target, color=color)
        progress.sizes({512: 4, 1024: 4})
        progress.state(512, "done", final=True)
        wait_for(target, "done")
        progress.end()
    assert not COLOR.search(plain.getvalue())


def test_lines_are_drawn_eight_times_a_second_at_most() -> None:
    stream = Terminal()
    progress = TerminalProgress(stream)
    began_s = time.monotonic()
    progress.sizes({512: 1_000_000})
    while time.monotonic() - began_s < 0.6:
        run_at(progress, 512, 1.0)
    took_s = time.monotonic() - began_s
    frames = stream.getvalue().count(" runs ")
    progress.end()
    assert 1 <= frames <= 1 + took_s * 8


@pytest.mark.parametrize("kind", [PlainProgress, TerminalProgress])
@pytest.mark.parametrize(
    "error", [None, BrokenPipeError(errno.EPIPE, "Broken pipe"), RuntimeError("reentrant call")], ids=repr
)
@pytest.mark.usefixtures("_no_patience")
def test_a_stream_that_fails_is_no_reason_to_stop_working(
    kind: Callable[[io.StringIO], Progress], error: Exception | None
) -> None:
    stream = Pipe()
    progress = kind(stream)
    progress.sizes({512: 4})
    stream.error = error
    if not error:
        stream.close()
    progress.note("restoring")
    progress.state(512, "measuring")
    run_at(progress, 512, 1.0)
    time.sleep(0.05)
    progress.state(512, "done", final=True)
    progress.begin("reading", total=2)
    progress.step()
    progress.end()


@pytest.mark.parametrize("make", [lambda: PlainProgress(io.StringIO()), lambda: TerminalProgress(Terminal())])
def test_reports_outside_a_stage_are_dropped(make: Callable[[], Progress]) -> None:
    progress = make()
    for _ in range(2):
        progress.step()
        progress.state(512, "done", final=True)
        run_at(progress, 512, 1.0)
        progress.end()
        progress.sizes({1024: 1})
        progress.end()


@pytest.mark.usefixtures("_no_patience")
@pytest.mark.parametrize("kind", [PlainProgress, TerminalProgress])
def test_many_threads_may_tell_at_once(kind: Callable[[io.StringIO], Progress]) -> None:
    stream = Terminal()
    progress = kind(stream)
    progress.sizes(dict.fromkeys((512, 1024), 2000))

    def work(number: int) -> None:
        memory_mb = 512 if number % 2 else 1024
        for run in range(500):
            progress.state(memory_mb, "measuring")
            progress.ran(memory_mb, duration_ms=float(run), amount=0.001, counts=True)
            if not run % 100:
                progress.note(f"note {number}.{run}")

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(stream, "4,000")
    progress.state(512, "done", final=True)
    progress.end()
    notes = [line for line in screen(stream.getvalue()) if line.startswith("note")]
    assert sorted(notes) == sorted(f"note {number}.{run}" for number in range(8) for run in range(0, 500, 100))
    if kind is PlainProgress:
        assert "512 MB: 2,000 runs, median 250 ms ± 9 ms, $2.00" in stream.getvalue()


def test_ten_thousand_runs_take_next_to_no_time() -> None:
    tally = Tally(0.0)
    tally.plan({1024: 10_000})
    began_s = time.process_time()
    for run in range(10_000):
        tally.ran(1024, 1.0, duration_ms=float(run * 7919 % 10_007), amount=0.0, counts=True)
    assert time.process_time() - began_s < 1.0


def test_quiet_progress_shows_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_for(quiet=True) as progress:
        progress.begin("reading", total=1)
        progress.step()
        progress.sizes({512: 1})
        progress.state(512, "done", final=True)
        run_at(progress, 512, 1.0)
        progress.note("my-fn: restored")
    assert capfd.readouterr() == ("", "")


def test_a_terminal_that_cannot_redraw_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with progress_for(stream) as progress:
        progress.sizes({512: 1})
        progress.state(512, "done", final=True)
    assert stream.getvalue() == "512 MB: 0 runs\n"


def test_a_timer_that_goes_off_as_its_stage_ends_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class LateTimer(threading.Timer):
        def start(self) -> None:
            pass

        def cancel(self) -> None:
            self.function(*self.args, **self.kwargs)

    monkeypatch.setattr(threading, "Timer", LateTimer)
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.sizes({512: 1})
    progress.end()
    assert stream.getvalue() == ""
