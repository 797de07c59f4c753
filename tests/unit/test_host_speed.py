"""How fast a machine is against Lambda: ratios of known kernels, their middle, and how far they are apart."""

import json
import math
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from powertune.aws_lambda import host_speed as rules
from powertune.aws_lambda.host_speed import NUMBERS, architecture_of, host_speed
from powertune.errors import UsageError
from powertune.sources import host_speeds, kernels

ANSWER: dict[str, Any] = {
    "python": "3.11.7",
    "machine": "x86_64",
    "digests": 100_000,
    "numbers": NUMBERS,
    "cpu_ms": {"digests": [30.0, 34.0, 99.0], "draw": [1000.0], "sort": [5302.5], "words": [20.0]},
}


def test_the_ratio_is_the_geometric_mean_of_the_kernels_that_are_known_on_lambda() -> None:
    speed = host_speed("a CPU", ANSWER, "2026-11-26")
    # 340.4 ms on Lambda for 1,000,000 digests against ten times the median here; 12,605 ms against 6,302.5.
    assert speed.ratios == pytest.approx([340.4 / 340, 2.0])
    assert speed.ratio == pytest.approx(math.sqrt(340.4 / 340 * 2))
    assert speed.spread == pytest.approx(math.sqrt(2 / (340.4 / 340)))


def test_a_kernel_without_a_figure_of_lambda_is_kept_and_tells_nothing() -> None:
    words = host_speed("a CPU", ANSWER, "2026-11-26").kernels[-1]
    assert (words.name, words.here_ms, words.lambda_ms, words.ratio) == ("words", 20.0, None, None)


def test_fewer_numbers_count_for_as_many_as_were_sorted_on_lambda() -> None:
    quarter = {**ANSWER, "numbers": NUMBERS // 4}
    draw_ms, sort_ms = 4 * 1000.0, 4 * 5302.5 * math.log(NUMBERS) / math.log(NUMBERS // 4)
    assert host_speed("a CPU", quarter, "2026-11-26").kernels[1].here_ms == pytest.approx(draw_ms + sort_ms)


def test_the_figures_of_the_same_python_count_or_those_of_the_nearest() -> None:
    known = [
        host_speed("a CPU", {**ANSWER, "python": version}, "2026-11-26").kernels[0].lambda_ms
        for version in ("3.9.1", "3.11.0", "3.12.9", "3.19.0")
    ]
    assert known == [340.4, 340.4, 379.3, 370.7]


def test_a_function_on_arm64_is_held_against_figures_of_arm64() -> None:
    assert host_speed("a CPU", ANSWER, "2026-11-26", "arm64").kernels[0].lambda_ms == 299.8


def test_agreement_of_kernels_leaves_the_spread_of_lambdas_own_hosts() -> None:
    even = {**ANSWER, "cpu_ms": {**ANSWER["cpu_ms"], "digests": [17.02]}}
    assert host_speed("a CPU", even, "2026-11-26").spread == rules._LEAST_SPREAD  # noqa: SLF001 - the very figure


@pytest.mark.parametrize("broken", [{}, {**ANSWER, "cpu_ms": {}}, {**ANSWER, "digests": None}, {**ANSWER, "python": 3}])
def test_what_is_no_answer_of_the_kernels_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, IndexError)):
        host_speed("a CPU", broken, "2026-11-26")


@pytest.mark.parametrize(
    ("machine", "word"), [("x86_64", "x86_64"), ("AMD64", "x86_64"), ("aarch64", "arm64"), ("riscv64", None)]
)
def test_machines_have_lambdas_names(machine: str, word: str | None) -> None:
    assert architecture_of(machine) == word


