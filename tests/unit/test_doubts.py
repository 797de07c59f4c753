"""What makes an answer doubtful is told, once for all sizes that share it, with what would cure it."""

from dataclasses import replace

from powertune.analysis.doubts import doubts
from powertune.analysis.drift import Drift
from powertune.model.size_profile import Basis, Counts, Distribution, Expected, InitTime, Outliers, SizeProfile


def size(
    memory_mb: int,
    *,
    warm: int = 20,
    cold: int = 0,
    failed: int = 0,
    basis: Basis = "measured",
    used_mb: float | None = None,
    stddev_ms: float | None = None,
    init_ms: float | None = None,
) -> SizeProfile:
    return SizeProfile(
        memory_mb,
        basis=basis,
        invocations=Counts(warm, cold, failed),
        duration_ms=Distribution(100.0, stddev=stddev_ms),
        init_ms=InitTime(init_ms) if init_ms else None,
        max_memory_used_mb=used_mb,
    )


def codes(
    *sizes: SizeProfile, recommended_mb: int | None = None, calibrated: bool = True, rate: float = 0.0
) -> list[str]:
    found = doubts(sizes, recommended_mb, calibrated=calibrated, cold_start_rate=rate)
    return [warning.code for warning in found]


def test_plenty_of_quiet_runs_leave_no_doubt() -> None:
    assert codes(size(128, used_mb=60), size(256, used_mb=60, stddev_ms=5), recommended_mb=256) == []


def test_few_runs_are_told_once_for_all_sizes() -> None:
    assert codes(size(128, warm=1), size(256, warm=4), size(512, warm=5)) == ["few-runs"]
    (once,) = doubts([size(128, warm=1)], None)
    assert once.message == "128 MB was recorded only once"
    assert once.memory_mb == 128


def test_cold_runs_alone_are_told() -> None:
    assert codes(size(128, warm=0, cold=9)) == ["cold-only"]


def test_sizes_that_were_never_recorded_are_told() -> None:
    assert codes(size(128, basis="interpolated"), size(256, basis="extrapolated")) == ["not-recorded"]


def test_what_a_second_vcpu_would_do_is_not_known_from_sizes_below_it() -> None:
    below = (size(512), size(1769), size(3008, basis="extrapolated"))
    assert codes(*below) == ["not-recorded", "parallel-speed-unknown"]
    assert codes(size(512), size(3008), size(2048, basis="interpolated")) == ["not-recorded"]


def test_a_size_that_a_search_left_out_was_not_measured() -> None:
    sizes = [size(128), size(256, basis="interpolated")]
    (warning,) = (found for found in doubts(sizes, None, is_recorded=False) if found.memory_mb == 256)
    assert (warning.code, warning.hint) == ("not-measured", "measure every size alike with --search full")


def test_sizes_with_little_free_memory_are_told() -> None:
    assert codes(size(128, used_mb=116)) == ["low-memory-headroom"]
    assert codes(size(128, used_mb=115)) == []


def test_failures_among_successes_are_told_whatever_the_basis() -> None:
    assert codes(size(128, failed=1)) == codes(size(128, failed=1, basis="scaled")) == ["failed-runs"]


def test_a_wide_spread_matters_at_the_recommended_size() -> None:
    assert codes(size(128, stddev_ms=26), recommended_mb=128) == ["wide-spread"]
    assert codes(size(128, stddev_ms=26), recommended_mb=256) == []


def test_durations_on_another_scale_are_told() -> None:
    assert codes(size(128, basis="scaled"), calibrated=False) == ["scaled-from-this-machine"]


def test_a_cold_start_rate_without_init_times_is_told() -> None:
    assert codes(size(128), rate=0.05) == ["no-init-time"]
    assert codes(size(128, init_ms=200), rate=0.05) == []


def test_sizes_that_failed_are_no_doubt_of_the_others() -> None:
    assert codes(SizeProfile(128, "out-of-memory", "needs about 190 MB"), size(256)) == []


def test_many_sizes_are_not_all_named() -> None:
    (warning,) = doubts([size(memory_mb, warm=2) for memory_mb in range(128, 128 + 64 * 9, 64)], None)
    assert warning.message.startswith("128, 192, 256, 320, 384, 448 MB and 3 more sizes were")
    assert warning.memory_mb is None


def test_payloads_that_never_ran_at_a_size_are_told() -> None:
    sizes = [size(128), size(256), size(512)]
    (one,) = doubts(sizes, None, missing_payloads={256: ["large"], 512: []})
    assert (one.code, one.memory_mb) == ("missing-payloads", 256)
    assert one.message.startswith("256 MB was measured without a run of 'large' that counts")
    (both,) = doubts(sizes, None, missing_payloads={128: ["d", "c"], 256: ["e", "a", "b\n"], 1024: ["z"]})
    assert both.message.startswith("128, 256 MB were measured without a run of 'a', 'b', 'c' and 2 more that counts")
    assert both.memory_mb is None


def test_drift_is_told_with_its_direction_and_interval() -> None:
    faster, slower = (
        next(iter(doubts([size(128)], None, drift=Drift(sign * 0.08, (sign * 0.03, sign * 0.13))))) for sign in (-1, 1)
    )
    assert faster.code == slower.code == "drift"
    assert faster.message.startswith("runs became 8 % faster from their first half")
    assert faster.message.endswith("(95 % interval: 3 to 13 %)")
    assert "8 % slower" in slower.message


def test_outliers_are_told_with_their_share_of_the_cost() -> None:
    (one,) = doubts([replace(size(128), outliers=Outliers(1, 0.12)), replace(size(256), outliers=Outliers(0, 0))], None)
    assert (one.code, one.memory_mb) == ("outliers", 128)
    assert one.message == "1 of 20 runs at 128 MB lies far from the usual duration, and makes 12 % of the cost there"
    (both,) = doubts([replace(size(mb), outliers=Outliers(2, mb / 1000)) for mb in (128, 256)], None)
    assert both.message.startswith("4 of 40 runs at 128, 256 MB lie far")
    assert "make up to 26 % of the cost" in both.message
    assert codes(replace(size(128), outliers=Outliers(1, 0.005))) == []


def test_a_timeout_without_room_above_the_slowest_run_is_told_with_a_better_one() -> None:
    slow = replace(size(512), duration_ms=Distribution(900.0, p95=2000.0, p99=2400.0))
    (tight,) = doubts([slow], 512, timeout_s=3)
    assert (tight.code, tight.memory_mb) == ("timeout-too-tight", 512)
    assert "timeout of 3 s" in tight.message
    assert tight.hint.startswith("set it to 4 s")
    assert not list(doubts([slow], 512, timeout_s=4))
    assert not list(doubts([slow], 256, timeout_s=3))


def test_few_runs_at_a_size_are_no_doubt_where_all_sizes_together_speak_for_it() -> None:
    assert codes(replace(size(128, warm=1), expected=Expected(100.0, (98.0, 102.0), 1e-6, None))) == []
