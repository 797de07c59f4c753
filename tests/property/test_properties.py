"""What must hold for any input, not only for the examples that somebody thought of."""

import json
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from importlib import resources
from itertools import count, pairwise
from random import Random

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from powertune.analysis.duration_model import Evidence, predict
from powertune.analysis.recommendation import Choice, objection, recommend
from powertune.analysis.statistics import summarise
from powertune.aws_lambda.cpu import (
    KEPT_MS,
    MB_PER_VCPU,
    PERIOD_MS,
    TICK_MS,
    mean_wall_time_ms,
    visible_vcpus,
    wall_time_ms,
)
from powertune.aws_lambda.memory import parse_sizes
from powertune.aws_lambda.pricing import (
    ARCHITECTURES,
    Architecture,
    Prices,
    Rates,
    billed_duration_ms,
    find_prices,
    rates_for,
    region_prices,
    regions,
)
from powertune.aws_lambda.report_record import (
    DamagedRecordError,
    ReportRecord,
    format_report,
    iter_reports,
    parse_report_json,
    parse_report_text,
)
from powertune.errors import UsageError
from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import STATUSES, Invocation
from powertune.model.recommendation import (
    CONFIDENCES,
    STRATEGIES,
    VERDICT_KINDS,
    Change,
    Recommendation,
    Verdict,
)
from powertune.model.run_file import from_dict
from powertune.model.run_warning import RunWarning
from powertune.model.size_profile import BASES, Cost, Counts, Distribution, Expected, InitTime, Outliers, SizeProfile
from powertune.model.tuning_run import PricesUsed, Spent, TuningRun
from powertune.text import money, printable

memory_sizes = st.integers(128, 10_240)


# The CPU law.

# Durations in whole microseconds, so that the simulator below is exact.
cpu_us = st.integers(0, 120_000) | st.integers(0, 9_000)
wait_us = st.integers(0, 60_000)
segments_us = st.lists(st.tuples(cpu_us, wait_us), min_size=1, max_size=5)
thread_counts = st.sampled_from([1, 1, 2, 3, 6])


def in_ms(segments: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(cpu / 1000, wait / 1000) for cpu, wait in segments]


def running_threads(memory_mb: int, threads: int) -> int:
    return min(threads, visible_vcpus(memory_mb))


def has_whole_vcpus(memory_mb: int, threads: int) -> bool:
    return memory_mb >= MB_PER_VCPU * running_threads(memory_mb, threads)


def fluid_ms(cpu_ms: float, memory_mb: int) -> float:
    return cpu_ms * MB_PER_VCPU / memory_mb


