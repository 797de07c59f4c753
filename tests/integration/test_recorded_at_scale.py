"""Large recordings: the same figures whoever reads which part, bit for bit, on processes, on Dask, and from S3."""

import gzip
import importlib.util
import json
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from believable_lambda import BelievableLambda

from powertune.cli.main import main
from powertune.errors import PowertuneError
from powertune.sources import engines, inputs
from powertune.sources.inputs import find_inputs, split
from powertune.sources.recorded_files import Engine, read_files
from powertune.sources.recording import Recording

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def log(invocations: int, *, seed: int = 1, form: str = "text") -> str:
    """Return the log of so many invocations, with all that stands between records, and a few damaged ones."""
    rnd = random.Random(seed)  # noqa: S311 - no secret hangs on it
    lines = []
    for number in range(invocations):
        request = f"{rnd.getrandbits(32):08x}-0000-4000-8000-{number:012x}"
        time = f"2026-11-{1 + number // 3600 % 28:02}T{number // 60 % 24:02}:{number % 60:02}:00.{number % 1000:03}Z"
        ms, memory_mb = rnd.lognormvariate(4, 1), rnd.choice([128, 256, 512, 1024])
        cold = rnd.random() < 0.05
        if form == "json":
            metrics = {"durationMs": round(ms, 3), "billedDurationMs": int(ms) + 1, "memorySizeMB": memory_mb,
                       "maxMemoryUsedMB": 60} | ({"initDurationMs": 200.125} if cold else {})  # fmt: skip
            start = {"requestId": request, "functionArn": f"{ARN}orders", "version": "1"}
            record = {"requestId": request, "metrics": metrics, "status": "success"}
            for kind, content in (("start", start), ("report", record)):
                document = {"time": time, "type": f"platform.{kind}", "record": content}
                lines.append(json.dumps(document, separators=(",", ":")))
            continue
        stamp = "" if form == "text" else f"{time} "
        lines += [
            f"{stamp}START RequestId: {request} Version: $LATEST",
            f"{stamp}{request}\tINFO\tPAID {number} {{'a': 1}}",
        ]
        report = (
            f"{stamp}REPORT RequestId: {request}\tDuration: {ms:.2f} ms\tBilled Duration: {int(ms) + 1} ms\t"
            f"Memory Size: {memory_mb} MB\tMax Memory Used: {rnd.randint(50, 90)} MB\t"
        )
        if cold:
            report += "Init Duration: 200.12 ms\t"
        if number % 1000 == 7:
            report = report[:90]
        if number % 500 == 3:
            report += "Status: timeout\t"
        lines.append(report)
        if number % 10 == 0:
            lines.append(
                "XRAY TraceId: 1-6a7a67c2-0701d869329bf462748bc57c\tSegmentId: d0025b207c551fde\tSampled: true\t"
            )
    return "\n".join(lines) + "\n"


