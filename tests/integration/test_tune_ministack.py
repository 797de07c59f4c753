"""Live tuning against ministack, which runs handlers for real: through the installed command, as a user starts it.

Its answers never hold a REPORT, so that every duration here was read from CloudWatch Logs.
"""

import io
import json
import subprocess
import sys
import uuid
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
from believable_lambda import ACCOUNT

import powertune
from powertune.aws_lambda.report_record import ReportRecord, iter_reports
from powertune.model import run_file
from powertune.report import Style, render

SCHEMA = json.loads(Path(run_file.__file__).with_name("run-1.schema.json").read_text(encoding="utf-8"))
OWN_MB = 256
ENOUGH_S = 120

# Leaves a file behind for each time it runs, so that what powertune counts can be counted again.
HANDLER = """
import hashlib
import json
import os
import uuid

def handler(event, context):
    digest = b"powertune"
    for _ in range(20_000):
        digest = hashlib.sha256(digest).digest()
    ran = {"memory": os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "version": context.function_version}
    with open(os.path.join(event["folder"], uuid.uuid4().hex), "w") as trace:
        json.dump(ran, trace)
    PRINTS
    return {"digest": digest.hex()}
"""
PRINTING = 'print("start " + "x" * 6000); print(json.dumps({"level": "INFO", "message": "in JSON"})); print("done")'
RAISING = "def handler(event, context):\n    raise ValueError('no such order')\n"
SLEEPING = "import time\ndef handler(event, context):\n    time.sleep(5)\n"

# Puts itself under the quota that Lambda would: 1769 MB are one whole CPU, dealt out in periods of 20 ms.
THROTTLED_HANDLER = """
import os
import time

group = os.path.join("PARENT", str(os.getpid()))
os.mkdir(group)
memory_mb = int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
for name, value in (
    ("cpu.cfs_period_us", 20_000), ("cpu.cfs_quota_us", round(20_000 * memory_mb / 1769)), ("cgroup.procs", os.getpid())
):
    with open(os.path.join(group, name), "w") as file:
        file.write(str(value))

def handler(event, context):
    until = time.process_time() + 0.06
    while time.process_time() < until:
        pass
"""


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Function:
    """A function on ministack, and what can be seen of it."""

    def __init__(self, source: str, *, timeout_s: int = 20) -> None:
        self.name = f"f-{uuid.uuid4().hex[:12]}"
        self.aws = boto3.client("lambda")
        self.aws.create_function(
            FunctionName=self.name,
            Runtime="python3.12",
            Handler="app.handler",
            Role=f"arn:aws:iam::{ACCOUNT}:role/tests",
            Code={"ZipFile": zipped(source)},
            MemorySize=OWN_MB,
            Timeout=timeout_s,
            Description="takes orders",
            Environment={"Variables": {"TABLE": "orders"}},
        )
        self.aws.get_waiter("function_updated_v2").wait(FunctionName=self.name, WaiterConfig={"Delay": 0.1})
        self.aws.publish_version(FunctionName=self.name, Description="the first")
        self.aws.create_alias(FunctionName=self.name, Name="live", FunctionVersion="1")

    def snapshot(self) -> dict[str, Any]:
        """Return all of it that a run must leave as it was."""
        moving = ("LastModified", "RevisionId", "LastUpdateStatus", "State", "StateReason", "StateReasonCode")
        listed = self.aws.list_versions_by_function(FunctionName=self.name)["Versions"]
        code = self.aws.get_function(FunctionName=self.name)["Configuration"]
        aliases = self.aws.list_aliases(FunctionName=self.name)["Aliases"]
        return {
            "versions": [{key: version[key] for key in sorted(version) if key not in moving} for version in listed],
            "code": (code["CodeSha256"], code["CodeSize"]),
            "aliases": [(alias["Name"], alias["FunctionVersion"]) for alias in aliases],
        }

    def reports(self) -> dict[str, tuple[str, ReportRecord]]:
        """Return log stream and REPORT record by request id, as CloudWatch Logs has them."""
        events = boto3.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{self.name}")["events"]
        found = [(event["logStreamName"], record) for event in events for record in iter_reports([event["message"]])]
        return {record.request_id: (stream, record) for stream, record in found if isinstance(record, ReportRecord)}