def naive_wall_ms(segments: Sequence[tuple[int, int]], memory_mb: int, threads: int, phase_us: int) -> float | None:
    """Walk from kernel tick to kernel tick in exact integers; None where work ends on a tick to the microsecond."""
    unit = MB_PER_VCPU * 60  # parts of a microsecond in which quotas and shared work are whole
    running = running_threads(memory_mb, threads)
    tick, quota, slices = 4_000 * unit, 20_000 * 60 * memory_mb, running * 5_000 * unit
    tasks: list[tuple[bool, int]] = []
    for cpu, wait in segments:
        tasks += [(True, cpu * unit // running)] if cpu else []
        tasks += [(False, wait * unit)] if wait else []
    now = start = phase_us * unit
    pool, account, throttled = quota, 0, False
    for number in count(now // tick + 1):
        while tasks and now < number * tick:
            computing, left = tasks.pop(0)
            if computing and throttled:
                now = number * tick
            else:
                step = min(left, number * tick - now)
                now += step
                left -= step
                account -= step * running if computing else 0
                if not left and now == number * tick:
                    return None
            if left:
                tasks.insert(0, (computing, left))
        if not tasks:
            break
        computing = tasks[0][0]
        if computing and not throttled and account <= 0:
            drawn = min(pool, slices - account)
            pool, account = pool - drawn, account + drawn
            throttled = account <= 0
        if number % 5 == 0:
            pool = quota
            if throttled or (account < 0 and not computing):
                drawn = min(pool, -account + (1 if computing else 0))
                pool, account = pool - drawn, account + drawn
            throttled = throttled and account <= 0
    return (now - start) / unit / 1000


@settings(max_examples=150)
@given(segments_us, st.integers(128, 3600) | memory_sizes, thread_counts, st.just(0) | st.integers(0, 40_000))
def test_the_cpu_law_is_what_a_naive_simulator_gives(
    segments: list[tuple[int, int]], memory_mb: int, threads: int, phase_us: int
) -> None:
    assume(not has_whole_vcpus(memory_mb, threads))
    expected_ms = naive_wall_ms(segments, memory_mb, threads, phase_us)
    assume(expected_ms is not None)
    found_ms = wall_time_ms(in_ms(segments), memory_mb, threads=threads, phase_ms=phase_us / 1000)
    assert found_ms == pytest.approx(expected_ms, abs=1e-6)


@settings(max_examples=20)
@given(st.integers(1_000_000, 3_000_000), st.integers(128, 3600), st.sampled_from([1, 2]))
def test_skipping_the_first_periods_of_long_work_is_off_by_less_than_one_per_cent(
    cpu: int, memory_mb: int, threads: int
) -> None:
    assume(not has_whole_vcpus(memory_mb, threads))
    expected_ms = naive_wall_ms([(cpu, 0)], memory_mb, threads, 0)
    assume(expected_ms is not None)
    assert wall_time_ms([(cpu / 1000, 0)], memory_mb, threads=threads) == pytest.approx(expected_ms, rel=0.01)


@given(segments_us, memory_sizes, thread_counts)
def test_work_takes_at_least_its_waiting_and_its_computing_at_full_speed(
    segments: list[tuple[int, int]], memory_mb: int, threads: int
) -> None:
    running = running_threads(memory_mb, threads)
    least_ms = sum(cpu / running + wait for cpu, wait in segments) / 1000
    found_ms = wall_time_ms(in_ms(segments), memory_mb, threads=threads)
    assert found_ms >= least_ms - 1e-6
    if has_whole_vcpus(memory_mb, threads):
        assert found_ms == pytest.approx(least_ms)


@given(st.floats(0, 20_000), memory_sizes, thread_counts)
def test_a_computation_takes_the_fluid_limit_less_at_most_a_period_and_the_overrun_of_a_tick(
    cpu_ms: float, memory_mb: int, threads: int
) -> None:
    assume(not has_whole_vcpus(memory_mb, threads))
    # Each thread may overrun the quota by a tick, which saves the time in which the quota of that tick would come.
    overrun_ms = fluid_ms(running_threads(memory_mb, threads) * TICK_MS, memory_mb)
    found_ms = wall_time_ms([(cpu_ms, 0)], memory_mb, threads=threads)
    assert fluid_ms(cpu_ms, memory_mb) - overrun_ms - PERIOD_MS <= found_ms <= fluid_ms(cpu_ms, memory_mb) + 1e-6


neighbours = st.sampled_from([1, 2, 5, 20, 64, 500, 4000])


@settings(max_examples=150)
@given(st.floats(0, 1000) | st.floats(0, 60), memory_sizes, neighbours, thread_counts)
def test_a_computation_never_takes_longer_with_more_memory(
    cpu_ms: float, memory_mb: int, more_mb: int, threads: int
) -> None:
    larger_mb = min(10_240, memory_mb + more_mb)
    smaller_ms, larger_ms = (wall_time_ms([(cpu_ms, 0)], size, threads=threads) for size in (memory_mb, larger_mb))
    # Only where more vCPUs come into sight, threads may use up the quota sooner, and stop just before the end.
    more_vcpus = running_threads(larger_mb, threads) > running_threads(memory_mb, threads)
    assert larger_ms <= smaller_ms + (TICK_MS / 2 if more_vcpus else 0) + 1e-9


@settings(max_examples=150)
@given(segments_us, memory_sizes, neighbours, thread_counts)
def test_with_waits_more_memory_costs_at_most_a_period_for_each_of_them(
    segments: list[tuple[int, int]], memory_mb: int, more_mb: int, threads: int
) -> None:
    # Work that goes on a little sooner after a wait may meet a worse part of the 20 ms period: a true effect.
    larger_mb = min(10_240, memory_mb + more_mb)
    assume(running_threads(larger_mb, threads) == running_threads(memory_mb, threads))
    smaller_ms, larger_ms = (wall_time_ms(in_ms(segments), size, threads=threads) for size in (memory_mb, larger_mb))
    assert larger_ms <= smaller_ms + PERIOD_MS * (len(segments) - 1) + 1e-6


@given(segments_us, memory_sizes, thread_counts, st.integers(0, 20_000))
def test_a_wait_at_the_end_adds_its_length_and_nothing_else(
    segments: list[tuple[int, int]], memory_mb: int, threads: int, wait: int
) -> None:
    before_ms = wall_time_ms(in_ms(segments), memory_mb, threads=threads)
    after_ms = wall_time_ms([*in_ms(segments), (0, wait / 1000)], memory_mb, threads=threads)
    assert after_ms == pytest.approx(before_ms + wait / 1000, abs=1e-6)


@settings(max_examples=60)
@given(segments_us, memory_sizes, thread_counts, st.sampled_from([0.0, 0.5, 1.0]))
def test_the_mean_of_many_runs_is_at_least_work_at_full_speed_and_what_quotas_can_grant(
    segments: list[tuple[int, int]], memory_mb: int, threads: int, in_step: float
) -> None:
    running = running_threads(memory_mb, threads)
    found_ms = mean_wall_time_ms(in_ms(segments), memory_mb, threads=threads, in_step=in_step)
    assert found_ms >= sum(cpu / running + wait for cpu, wait in segments) / 1000 - 1e-6
    if has_whole_vcpus(memory_mb, threads):
        return
    # One quota at once, one each period, and at the end each thread may owe a tick and what its core had kept.
    owed_ms = running * (TICK_MS + KEPT_MS)
    cpu_ms = sum(cpu for cpu, _ in segments) / 1000
    assert found_ms >= fluid_ms(cpu_ms - owed_ms, memory_mb) - PERIOD_MS - 1e-6


@settings(max_examples=60)
@given(st.floats(0, 400), memory_sizes, neighbours)
def test_the_mean_of_many_runs_hardly_grows_with_more_memory(cpu_ms: float, memory_mb: int, more_mb: int) -> None:
    larger_mb = min(10_240, memory_mb + more_mb)
    smaller_ms, larger_ms = (mean_wall_time_ms([(cpu_ms, 0)], size) for size in (memory_mb, larger_mb))
    assert larger_ms <= smaller_ms + TICK_MS + 1e-6


# Prices.

priced = [
    find_prices(region, name)
    for region in regions()
    for name in ARCHITECTURES
    if region_prices(region).tiers[name] and region_prices(region).per_request is not None
]
prices_in_force = st.sampled_from(priced)
usages = st.none() | st.floats(1, 1e12)


@st.composite
def rates_in_force(draw: st.DrawFn) -> Rates:
    prices = draw(prices_in_force)
    storage_mb = draw(st.sampled_from([512, 513, 2048, 10_240])) if prices.storage_gb_second else 512
    return rates_for(prices, gb_seconds_per_month=draw(usages), ephemeral_storage_mb=storage_mb)


@given(rates_in_force(), memory_sizes, st.integers(1, 900_000), st.integers(1, 900_000))
def test_a_longer_run_costs_more(rates: Rates, memory_mb: int, one_ms: int, other_ms: int) -> None:
    shorter, longer = sorted((one_ms, other_ms))
    assume(shorter < longer)
    assert rates.bill(memory_mb, shorter) < rates.bill(memory_mb, longer)


@given(rates_in_force(), memory_sizes, memory_sizes, st.integers(1, 900_000))
def test_a_larger_size_costs_more_for_the_same_time(rates: Rates, one_mb: int, other_mb: int, billed_ms: int) -> None:
    smaller, larger = sorted((one_mb, other_mb))
    assume(smaller < larger)
    assert rates.bill(smaller, billed_ms) < rates.bill(larger, billed_ms)


@given(rates_in_force(), memory_sizes, st.integers(1, 900_000))
def test_a_bill_is_its_milliseconds_and_one_request(rates: Rates, memory_mb: int, billed_ms: int) -> None:
    assert rates.bill(memory_mb, billed_ms) > rates.prices.per_request
    twice = rates.bill(memory_mb, 2 * billed_ms) + rates.prices.per_request
    assert twice == pytest.approx(2 * rates.bill(memory_mb, billed_ms), rel=Decimal("1e-20"))


@given(prices_in_force, st.floats(1, 1e12), st.floats(1, 1e12))
def test_more_usage_never_makes_a_gb_second_dearer_nor_a_month_cheaper(
    prices: Prices, one: float, other: float
) -> None:
    less, more = sorted((Decimal(one), Decimal(other)))
    first, last = prices.tiers[0][1], prices.tiers[-1][1]
    dust = Decimal("1e-25")  # a quotient of decimals is rounded to 28 digits
    average_of_less, average_of_more = prices.per_gb_second(less), prices.per_gb_second(more)
    assert last - dust <= average_of_more <= average_of_less + dust <= first + 2 * dust
    assert average_of_less * less <= average_of_more * more * (1 + dust)


@given(st.floats(0, 900_000), st.floats(0, 10_000))
def test_billed_time_is_the_next_whole_millisecond_and_at_least_one(duration_ms: float, init_ms: float) -> None:
    billed_ms = billed_duration_ms(duration_ms, init_ms)
    assert billed_ms >= 1
    assert -1e-8 <= billed_ms - (duration_ms + init_ms) <= 1 or duration_ms + init_ms < 1
    assert billed_duration_ms(duration_ms + 1, init_ms) >= billed_ms


@given(st.text(max_size=10), st.sampled_from(ARCHITECTURES))
def test_a_price_is_found_or_refused_in_words(region: str, architecture: Architecture) -> None:
    assume(region not in regions())
    with pytest.raises(UsageError) as caught:
        find_prices(region, architecture)
    assert caught.value.hint
    assert caught.value.message.isprintable()


# Memory sizes.


@given(st.lists(memory_sizes, min_size=1, max_size=20, unique=True))
def test_a_list_of_sizes_is_read_in_ascending_order(sizes: list[int]) -> None:
    assert parse_sizes(",".join(map(str, sizes))) == tuple(sorted(sizes))


@given(memory_sizes, memory_sizes, st.integers(1, 2000))
def test_a_range_of_sizes_is_the_range(one: int, other: int, step: int) -> None:
    first, last = sorted((one, other))
    assert parse_sizes(f"{first}..{last}:{step}") == tuple(range(first, last + 1, step))


@settings(max_examples=100)
@given(st.text(alphabet="0123456789.,: allMB-", max_size=20) | st.text(max_size=20))
def test_any_text_is_sizes_of_lambda_in_order_or_a_usage_error(text: str) -> None:
    try:
        sizes = parse_sizes(text)
    except UsageError:
        return
    assert sizes
    assert sizes == tuple(sorted(set(sizes)))
    assert 128 <= sizes[0] <= sizes[-1] <= 10_240


# REPORT records.

hundredths = st.integers(0, 90_000_000).map(lambda hundredth: hundredth / 100)
words = st.from_regex(r"[A-Za-z][A-Za-z0-9.-]{0,30}", fullmatch=True)


@st.composite
def records(draw: st.DrawFn) -> ReportRecord:
    return ReportRecord(
        request_id=draw(st.uuids().map(str) | st.from_regex(r"[A-Za-z0-9-]{1,40}", fullmatch=True)),
        duration_ms=draw(hundredths),
        billed_ms=draw(st.integers(0, 1_000_000)),
        memory_mb=draw(memory_sizes),
        max_memory_used_mb=draw(st.integers(0, 10_240)),
        init_ms=draw(st.none() | hundredths),
        restore_ms=draw(st.none() | hundredths),
        billed_restore_ms=draw(st.none() | st.integers(0, 1_000_000)),
        status=draw(st.sampled_from(["success", "timeout", "error", "failure"])),
        error_type=draw(st.none() | words),
    )


@given(records())
def test_a_formatted_record_is_parsed_back(record: ReportRecord) -> None:
    assert parse_report_text(format_report(record)) == record


@given(records(), st.data())
def test_a_record_is_read_in_any_order_of_fields_and_with_any_white_space_between(
    record: ReportRecord, data: st.DataObject
) -> None:
    first, *fields = format_report(record).strip().split("\t")
    parting = data.draw(st.sampled_from(["\t", " ", "  ", "\t ", "\n", "\n  ", "\r\n"]))
    text = parting.join([first, *data.draw(st.permutations(fields))])
    assert parse_report_text(text) == record
    assert list(iter_reports(text.split("\n"))) == [record]


@given(records(), st.text(alphabet=st.characters(exclude_characters="\n\r"), max_size=60))
def test_a_record_is_found_after_whatever_stands_before_it(record: ReportRecord, before: str) -> None:
    assume("platform.report" not in before)
    assert list(iter_reports([before + " " + format_report(record)])) == [record]


@given(records(), st.sampled_from([None, 1, 4]))
def test_a_json_record_is_read_compact_and_pretty_printed(record: ReportRecord, indent: int | None) -> None:
    metrics = {
        "durationMs": record.duration_ms,
        "billedDurationMs": record.billed_ms,
        "memorySizeMB": record.memory_mb,
        "maxMemoryUsedMB": record.max_memory_used_mb,
        "initDurationMs": record.init_ms,
        "restoreDurationMs": record.restore_ms,
        "billedRestoreDurationMs": record.billed_restore_ms,
    }
    inner = {
        "requestId": record.request_id,
        "metrics": {key: value for key, value in metrics.items() if value is not None},
    }
    inner |= {"status": record.status} | ({"errorType": record.error_type} if record.error_type else {})
    document = {"time": "2026-10-08T07:30:42.149Z", "type": "platform.report", "record": inner}
    assert parse_report_json(document) == record
    assert list(iter_reports(json.dumps(document, indent=indent).split("\n"))) == [record]


fragments = st.sampled_from(
    [
        "REPORT RequestId: ", "a-1", "\t", " ", "Duration: ", "Billed Duration: ", "Memory Size: ", "Max Memory Used: ",
        "Init Duration: ", "Status: ", "Error Type: ", "1.5", "128", "-1", "NaN", "1e999", "9" * 13, " ms", " MB",
        "\\t", "XRAY TraceId: ", "INIT_", '{"type":"platform.report"', "{", "}", "[", "]", '"', ":", ",", '"record":{',
        '"metrics":{', '"durationMs":', '"memorySizeMB":', '"requestId":"a"', "null", "\\", "platform.report",
    ]
)  # fmt: skip
log_lines = st.lists(fragments, max_size=20).map("".join) | st.text(max_size=40)


def assert_sound(found: ReportRecord | DamagedRecordError) -> None:
    if isinstance(found, ReportRecord):
        assert found.request_id
        assert found.memory_mb >= 1
        for figure in (found.duration_ms, found.billed_ms, found.max_memory_used_mb, found.init_ms, found.restore_ms):
            assert figure is None or 0 <= figure < math.inf


@settings(max_examples=150)
@given(st.lists(log_lines, max_size=12))
def test_no_log_makes_the_reader_fail(lines: list[str]) -> None:
    for found in iter_reports(lines):
        assert_sound(found)


@settings(max_examples=150)
@given(records(), st.data())
def test_no_damage_to_a_record_makes_the_reader_fail(record: ReportRecord, data: st.DataObject) -> None:
    text = format_report(record)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 20)))
        text = text[:start] + data.draw(fragments | st.text(max_size=3)) + text[end:]
    for found in iter_reports(text.split("\n")):
        assert_sound(found)