def write(name: str, content: str | bytes) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def figures(recording: Recording) -> tuple[Any, ...]:
    """Return all that a recording holds, whatever its form."""
    repeats = recording.repeats if recording.runs is None else None
    return (
        list(recording.kept_runs()), recording.digests, recording.aggregates, recording.cpu_times, recording.count,
        recording.damaged, recording.invalid, recording.complaints, recording.notes, recording.silent_files, repeats,
    )  # fmt: skip


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Part files as if they were large."""
    monkeypatch.setattr(inputs, "SMALLEST_RANGE", 64 << 10)


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize("form", ["text", "exported", "json"])
@pytest.mark.parametrize("invocations", [3_000, 30_000])
def test_figures_are_the_same_bit_for_bit_whoever_reads(form: str, invocations: int) -> None:
    name = write("a.log", log(invocations, form=form))
    other = write("b.log", log(200, seed=2, form=form))
    alone = read_files([name, other], engine=Engine(jobs=1))
    assert alone.count > 0.99 * invocations
    assert (alone.runs is None) == (invocations > 20_000)
    for jobs in (2, 3):
        assert figures(read_files([name, other], engine=Engine(jobs=jobs))) == figures(alone)


@pytest.mark.usefixtures("small_ranges")
def test_a_log_is_parted_where_records_begin() -> None:
    name = write("a.log", log(3_000))
    [part] = find_inputs([name]).files
    parts = split(part, 8)
    assert len(parts) == 8
    assert [one.end for one in parts[:-1]] == [one.begin for one in parts[1:]]
    data = Path(name).read_bytes()
    for one in parts[1:]:
        assert data[one.begin :].startswith(b"REPORT RequestId: ")


@pytest.mark.usefixtures("small_ranges")
@pytest.mark.parametrize(
    "content",
    [
        "memory_mb,duration_ms\n" + "128,5.5\n256,4.5\n" * 30_000,
        gzip.compress(log(9_000).encode()),
        json.dumps(json.loads("[" + ",".join(['{"memory_mb":128,"duration_ms":5.5}'] * 9_000) + "]"), indent=1),
    ],
    ids=["CSV", "gzip", "JSON"],
)
def test_what_is_no_log_is_one_part_and_has_the_same_figures(content: str | bytes) -> None:
    name = write("input", content)
    [part] = find_inputs([name]).files
    assert len(split(part, 8)) == 1
    assert figures(read_files([name], engine=Engine(jobs=2))) == figures(read_files([name], engine=Engine(jobs=1)))


@pytest.mark.usefixtures("small_ranges")
def test_a_log_in_which_two_functions_take_turns_is_the_same_however_many_read() -> None:
    lines = log(6_000, form="json").splitlines()
    pairs = [lines[first : first + 2] for first in range(0, len(lines), 2)]
    for number, (start, _) in enumerate(pairs):
        pairs[number][0] = start.replace("orders", "billing") if number % 3 == 0 and number > 4_000 else start
    name = write("two.log", "\n".join(line for pair in pairs for line in pair))
    alone = read_files([name], engine=Engine(jobs=1))
    functions = {run.origin.function for run in alone.kept_runs()}
    assert functions == {"orders", "billing"}
    assert figures(read_files([name], engine=Engine(jobs=2))) == figures(alone)


def test_a_file_that_grows_is_read_up_to_where_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    name = write("a.log", log(100))
    found = find_inputs([name])
    with Path(name).open("a", encoding="utf-8") as stream:
        stream.write(log(100, seed=2))
    monkeypatch.setattr("powertune.sources.recorded_files.find_inputs", lambda _names: found)
    assert 90 <= read_files([name]).count <= 100


@pytest.mark.usefixtures("small_ranges")
def test_memory_does_not_grow_with_the_input() -> None:
    import tracemalloc  # noqa: PLC0415 - used here alone

    def most(invocations: int) -> int:
        name = write(f"{invocations}.log", log(invocations))
        tracemalloc.start()
        read_files([name], engine=Engine(jobs=1))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    most(1_000)
    assert most(140_000) < 1.1 * most(70_000)


# --- Dask ---

needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="Dask is not installed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A scheduler and two workers, each a process of its own."""
    from distributed import LocalCluster  # noqa: PLC0415 - may not be there

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True) as local:  # type: ignore[no-untyped-call] # Dask has no types
        yield str(local.scheduler_address)


@needs_dask
@pytest.mark.usefixtures("small_ranges")
@pytest.mark.filterwarnings("ignore")  # of Dask's own, which are not ours to mend
def test_a_dask_cluster_gives_the_figures_of_one_process_bit_for_bit(cluster: str) -> None:
    names = [write(f"{number}.log", log(15_000, seed=number)) for number in range(3)]
    names.append(write("c.gz", gzip.compress(log(1_000, seed=9).encode())))
    alone = read_files(names, engine=Engine(jobs=1))
    assert figures(read_files(names, engine=Engine("dask", scheduler=cluster))) == figures(alone)
    few = read_files(names[-1:], engine=Engine(jobs=1))
    assert figures(read_files(names[-1:], engine=Engine("dask", scheduler=cluster))) == figures(few)


