"""Duration and cost over memory, drawn in SVG: intervals as bars, the picks ringed, every point with its figures."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from powertune import text
from powertune.model.size_profile import SizeProfile
from powertune.model.tuning_run import TuningRun
from powertune.report import words

_WIDTH, _HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 24, 30
_LINES = 4
"""Lines of the grid above the axis, at most."""
_LABEL_ROOM = 52
"""Width that a memory size below the axis takes."""


@dataclass(frozen=True, slots=True)
class _Point:
    size: SizeProfile
    value: float
    ci95: tuple[float, float] | None


def charts(run: TuningRun) -> Iterator[str]:
    """Yield lines of HTML: a chart of duration and one of cost, of sizes that have figures; nothing where none has."""
    durations = [
        _Point(size, size.duration_ms.mean, size.duration_ms.ci95)
        for size in run.sizes
        if size.duration_ms and size.status == "ok"
    ]
    costs = [
        _Point(size, size.cost.per_million, size.cost.ci95_per_million)
        for size in run.sizes
        if size.cost and size.status == "ok"
    ]
    currency = run.pricing.currency
    yield from _chart(run, durations, "duration", "Duration", text.duration)
    yield from _chart(run, costs, "cost", "Cost of a million", lambda amount: text.money(amount, currency))


def _chart(
    run: TuningRun, points: Sequence[_Point], name: str, caption: str, unit: Callable[[float], str]
) -> Iterator[str]:
    points = sorted(points, key=lambda point: point.size.memory_mb)
    if not points:
        return
    step = _step(max(figure for point in points for figure in (point.value, *(point.ci95 or ()))))
    across, up = _across([point.size.memory_mb for point in points]), _up(step * _LINES)
    yield f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(caption)} by memory size">'
    for line in range(_LINES + 1):
        y = up(step * line)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        label = escape(unit(step * line) if line else "0")
        yield f'<text x="{_LEFT - 8}" y="{y + 4:g}" text-anchor="end">{label}</text>'
    yield from _sizes_below(points, across)
    corners = " L".join(f"{across(point.size.memory_mb)},{up(point.value)}" for point in points)
    yield f'<path class="{name}" d="M{corners}"/>'
    for point in points:
        yield from _drawn_point(run, point, name, across(point.size.memory_mb), up, unit)
    yield f"</svg><figcaption>{escape(caption)} by memory size; bars are 95 % intervals</figcaption></figure>"


def _drawn_point(
    run: TuningRun, point: _Point, name: str, x: float, up: Callable[[float], float], unit: Callable[[float], str]
) -> Iterator[str]:
    size, y = point.size, up(point.value)
    told = f"{size.memory_mb} MB: {unit(point.value)}"
    if point.ci95:
        told += f" ({unit(point.ci95[0])} to {unit(point.ci95[1])})"
    marks = words.note_of(run, size)
    yield f"<g><title>{escape(f'{told}, {size.basis}' + (f', {marks}' if marks else ''))}</title>"
    if point.ci95:
        yield f'<line class="{name}" x1="{x}" x2="{x}" y1="{up(point.ci95[0])}" y2="{up(point.ci95[1])}"/>'
    guessed = " guess" if size.basis in ("interpolated", "extrapolated") else ""
    yield f'<circle class="{name}{guessed}" cx="{x}" cy="{y}" r="4"/>'
    if size.memory_mb == run.recommendation.memory_mb:
        yield f'<circle class="pick" cx="{x}" cy="{y}" r="8"/>'
    if picks := words.picks_of(run, size):
        end = ' text-anchor="end"' if x > _WIDTH / 2 else ""
        yield f'<text class="mark" x="{x}" y="{y - 12:g}"{end}>{escape(", ".join(picks))}</text>'
    yield "</g>"


def _sizes_below(points: Sequence[_Point], across: Callable[[int], float]) -> Iterator[str]:
    """Yield the memory sizes below the axis, as many as have room."""
    free = -math.inf
    for point in points:
        memory_mb = point.size.memory_mb
        x = across(memory_mb)
        if x - free >= _LABEL_ROOM:
            yield f'<text x="{x}" y="{_HEIGHT - 8}" text-anchor="middle">{memory_mb} MB</text>'
            free = x


def _across(sizes_mb: Sequence[int]) -> Callable[[int], float]:
    """Return where a memory size stands: doubling it is the same way everywhere."""
    low, high = math.log(min(sizes_mb)), math.log(max(sizes_mb))
    room = _WIDTH - _LEFT - _RIGHT - 2 * _LABEL_ROOM / 2
    start = _LEFT + _LABEL_ROOM / 2
    if low == high:
        return lambda _memory_mb: start + room / 2
    return lambda memory_mb: round(start + room * (math.log(memory_mb) - low) / (high - low), 1)


def _up(top: float) -> Callable[[float], float]:
    """Return where a figure stands, from 0 at the axis to `top`."""
    room = _HEIGHT - _TOP - _BOTTOM
    return lambda value: round(_TOP + room * (1 - value / top), 1)


def _step(largest: float) -> float:
    """Return the distance of lines, of 1, 2, 2.5 or 5 and zeroes, of which `_LINES` reach beyond the largest figure."""
    if largest <= 0:
        return 1.0
    rough = largest / _LINES
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power * _LINES >= largest)