@given(st.lists(records(), max_size=6), st.data())
def test_records_come_out_in_the_order_of_the_log_whatever_stands_between(
    expected: list[ReportRecord], data: st.DataObject
) -> None:
    between = st.sampled_from(["START RequestId: a Version: 3", "INIT_REPORT Init Duration: 3 ms", "", "{'a': 1}"])
    lines = [line for record in expected for line in (data.draw(between), format_report(record))]
    assert list(iter_reports(lines)) == expected


# Statistics and predictions.

durations = st.floats(0.01, 900_000)


@given(st.lists(durations, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_a_summary_lies_among_its_durations_and_does_not_depend_on_their_order(
    durations_ms: list[float], random: Random
) -> None:
    summary = summarise(durations_ms)
    smallest, largest = min(durations_ms) * (1 - 1e-12), max(durations_ms) * (1 + 1e-12)
    known = [value for value in (summary.p50, summary.p95, summary.p99) if value is not None]
    assert all(smallest <= value <= largest for value in [summary.mean, *known])
    assert all(lower <= upper * (1 + 1e-12) for lower, upper in pairwise(known))
    if summary.ci95:
        assert 0 <= summary.ci95[0] <= summary.mean <= summary.ci95[1]
    shuffled = list(durations_ms)
    random.shuffle(shuffled)
    assert summarise(shuffled) == summary


known_durations = st.dictionaries(memory_sizes, durations, min_size=1, max_size=6)
spreads = st.floats(1e-8, 1.0)


@given(known_durations, spreads, memory_sizes, st.randoms(use_true_random=False))
def test_any_evidence_gives_a_duration_with_an_interval_in_whatever_order(
    known_ms: dict[int, float], variance: float, memory_mb: int, random: Random
) -> None:
    evidence = [Evidence(size, duration_ms, variance) for size, duration_ms in known_ms.items()]
    found = predict(evidence, [memory_mb])[memory_mb]
    low_ms, high_ms = found.duration_ci95_ms
    assert 0 < low_ms <= high_ms < math.inf
    assert 0 < found.duration_ms < math.inf
    random.shuffle(evidence)
    assert predict(evidence, [memory_mb])[memory_mb] == found


@given(known_durations, spreads)
def test_precise_evidence_is_believed_more_than_the_model(known_ms: dict[int, float], variance: float) -> None:
    def off(variance: float) -> float:
        found = predict([Evidence(size, known, variance) for size, known in known_ms.items()], list(known_ms))
        return max(abs(math.log(found[size].duration_ms / max(known, 0.001))) for size, known in known_ms.items())

    assert off(1e-9) <= 0.01
    assert off(1e-9) <= off(variance) + 0.01


# Recommendations.

usd = st.floats(0.01, 10_000)
tolerances = st.sampled_from([0.0, 0.02, 0.1, 0.5])
weights = st.sampled_from([0.0, 0.3, 0.5, 1.0])


@st.composite
def size_rows(draw: st.DrawFn, memory_mb: int) -> SizeProfile:
    counts = Counts(draw(st.integers(0, 30)), draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    if draw(st.integers(0, 9)) == 0:
        return SizeProfile(memory_mb, draw(st.sampled_from(STATUSES[1:])), "a reason", invocations=counts)
    # Few different figures, so that there are ties.
    mean_ms, cost = (
        draw(durations | st.sampled_from([50.0, 51.0, 100.0])),
        draw(usd | st.sampled_from([1.0, 1.01, 2.0])),
    )
    half = draw(st.none() | st.floats(0, 0.2))
    expected = None
    if draw(st.booleans()):
        model_ms, model_usd = mean_ms * draw(st.floats(0.8, 1.25)), cost / 1e6 * draw(st.floats(0.8, 1.25))
        expected = Expected(
            model_ms, (model_ms * 0.97, model_ms * 1.03), model_usd, (model_usd * 0.97, model_usd * 1.03)
        )
    return SizeProfile(
        memory_mb,
        basis=draw(st.sampled_from(BASES)),
        invocations=counts,
        duration_ms=Distribution(
            mean_ms,
            p95=draw(st.none() | st.just(mean_ms * 1.5)),
            ci95=None if half is None else (mean_ms * (1 - half), mean_ms * (1 + half)),
        ),
        max_memory_used_mb=draw(st.none() | st.floats(0, memory_mb)),
        cost=Cost(cost / 1e6, cost, None if half is None else (cost * (1 - half), cost * (1 + half))),
        expected=expected,
        limit_odds=draw(st.none() | st.floats(0, 1)),
    )


@st.composite
def tables(draw: st.DrawFn) -> list[SizeProfile]:
    sizes = draw(st.lists(memory_sizes, max_size=7, unique=True))
    return [draw(size_rows(size)) for size in sizes]


choices = st.builds(
    Choice,
    strategy=st.sampled_from(STRATEGIES),
    balanced_weight=weights,
    tolerance=tolerances,
    max_duration_ms=st.none() | durations,
    max_cost_per_million=st.none() | usd,
    current_memory_mb=st.none() | memory_sizes,
    allow_unmeasured=st.booleans(),
    calibrated=st.booleans(),
)


def picks(found: Recommendation) -> tuple[int | None, int | None, int | None]:
    return found.cost_memory_mb, found.speed_memory_mb, found.balanced_memory_mb


def scaled(size: SizeProfile, factor: float) -> SizeProfile:
    if size.cost is None:
        return size
    interval = size.cost.ci95_per_million
    cost = Cost(
        size.cost.per_invocation * factor,
        size.cost.per_million * factor,
        interval and (interval[0] * factor, interval[1] * factor),
    )
    expected = size.expected
    if expected is not None:
        low, high = expected.ci95_cost_per_invocation or (0.0, 0.0)
        expected = replace(
            expected,
            cost_per_invocation=expected.cost_per_invocation * factor,
            ci95_cost_per_invocation=(low * factor, high * factor),
        )
    return replace(size, cost=cost, expected=expected)


@given(tables(), choices)
def test_a_pick_is_one_of_the_sizes_that_qualify(sizes: list[SizeProfile], choice: Choice) -> None:
    found = recommend(sizes, choice)
    qualifying = [size for size in sizes if objection(size, choice) is None]
    unsure = {"extrapolated"} if choice.allow_unmeasured else {"extrapolated", "interpolated", "scaled"}
    sure = {size.memory_mb for size in qualifying if size.basis not in unsure}
    assert found.memory_mb == found.pick(choice.strategy)
    for pick in picks(found):
        assert pick in sure if sure else pick is None
    assert found.memory_mb is not None or found.confidence == "inconclusive"
    assert found.reasons
    assert all(reason.strip() for reason in found.reasons)


@settings(max_examples=100)
@given(tables(), choices, st.data())
def test_the_order_of_sizes_changes_nothing(sizes: list[SizeProfile], choice: Choice, data: st.DataObject) -> None:
    turned = data.draw(st.permutations(sizes))
    one, other = recommend(sizes, choice), recommend(turned, choice)
    assert picks(one) == picks(other)
    assert replace(one, reasons=()) == replace(other, reasons=())


@given(tables(), choices, st.integers(-20, 20))
def test_costs_in_another_unit_change_no_pick(sizes: list[SizeProfile], choice: Choice, exponent: int) -> None:
    # Powers of two, so that no rounding decides a tie.
    choice = replace(choice, max_cost_per_million=None)
    dearer = [scaled(size, 2.0**exponent) for size in sizes]
    one, other = recommend(dearer, choice), recommend(sizes, choice)
    assert picks(one) == picks(other)
    assert (one.confidence, one.verdict, one.pareto) == (other.confidence, other.verdict, other.pareto)


# Most tables hold no measured size that qualifies, and tell nothing here.
@settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(tables(), choices, st.integers(0, 500), st.integers(1, 500), st.floats(0, 0.2), st.data())
def test_a_size_that_another_beats_on_both_axes_changes_neither_cheapest_nor_fastest(
    sizes: list[SizeProfile], choice: Choice, slower_pct: int, dearer_pct: int, half: float, data: st.DataObject
) -> None:
    choice = replace(choice, max_duration_ms=None, max_cost_per_million=None)
    qualifying = [size for size in sizes if objection(size, choice) is None and size.basis == "measured"]
    assume(qualifying)
    better = data.draw(st.sampled_from(qualifying))
    assert better.duration_ms is not None
    assert better.cost is not None
    expected = better.expected
    mean_ms = (expected.duration_ms if expected else better.duration_ms.mean) * (1 + slower_pct / 100)
    cost = (expected.cost_per_invocation if expected else better.cost.per_invocation) * (1 + dearer_pct / 100)
    free = [size for size in range(128, 10_240, 997) if size not in {size.memory_mb for size in sizes}]
    worse = SizeProfile(
        free[0],
        duration_ms=Distribution(mean_ms, ci95=(mean_ms * (1 - half), mean_ms * (1 + half))),
        cost=Cost(cost, cost * 1e6, (cost * 1e6 * (1 - half), cost * 1e6 * (1 + half))),
        invocations=Counts(50),
    )
    before, after = recommend(sizes, choice), recommend([*sizes, worse], choice)
    assert picks(before)[:2] == picks(after)[:2]
    assert before.pareto == after.pareto


@given(tables(), choices)
def test_no_size_beats_one_of_the_pareto_set_and_each_other_is_beaten_by_one_of_it(
    sizes: list[SizeProfile], choice: Choice
) -> None:
    figures = {
        size.memory_mb: (size.expected.cost_per_invocation, size.expected.duration_ms)
        if size.expected
        else (size.cost.per_invocation, size.duration_ms.mean)
        for size in sizes
        if objection(size, choice) is None and size.cost and size.duration_ms
    }
    unbeaten = [figures[memory_mb] for memory_mb in recommend(sizes, choice).pareto]
    for own in figures.values():
        beaten = any(other[0] <= own[0] and other[1] <= own[1] and other != own for other in unbeaten)
        assert beaten != (own in unbeaten)


@settings(max_examples=100)
@given(tables(), choices)
def test_within_the_tolerance_a_pick_gives_up_no_more_than_that_and_wins_on_the_other_axis(
    sizes: list[SizeProfile], choice: Choice
) -> None:
    # Without intervals, so that the samples have no say.
    plain = [
        replace(size, duration_ms=replace(size.duration_ms, ci95=None)) if size.duration_ms else size for size in sizes
    ]
    plain = [replace(size, cost=replace(size.cost, ci95_per_million=None)) if size.cost else size for size in plain]
    plain = [replace(size, expected=None) for size in plain]
    best, tolerant = recommend(plain, replace(choice, tolerance=0.0)), recommend(plain, choice)
    figures = {
        size.memory_mb: (size.cost.per_invocation, size.duration_ms.mean)
        for size in plain
        if size.duration_ms and size.cost
    }
    assert best.balanced_memory_mb == tolerant.balanced_memory_mb
    for own, (best_mb, chosen_mb) in enumerate(zip(picks(best)[:2], picks(tolerant)[:2], strict=True)):
        assert (best_mb is None) == (chosen_mb is None)
        if best_mb is not None and chosen_mb is not None:
            assert figures[chosen_mb][own] <= figures[best_mb][own] * (1 + choice.tolerance)
            assert figures[chosen_mb][1 - own] <= figures[best_mb][1 - own]


# The run file.

SCHEMA = jsonschema.Draft202012Validator(
    json.loads(resources.files("powertune.model").joinpath("run-1.schema.json").read_text(encoding="utf-8"))
)
some_text = st.text(max_size=12)
amounts = st.floats(0, 1e9)
numbers = st.floats(-1e9, 1e9)
optional_text = st.none() | some_text
optional_memory = st.none() | memory_sizes
intervals = st.none() | st.tuples(amounts, amounts)
codes = st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True)


def profiles(currency: str) -> st.SearchStrategy[SizeProfile]:
    return st.builds(
        SizeProfile,
        memory_mb=memory_sizes,
        status=st.sampled_from(STATUSES),
        reason=optional_text,
        basis=st.sampled_from(BASES),
        invocations=st.builds(Counts, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)),
        duration_ms=st.none()
        | st.builds(
            Distribution, amounts, *[st.none() | amounts] * 4, ci95=intervals, robust_stddev=st.none() | amounts
        ),
        init_ms=st.none() | st.builds(InitTime, amounts, st.none() | amounts),
        max_memory_used_mb=st.none() | amounts,
        cost=st.none() | st.builds(Cost, amounts, amounts, intervals, st.just(currency)),
        expected=st.none() | st.builds(Expected, amounts, intervals, amounts, intervals),
        outliers=st.none() | st.builds(Outliers, st.integers(0, 99), st.floats(0, 1)),
        limit_odds=st.none() | st.floats(0, 1),
    )


invocations = st.builds(
    Invocation,
    memory_mb=memory_sizes,
    duration_ms=amounts,
    billed_ms=st.none() | amounts,
    init_ms=st.none() | amounts,
    max_memory_used_mb=st.none() | amounts,
    cold=st.booleans(),
    request_id=optional_text,
    payload=optional_text,
    error=optional_text,
    status=st.sampled_from(STATUSES),
    extra=st.dictionaries(some_text, some_text, max_size=2),
)
verdicts = st.none() | st.builds(
    Verdict,
    memory_sizes,
    memory_sizes,
    st.sampled_from(STRATEGIES),
    st.sampled_from(VERDICT_KINDS),
    numbers,
    st.none() | st.tuples(numbers, numbers),
    st.dictionaries(memory_sizes, st.integers(0, 10**6), max_size=2),
)


def recommendations(sizes: Sequence[SizeProfile]) -> st.SearchStrategy[Recommendation]:
    picks = st.sampled_from([None, *(size.memory_mb for size in sizes)])
    return st.builds(
        Recommendation,
        st.sampled_from(STRATEGIES),
        picks,
        st.sampled_from(CONFIDENCES),
        picks,
        picks,
        picks,
        st.lists(some_text, max_size=2).map(tuple),
        st.none() | st.builds(Change, numbers, numbers, duration_verdict=verdicts, cost_verdict=verdicts),
        verdicts,
        st.lists(memory_sizes, max_size=3).map(tuple),
        st.lists(some_text, max_size=2).map(tuple),
        st.none() | st.integers(1, 900),
    )


@st.composite
def runs(draw: st.DrawFn) -> TuningRun:
    currency = draw(st.sampled_from(["USD", "CNY", "EUR"]))
    architecture = draw(st.sampled_from(ARCHITECTURES))
    kind = draw(st.sampled_from(["aws", "local", "recorded", "insights", "custom"]))
    details = draw(st.dictionaries(some_text, st.none() | st.booleans() | numbers | some_text, max_size=3))
    sizes = draw(st.lists(profiles(currency), max_size=3))
    return TuningRun(
        tool_version=draw(some_text),
        created_at=draw(st.datetimes()).isoformat() + "Z",
        source={**details, "kind": kind},
        function=FunctionFacts(
            draw(optional_text),
            draw(optional_text),
            architecture,
            draw(optional_text),
            draw(optional_memory),
            timeout_s=draw(st.none() | st.floats(0, 900)),
        ),
        pricing=PricesUsed(
            draw(some_text), architecture, currency, draw(optional_text), draw(amounts), draw(amounts), "list"
        ),
        sizes=tuple(sizes),
        recommendation=draw(recommendations(sizes)),
        spent=Spent(draw(st.integers(0, 10**6)), draw(amounts)),
        warnings=tuple(draw(st.lists(st.builds(RunWarning, codes, some_text, some_text, optional_memory), max_size=2))),
        invocations=tuple(draw(st.lists(invocations, max_size=3))),
    )


@given(runs())
def test_any_run_is_read_as_it_was_saved(run: TuningRun) -> None:
    assert from_dict(run.to_dict()) == run
    assert from_dict(json.loads(run.to_json())) == run


@given(runs())
def test_any_saved_run_is_valid_against_the_schema(run: TuningRun) -> None:
    SCHEMA.validate(json.loads(run.to_json()))


# Text.

UNSAFE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
hostile_text = st.text(alphabet=st.characters() | st.sampled_from("\x1b\x9b\u202e\u2066\u200b\u2028\n\t \ufeff"))


@settings(max_examples=150)
@given(hostile_text, st.integers(3, 60))
def test_printable_text_has_nothing_that_a_terminal_obeys_and_keeps_to_its_limit(text: str, limit: int) -> None:
    shown = printable(text, limit=limit)
    assert len(shown) <= limit
    assert not UNSAFE & {unicodedata.category(char) for char in shown}
    assert "\n" not in shown


@given(hostile_text, st.integers(3, 60))
def test_making_printable_text_printable_changes_nothing(text: str, limit: int) -> None:
    shown = printable(text, limit=limit)
    assert printable(shown, limit=limit) == shown


@settings(max_examples=150)
@given(st.floats(1e-18, 1e12), st.sampled_from([-1, 1]), st.sampled_from(["USD", "CNY", "EUR"]))
def test_an_amount_that_is_not_nothing_is_never_shown_as_nothing(amount: float, sign: int, currency: str) -> None:
    shown = money(sign * amount, currency)
    assert set(shown) & set("123456789")
    assert shown.startswith("-") == (sign < 0)
    digits = shown.lstrip("-$¥EUR ").replace(",", "")
    assert float(digits) == pytest.approx(amount, rel=0.05)