def zipped(source: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", source)
    return packed.getvalue()


pytestmark = pytest.mark.usefixtures("on_ministack")


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTUNE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Where the handler leaves a file for each time it runs."""
    folder = tmp_path / "traces"
    folder.mkdir()
    return folder


def powertune_command(*arguments: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "powertune", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=ENOUGH_S,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def tune(function: Function, *more: str, sizes: str = "128,512,1024") -> Done:
    return powertune_command(
        *("tune", function.name, "--yes", "--search", "full", "-n", "3", "--parallel", "2", "-m", sizes),
        *("--save", "run.json", *more),
    )


def saved() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path("run.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, SCHEMA)
    return document


def statuses(run: dict[str, Any]) -> dict[int, str]:
    return {size["memory_mb"]: size["status"] for size in run["sizes"]}


@pytest.mark.parametrize("prints", ["pass", PRINTING], ids=["silent", "printing"])
def test_a_real_handler_is_tuned_from_its_logs_and_the_function_is_as_before(traces: Path, prints: str) -> None:
    function = Function(HANDLER.replace("PRINTS", prints))
    before = function.snapshot()

    done = tune(function, "-p", json.dumps({"folder": str(traces)}))

    assert done.code == 0, done.err
    run = saved()
    assert done.out == render(powertune.load("run.json"), "table", Style(80))
    assert "Recommended for balanced: " in done.out
    assert run["recommendation"]["memory_mb"] in (128, 256, 512, 1024)
    assert function.snapshot() == before
    assert not list(Path("state").iterdir())

    ran = [json.loads(trace.read_text()) for trace in traces.iterdir()]
    assert Counter(int(item["memory"]) for item in ran) == Counter(item["memory_mb"] for item in run["invocations"])
    assert len(ran) == run["spent"]["invocations"] == run["source"]["durations_from_logs"]
    assert statuses(run) == dict.fromkeys((128, OWN_MB, 512, 1024), "ok")
    # Version 1 was there before; each size was published, and none of them was invoked as $LATEST.
    versions = {item["memory"]: item["version"] for item in ran}
    assert len(versions) == len(set(versions.values())) == 4
    assert not set(versions.values()) & {"$LATEST", "1"}


def test_the_durations_and_environments_kept_are_those_of_the_log(traces: Path) -> None:
    function = Function(HANDLER.replace("PRINTS", "pass"))
    tune(function, "-p", json.dumps({"folder": str(traces)}), "-q")

    logged = function.reports()
    invocations = saved()["invocations"]
    assert {item["request_id"] for item in invocations} == set(logged)
    for item in invocations:
        stream, record = logged[item["request_id"]]
        assert (item["memory_mb"], item["duration_ms"]) == (record.memory_mb, record.duration_ms)
        assert (item["billed_ms"], item["environment"]) == (record.billed_ms, stream)


def test_a_run_that_was_saved_can_be_estimated_from(traces: Path) -> None:
    function = Function(HANDLER.replace("PRINTS", "pass"))
    tuned = tune(function, "-p", json.dumps({"folder": str(traces)}), "-q", "-f", "json")
    estimated = powertune_command("estimate", "run.json", "-q", "-f", "json")
    assert estimated.code == 0, estimated.err
    one, other = json.loads(tuned.out), json.loads(estimated.out)
    assert one["sizes"] == other["sizes"]
    assert one["recommendation"]["memory_mb"] == other["recommendation"]["memory_mb"]


def test_a_handler_that_raises_fails_at_every_size_and_counts_as_paid_for() -> None:
    function = Function(RAISING)
    before = function.snapshot()
    done = tune(function, sizes="128,512")
    assert done.code == 5
    assert "no such order" in done.err
    run = saved()
    assert statuses(run) == dict.fromkeys((128, OWN_MB, 512), "failed")
    assert run["spent"]["invocations"] == len(function.reports()) == len(run["invocations"]) > 0
    assert run["recommendation"]["memory_mb"] is None
    assert not list(Path("state").iterdir())
    assert function.snapshot() == before


def test_an_error_that_is_allowed_counts_as_success() -> None:
    function = Function(RAISING)
    done = tune(function, "--allow-error", "Runtime.HandlerError", sizes="128,512")
    assert done.code == 0, done.err
    assert set(statuses(saved()).values()) == {"ok"}


def test_a_handler_that_times_out_fails_at_every_size_and_counts_as_paid_for() -> None:
    function = Function(SLEEPING, timeout_s=1)
    before = function.snapshot()
    done = tune(function, sizes="128,512")
    assert done.code == 5
    run = saved()
    assert statuses(run) == dict.fromkeys((128, OWN_MB, 512), "timed-out")
    assert run["spent"]["invocations"] == len(function.reports())
    assert all(item["duration_ms"] >= 1000 for item in run["invocations"])
    assert function.snapshot() == before


def test_apply_with_an_alias_leaves_one_version_more_and_the_alias_on_it(traces: Path) -> None:
    function = Function(HANDLER.replace("PRINTS", "pass"))
    done = tune(function, "-p", json.dumps({"folder": str(traces)}), "--apply", "--alias", "live", "-s", "cost")
    assert done.code == 0, done.err
    chosen = saved()["recommendation"]["memory_mb"]
    after = function.snapshot()
    assert [(version["Version"], version["MemorySize"]) for version in after["versions"]] == [
        ("$LATEST", chosen), ("1", OWN_MB), (dict(after["aliases"])["live"], chosen),
    ]  # fmt: skip


def test_doctor_finds_nothing_wrong_and_changes_nothing() -> None:
    function = Function(RAISING)
    before = function.snapshot()
    done = powertune_command("doctor", function.name, "-p", '{"orders": 3}', "--alias", "live")
    assert done.code == 0, done.out
    assert {line.split()[0] for line in done.out.splitlines()} == {"ok"}
    assert not done.err
    assert function.snapshot() == before
    with pytest.raises(function.aws.exceptions.ClientError, match="log group"):
        function.reports()  # it has never run


@pytest.fixture
def quotas() -> Iterator[str]:
    """A control group whose children may limit their CPU time."""
    home = Path("/sys/fs/cgroup/cpu")
    parent = home / f"powertune-{uuid.uuid4().hex}"
    try:
        parent.mkdir()
    except OSError as error:
        pytest.skip(f"no CPU quota can be set here: {error}")
    try:
        if not (parent / "cpu.cfs_quota_us").exists():
            pytest.skip("no CPU quota can be set here: there is no CPU controller of version 1")
        # Whatever else this machine is busy with must not slow down what has a quota.
        (parent / "cpu.shares").write_text("262144")
        yield str(parent)
    finally:
        for child in [path for path in parent.iterdir() if path.is_dir()]:
            _empty(child.joinpath("cgroup.procs").read_text().split(), home)
            child.rmdir()
        parent.rmdir()


def _empty(pids: Sequence[str], into: Path) -> None:
    for pid in pids:
        with suppress(OSError):  # it may have ended by itself
            (into / "cgroup.procs").write_text(pid)


@pytest.mark.benchmark  # what it finds rests on the time that the machine gives to each quota
def test_where_memory_sets_the_speed_of_the_processor_the_fast_sizes_are_found(quotas: str) -> None:
    function = Function(THROTTLED_HANDLER.replace("PARENT", quotas))
    # The first runs of a worker hold its start, which ministack does not tell apart: they are left out.
    done = tune(function, "-s", "speed", "-n", "6", "--trim", "30", "--tolerance", "0", sizes="128,1769")
    assert done.code == 0, done.err
    run = saved()
    median_ms = {size["memory_mb"]: size["duration_ms"]["p50"] for size in run["sizes"]}
    # By its quota alone, 60 ms of CPU time take 128 MB more than ten times as long.
    assert median_ms[128] > 2 * median_ms[1769]
    assert run["recommendation"]["memory_mb"] != 128