# --- measuring and remembering ---


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Let the kernels answer at once, and return the commands that were run."""
    asked: list[list[str]] = []

    def answer(command: list[str], _timeout_s: float) -> dict[str, Any]:
        asked.append(command)
        return ANSWER

    monkeypatch.setenv("POWERTUNE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(host_speeds, "_answer", answer)
    return asked


def test_a_machine_is_measured_once_and_anew_when_asked_to(measured: list[list[str]]) -> None:
    first = host_speeds.speed_of_this_host()
    assert host_speeds.speed_of_this_host() == first
    assert len(measured) == 1
    host_speeds.speed_of_this_host(anew=True)
    assert len(measured) == 2


def test_what_is_remembered_has_the_cpu_the_python_and_the_day(measured: list[list[str]], tmp_path: Path) -> None:
    host_speeds.speed_of_this_host()
    ((key, kept),) = json.loads((tmp_path / "host-speeds.json").read_text())["hosts"].items()
    assert host_speeds.cpu_name() in key
    assert f"Python {sys.version.split()[0]}" in key
    assert len(kept["day"]) == len("2026-11-26")
    assert measured


@pytest.mark.parametrize("content", ["", "{", '{"format": 1, "hosts": []}', '{"format": 9, "hosts": {}}', "[" * 9999])
def test_a_damaged_memory_is_no_hindrance(measured: list[list[str]], tmp_path: Path, content: str) -> None:
    (tmp_path / "host-speeds.json").write_text(content)
    assert host_speeds.speed_of_this_host().ratio > 1
    assert host_speeds.speed_of_this_host().ratio > 1
    assert len(measured) == 1


def test_the_kernels_run_by_themselves_in_an_interpreter() -> None:
    small = (
        "import runpy, sys; sys.argv = ['kernels']; names = runpy.run_path(sys.path.pop()); main = names['main'];"
        "main.__globals__.update(DIGESTS=10, NUMBERS=100, _WORDS=5); main()"
    )
    script = f"import sys; sys.path.append({kernels.__file__!r}); {small}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, check=True)
    answer = json.loads(done.stdout)
    assert answer["digests"] == 10
    assert {name: len(runs) for name, runs in answer["cpu_ms"].items()} == {
        "digests": 5,
        "draw": 3,
        "sort": 3,
        "words": 5,
    }


# --- what durations rest on ---


def scale(**more: Any) -> Any:
    return host_speeds.scale_of(more.pop("known", {}), architecture=more.pop("architecture", "x86_64"), **more)


@pytest.fixture
def on_x86_64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.mark.usefixtures("on_x86_64")
def test_durations_rest_on_what_is_known_before_kernels_before_this_machine(measured: list[list[str]]) -> None:
    assert scale().rests_on == "this-machine"
    assert scale(calibrate=True).rests_on == "calibrated-kernels"
    assert len(measured) == 1
    assert scale(known={512: 100.0}, calibrate=True).rests_on == "known-durations"
    assert len(measured) == 1


@pytest.mark.usefixtures("on_x86_64")
def test_arm64_is_unknown_until_something_says_how_fast_it_is() -> None:
    with pytest.raises(UsageError, match="arm64 is unknown: this machine is x86_64") as told:
        scale(architecture="arm64")
    assert "--speed-ratio" in told.value.hint
    assert scale(architecture="arm64", speed_ratio=1.2).speed_ratio == 1.2
    assert scale(architecture="arm64", known={512: 90.0}).rests_on == "known-durations"


@pytest.mark.usefixtures("on_x86_64")
def test_kernels_on_x86_64_say_nothing_of_arm64_without_a_ratio(measured: list[list[str]]) -> None:
    with pytest.raises(UsageError, match="arm64 is unknown"):
        scale(architecture="arm64", calibrate=True)
    with_ratio = scale(architecture="arm64", calibrate=True, speed_ratio=1.1)
    assert with_ratio.host.architecture == "x86_64"
    assert measured


def test_a_machine_that_is_arm64_is_held_against_arm64(
    measured: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert scale(architecture="arm64").rests_on == "this-machine"
    assert scale(architecture="arm64", calibrate=True).host.architecture == "arm64"
    assert scale(calibrate=True).host.architecture == "x86_64"
    assert len(measured) == 1


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.inf, math.nan])
def test_a_speed_ratio_is_a_number_above_zero(ratio: float) -> None:
    with pytest.raises(UsageError, match="speed-ratio"):
        scale(architecture="arm64", speed_ratio=ratio)


def test_a_speed_ratio_without_arm64_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="speed-ratio"):
        scale(speed_ratio=1.2)