@needs_dask
@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_is_not_there_is_told() -> None:
    with pytest.raises(PowertuneError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        read_files([write("a.log", log(3))], engine=Engine("dask", scheduler="tcp://127.0.0.1:9"))


@needs_dask
@pytest.mark.filterwarnings("ignore")
def test_a_file_that_dasks_workers_do_not_find_is_told(cluster: str) -> None:
    with pytest.raises(PowertuneError, match="No such file") as raised:
        read_files(["nothere.log"], engine=Engine("dask", scheduler=cluster))
    assert "each has to find it under that name" in raised.value.hint


@needs_dask
@pytest.mark.filterwarnings("ignore")
def test_dasks_workers_need_the_same_powertune(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "__version__", "9.9.9")
    with pytest.raises(PowertuneError, match=r"has powertune .*, and this is 9\.9\.9"):
        read_files([write("a.log", log(3))], engine=Engine("dask", scheduler=cluster))


@needs_dask
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_without_workers_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster  # noqa: PLC0415 - may not be there

    monkeypatch.setattr(engines, "_PATIENCE_S", 0.5)
    with LocalCluster(n_workers=0, dashboard_address=None, processes=True) as empty:  # type: ignore[no-untyped-call] # Dask has no types
        engine = Engine("dask", scheduler=str(empty.scheduler_address))
        with pytest.raises(PowertuneError, match="no worker"):
            read_files([write("a.log", log(3))], engine=engine)


def test_a_process_that_is_ended_from_outside_is_told() -> None:
    with (
        pytest.raises(PowertuneError, match="ended from outside"),
        engines.executor_for("local", workers=2) as (pool, _),
    ):
        pool.submit(os._exit, 9).result()


# --- S3 ---


@pytest.fixture
def bucket(believable: BelievableLambda) -> str:
    """A bucket with two exported logs, and what an export leaves beside them."""
    del believable
    client = boto3.client("s3")
    client.create_bucket(Bucket="logs")
    objects = {
        "exported/aws-logs-write-test": b"Permission Check Successful",
        "exported/task/2025-05-12-[$LATEST]5b11/000000.gz": gzip.compress(log(200, seed=1, form="exported").encode()),
        "exported/task/2025-05-12-[$LATEST]5b12/000000.gz": gzip.compress(log(200, seed=2, form="exported").encode()),
        "exported/task/": b"",
        "other.log": log(50, seed=3).encode(),
        "other.log.old": b"nothing",
    }
    for key, body in objects.items():
        client.put_object(Bucket="logs", Key=key, Body=body)
    return "logs"


def test_a_prefix_in_s3_is_read_object_by_object(bucket: str) -> None:
    here = [write(f"{seed}.log", log(200, seed=seed, form="exported")) for seed in (1, 2)]
    found = read_files([f"s3://{bucket}/exported/"], engine=Engine(jobs=1))
    expected = read_files(here)
    assert list(found.kept_runs()) == list(expected.kept_runs())
    assert found.silent_files == [
        "s3://logs/exported/aws-logs-write-test holds no REPORT record and is no table of durations"
    ]
    side_by_side = read_files([f"s3://{bucket}/exported/"], engine=Engine(jobs=2))
    assert figures(side_by_side) == figures(found)


def test_an_object_that_is_named_in_full_is_read_alone(bucket: str) -> None:
    assert 40 < read_files([f"s3://{bucket}/other.log"]).count <= 50


def estimate(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capfd.readouterr()
    code = main(["estimate", *arguments])
    return (code, *capfd.readouterr())


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("s3://logs/nothing/", 3, "there are no objects at s3://logs/nothing/"),
        ("s3://", 3, "no place in S3"),
        ("s3://no-such-bucket/a", 4, "NoSuchBucket"),
    ],
)
def test_what_is_not_in_s3_is_told(
    bucket: str, capfd: pytest.CaptureFixture[str], url: str, code: int, words: str
) -> None:
    del bucket
    found, _, errors = estimate(capfd, url)
    assert found == code
    assert words in errors or code == 4


def test_a_connection_that_breaks_is_taken_up_where_it_broke(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.response import StreamingBody  # noqa: PLC0415 - used here alone

    whole = read_files([f"s3://{bucket}/other.log"])
    read, breaks = StreamingBody.read, iter(range(100))

    def breaking(self: StreamingBody, amt: int | None = None) -> bytes:
        if next(breaks) % 2:
            raise ConnectionResetError("peer")
        data: bytes = read(self, min(amt or 3000, 3000))
        return data

    monkeypatch.setattr(StreamingBody, "read", breaking)
    assert list(read_files([f"s3://{bucket}/other.log"]).kept_runs()) == list(whole.kept_runs())


# --- many functions ---


def subscription(function: str, invocations: int, *, seed: int) -> str:
    start_ms = 1_762_000_000_000
    events = [
        {"id": str(number), "timestamp": start_ms + number * 600_000, "message": line}
        for number, line in enumerate(log(invocations, seed=seed).splitlines())
    ]
    return json.dumps({"messageType": "DATA_MESSAGE", "logGroup": f"/aws/lambda/{function}", "logEvents": events})


def test_many_functions_are_a_run_each_and_one_ranking(capfd: pytest.CaptureFixture[str]) -> None:
    name = write("all.json", "".join(subscription(f"f{number}", 300, seed=number) for number in range(5)))
    code, out, _ = estimate(capfd, name, "-f", "json", "-q")
    assert code == 0
    runs = json.loads(out)
    assert {run["function"]["name"] for run in runs} == {f"f{number}" for number in range(5)}
    savings = [-run["recommendation"]["versus_current"]["usd_per_month"] for run in runs]
    assert savings == sorted(savings, reverse=True)
    code, table, _ = estimate(capfd, name, "-q", "-o", "ranking.csv", "-o", "ranking.md")
    assert code == 0
    assert [line.split()[0] for line in table.splitlines()[2:7]] == [run["function"]["name"] for run in runs]
    assert "a month together" in table
    rows = Path("ranking.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0].startswith("function,architecture,region,current_memory_mb,recommended_memory_mb,")
    assert [row.split(",")[0] for row in rows[1:]] == [run["function"]["name"] for run in runs]
    assert "| f0 |" in Path("ranking.md").read_text(encoding="utf-8")


def test_what_is_wrong_with_a_file_is_told_of_no_function(capfd: pytest.CaptureFixture[str]) -> None:
    damaged = "REPORT RequestId: 5\tDuration: 5 m\n"
    name = write("all.json", damaged + "".join(subscription(f"f{number}", 6, seed=number) for number in range(2)))
    _, _, errors = estimate(capfd, name)
    assert "Warning: 1 REPORT record could not be read" in errors
    assert "Warning: f0: " in errors


def test_one_of_many_functions_has_the_run_it_would_have_alone(capfd: pytest.CaptureFixture[str]) -> None:
    alone = write("alone.json", subscription("f1", 300, seed=1))
    write("all.json", "".join(subscription(f"f{number}", 300, seed=number) for number in range(5)))
    first = json.loads(estimate(capfd, alone, "-f", "json", "-q")[1])
    again = json.loads(estimate(capfd, "all.json", "--function", "f1", "-f", "json", "-q")[1])
    ranked = next(
        run for run in json.loads(estimate(capfd, "all.json", "-f", "json", "-q")[1]) if run["function"]["name"] == "f1"
    )
    assert again["sizes"] == first["sizes"] == ranked["sizes"]
    assert again["recommendation"] == first["recommendation"] == ranked["recommendation"]


def test_saved_runs_of_many_functions_are_read_again(capfd: pytest.CaptureFixture[str]) -> None:
    name = write("all.json", "".join(subscription(f"f{number}", 60, seed=number) for number in range(3)))
    runs = json.loads(estimate(capfd, name, "-f", "json", "-q", "-o", "runs.json")[1])
    again = json.loads(estimate(capfd, "runs.json", "-f", "json", "-q")[1])
    assert [run["function"]["name"] for run in again] == [run["function"]["name"] for run in runs]
    assert [run["recommendation"]["memory_mb"] for run in again] == [run["recommendation"]["memory_mb"] for run in runs]


def test_a_large_recording_is_saved_with_its_figures_and_read_again(capfd: pytest.CaptureFixture[str]) -> None:
    name = write("a.log", log(30_000))
    code, out, _ = estimate(capfd, name, "-f", "json", "-q", "--save", "run.json")
    assert code == 0
    run = json.loads(out)
    assert run["invocations"] == []
    assert all(size["duration_ms"]["ci95"] and size["init_ms"]["p95"] for size in run["sizes"])
    assert all(size["invocations"]["failed"] for size in run["sizes"])
    again = json.loads(estimate(capfd, "run.json", "-f", "json", "-q")[1])
    for size, before in zip(again["sizes"], run["sizes"], strict=True):
        assert size["invocations"] == before["invocations"]
        assert size["duration_ms"].pop("ci95") == pytest.approx(before["duration_ms"].pop("ci95"))
        assert size["duration_ms"] == pytest.approx(before["duration_ms"])
        assert size["init_ms"] == before["init_ms"]


def test_records_that_stand_in_a_large_recording_twice_are_told_of(capfd: pytest.CaptureFixture[str]) -> None:
    names = [write(f"{number}.log", log(15_000)) for number in range(2)]
    _, out, _ = estimate(capfd, *names, "-f", "json", "-q")
    warnings = {warning["code"]: warning["message"] for warning in json.loads(out)["warnings"]}
    assert "about 50 % of the records" in warnings["repeated-records"].replace("50%", "50 %")


def test_percentiles_of_a_large_recording_are_within_the_error_that_is_stated(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = write("a.log", log(15_000))
    exact = json.loads(estimate(capfd, name, "-f", "json", "-q")[1])
    monkeypatch.setattr("powertune.sources.recording.MOST_KEPT", 100)
    rough = json.loads(estimate(capfd, name, "-f", "json", "-q")[1])
    assert exact["invocations"]
    assert not rough["invocations"]
    for size, known in zip(rough["sizes"], exact["sizes"], strict=True):
        assert size["invocations"] == known["invocations"]
        assert size["max_memory_used_mb"] == known["max_memory_used_mb"]
        assert size["duration_ms"]["mean"] == pytest.approx(known["duration_ms"]["mean"], rel=1e-12)
        assert size["duration_ms"]["stddev"] == pytest.approx(known["duration_ms"]["stddev"], rel=1e-9)
        assert size["cost"]["usd_per_million"] == pytest.approx(known["cost"]["usd_per_million"], rel=1e-12)
        for name in ("p50", "p95", "p99"):
            assert size["duration_ms"][name] == pytest.approx(known["duration_ms"][name], rel=1 / 256)


def test_a_recording_that_is_read_in_a_thread_of_another_program_works() -> None:
    name = write("a.log", log(100))
    found: list[Recording] = []
    thread = threading.Thread(target=lambda: found.append(read_files([name])))
    thread.start()
    thread.join()
    assert found[0].count > 90
