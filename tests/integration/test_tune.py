"""`powertune tune` as people use it, against an AWS that behaves like Lambda where that is hard."""

import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import uuid
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import boto3
import jsonschema
import pytest
import typer.main
from believable_lambda import ACCOUNT, LATEST, BelievableLambda, Execution, Failure, Fault, Work

import powertune
from powertune import text
from powertune.cli.app import app
from powertune.cli.main import main
from powertune.model import run_file
from powertune.sources.aws import measuring, source
from powertune.sources.aws.measuring import Pace

SCHEMA = json.loads(Path(run_file.__file__).with_name("run-1.schema.json").read_text(encoding="utf-8"))
NAME = "orders"
ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{NAME}"
OWN_MB = 512
SECRET = "hunter2-in-the-environment"  # noqa: S105 - which no test must find anywhere
PRIVATE = "jane-roe-in-the-payload"
SIZES = "256,1024"
FULL = ("--search", "full")
CHANGING = {
    "Invoke", "UpdateFunctionConfiguration", "PublishVersion", "DeleteFunction", "CreateAlias", "UpdateAlias",
}  # fmt: skip
TIME_SCALE = 0.05
ENOUGH_S = 60


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def run(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        jsonschema.validate(document, SCHEMA)
        return document

    @property
    def invocations(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.run["invocations"]
        return found

    def warnings(self) -> dict[str, str]:
        return {warning["code"]: warning["message"] for warning in self.run["warnings"]}


Command = Callable[..., Done]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTUNE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    # Patience is compressed as the server's time is.
    for user in (measuring, source):
        monkeypatch.setattr(user, "Pace", partial(Pace, time_scale=TIME_SCALE, poll_s=0.005))


@pytest.fixture
def aws(believable: BelievableLambda) -> BelievableLambda:
    """An account with a function of 512 MB that works for 40 ms and waits for 60."""
    believable.time_scale = TIME_SCALE
    believable.work = Work(cpu_ms=40, wait_ms=60)
    believable.create_function(
        NAME, memory_mb=OWN_MB, description="takes orders", Environment={"Variables": {"DB_PASSWORD": SECRET}}
    )
    return believable


@pytest.fixture
def powertune_command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process."""

    def run(*arguments: str) -> Done:
        capfd.readouterr()
        code = main(arguments)
        return Done(code, *capfd.readouterr())

    return run


@pytest.fixture
def tune(powertune_command: Command) -> Command:
    """Measure three sizes of the function alike, without a question. The result is JSON unless another format is asked
    for.
    """

    def run(*arguments: str, function: str = NAME, sizes: str = SIZES) -> Done:
        return powertune_command("tune", function, "--yes", "-f", "json", "-m", sizes, *FULL, *arguments)

    return run


def quick(*arguments: str) -> tuple[str, ...]:
    """Return options for as few runs as there can be."""
    return "-n", "1", "--parallel", "1", *arguments


def bound_by_cpu(aws: BelievableLambda) -> None:
    """Let the function be twice as fast with twice the memory, wherever it runs."""
    aws.work = Work(cpu_ms=200)
    aws.host_spread = aws.noise = 0


def changed(aws: BelievableLambda) -> list[str]:
    """Return what was called that changes or runs something."""
    return [call.operation for call in aws.calls if call.operation in CHANGING]


def lambda_client() -> Any:
    return boto3.client("lambda")


def at_a_terminal(answers: bytes, *arguments: str) -> Done:
    """Run the command with somebody at the keyboard who has typed all answers ahead. Standard output is no terminal."""
    ours, theirs = pty.openpty()
    seen = b""
    with subprocess.Popen(
        [sys.executable, "-m", "powertune", "tune", NAME, "-m", SIZES, *FULL, "--no-color", *arguments],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
    ) as process:
        os.close(theirs)
        os.write(ours, answers)
        with suppress(OSError):  # how a terminal ends
            while part := os.read(ours, 4096):
                seen += part
        out, _ = process.communicate(timeout=ENOUGH_S)
    os.close(ours)
    return Done(process.returncode, out.decode(), seen.decode().replace("\r\n", "\n"))


# --- which function ---


@pytest.mark.parametrize(
    "named",
    [
        NAME,
        f"function:{NAME}",
        f"{ACCOUNT}:function:{NAME}",
        f"us-east-1:{ACCOUNT}:function:{NAME}",
        ARN,
        f"{ARN}:{LATEST}",
        f"{NAME}:live",
        f"{ARN}:1",
    ],
)
def test_a_function_is_found_under_each_of_its_names_and_left_as_it_was(
    aws: BelievableLambda, tune: Command, named: str
) -> None:
    lambda_client().publish_version(FunctionName=NAME)
    lambda_client().create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    before = aws.snapshot(NAME)
    done = tune(*quick(), function=named)
    assert done.code == 0, done.err
    assert done.run["function"]["name"] == NAME
    assert {item["memory_mb"] for item in done.invocations} == {256, OWN_MB, 1024}
    assert aws.snapshot(NAME) == before
    # Nobody but us calls our versions: what was invoked is never $LATEST nor the version that was there before.
    assert not {execution.version for execution in aws.invocations} & {LATEST, "1"}


def test_the_region_of_an_arn_goes_before_that_of_the_environment(aws: BelievableLambda, tune: Command) -> None:
    aws.region = "eu-west-1"
    arn = aws.create_function(NAME, memory_mb=1024)
    done = tune(*quick(), function=arn)
    assert done.code == 0, done.err
    assert done.run["function"]["region"] == done.run["pricing"]["region"] == "eu-west-1"
    assert {item["memory_mb"] for item in done.invocations} == {256, 1024}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((f"{NAME}:1", "--qualifier", "2"), 2, "--qualifier 2"),
        ((ARN, "--region", "eu-west-1"), 2, "--region eu-west-1"),
        (("orders.handler",), 2, "dry-run"),
        ((), 2, "no function"),
        (("nobody",), 4, "nobody"),
        ((f"{NAME}:nowhere",), 4, "nowhere"),
        ((NAME, "-p", "{}", "--payloads", "x.json"), 2, "--payloads"),
        ((NAME, "--alias", "live"), 2, "--apply"),
        ((NAME, "--max-spend", "nan"), 2, "--max-spend"),
        ((NAME, "-m", "64"), 2, "64"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_does_not_go_together_or_does_not_exist_is_told_and_nothing_is_changed(
    aws: BelievableLambda, powertune_command: Command, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = powertune_command("tune", *arguments, "--yes")
    assert (done.code, done.out) == (code, "")
    assert told in done.err
    assert not changed(aws)


@pytest.mark.parametrize("how", [(f"{NAME}:live",), (NAME, "--qualifier", "live")], ids=" ".join)
def test_an_alias_of_other_code_is_not_tuned_unless_latest_is_asked_for(
    aws: BelievableLambda, powertune_command: Command, how: tuple[str, ...]
) -> None:
    lambda_client().publish_version(FunctionName=NAME)
    lambda_client().create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    aws.deploy(NAME, code=b"def handler(event, context): return 2", memory_mb=1024)
    before, aws.calls = aws.snapshot(NAME), []

    refused = powertune_command("tune", *how, "--yes", "-m", "256", *quick())
    assert (refused.code, refused.out) == (4, "")
    assert "CodeSha256" in refused.err
    assert "--latest" in refused.err
    assert not changed(aws)

    done = powertune_command("tune", *how, "--latest", "--yes", "-m", "256", *quick(), "-f", "json")
    assert done.code == 0, done.err
    assert "CodeSha256" in done.warnings()["other-code"]
    assert "CodeSha256" in done.err.split("Sizes")[1].split("measured")[0], "the plan warns of it before it asks"
    assert done.run["source"]["qualifier"] == "live"
    # What callers of the alias have now is what is compared with.
    assert done.run["function"]["current_memory_mb"] == OWN_MB
    assert {item["memory_mb"] for item in done.invocations} == {256, OWN_MB}
    assert aws.snapshot(NAME) == before


def test_a_version_of_the_same_code_and_another_memory_is_compared_with_its_own(
    aws: BelievableLambda, tune: Command
) -> None:
    lambda_client().publish_version(FunctionName=NAME)
    aws.deploy(NAME, memory_mb=2048)
    done = tune(*quick(), function=f"{NAME}:1", sizes="256")
    assert done.code == 0, done.err
    assert done.err.startswith("orders:1: 512 MB (and $LATEST 2048 MB), timeout 30 s")
    assert done.run["function"]["current_memory_mb"] == OWN_MB
    assert {item["memory_mb"] for item in done.invocations} == {256, OWN_MB}
    assert aws.snapshot(NAME)["latest"]["MemorySize"] == 2048


# --- plans and questions ---


def test_a_plan_is_printed_and_nothing_is_changed_or_run(aws: BelievableLambda, powertune_command: Command) -> None:
    before = aws.snapshot(NAME)
    done = powertune_command("tune", NAME, "--plan", "--apply", "--alias", "live", "--max-spend", "0.50")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "orders: 512 MB, timeout 30 s, python3.12, x86_64, us-east-1\n"
        "  Sizes    128, 256, 384, 512, 768, 1024, 1280, 1536, 1769, 2048, 3008 MB\n"
        "  Runs     some 20 of each payload, at the sizes where they tell most, 139\n"
        "           invocations at most: real ones, with all that the function does to\n"
        "           databases, queues and people\n"
        "  Costs    $0.14 at most, if each run took its whole timeout, and stops before\n"
        "           $0.50 (--max-spend)\n"
        "  Changes  the memory of $LATEST, put back as soon as the last size of a batch\n"
        "           is published, and up to 11 temporary versions, deleted at the end\n"
        "  Callers  of $LATEST meet those sizes meanwhile; those of an alias or a version\n"
        "           do not\n"
        "  Then     sets the recommended memory and points the alias live at it, after a\n"
        "           question\n"
    )
    full = powertune_command("tune", NAME, "--plan", *FULL, "-m", "128,256,512,1024,1769,3008").out
    for words in (
        "  Runs     4 that open environments + 10 warm at each size, 132 invocations at\n",
        "  Costs    $0.10 at most",
        "put back as soon as the last size is\n           published, and 6 temporary versions, deleted at the end\n",
    ):
        assert words in full
    assert not changed(aws)
    assert aws.snapshot(NAME) == before
    assert not Path("state").exists()


def test_no_line_of_a_plan_is_wider_than_a_terminal(aws: BelievableLambda, powertune_command: Command) -> None:
    aws.deploy(NAME, SnapStart={"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"})
    done = powertune_command("tune", NAME, "--plan", "-m", "all", *FULL, "-n", "100000", "--cold-starts", "1000")
    assert max(map(len, done.out.splitlines())) <= 80
    assert "160 from 128 to 10240 MB" in done.out
    assert "SnapStart" in done.out


def test_the_most_that_a_plan_names_is_never_reached(aws: BelievableLambda, tune: Command) -> None:
    plan = tune("-n", "4", "--parallel", "3", "--plan").out
    most = int(re.findall(r"([\d,]+) invocations", plan)[0].replace(",", ""))
    done = tune("-n", "4", "--parallel", "3")
    assert 10 <= len(done.invocations) <= most
    assert len(done.invocations) == len(aws.invocations) == done.run["spent"]["invocations"]


def test_without_a_terminal_it_takes_yes_to_go_on(aws: BelievableLambda, powertune_command: Command) -> None:
    done = powertune_command("tune", NAME, *quick())
    assert (done.code, done.out) == (2, "")
    assert "--yes" in done.err.splitlines()[-1]
    assert not changed(aws)


@pytest.mark.parametrize(
    ("answers", "arguments", "code", "told"),
    [
        (b"n\n", (), 130, "stopped before anything was changed"),
        (b"\n", (), 130, "stopped before anything was changed"),
        (b"\x04", (), 130, "stopped before anything was changed"),
        (b"y\n", ("--no-input",), 2, "--yes"),
    ],
    ids=["no", "just enter", "end of input", "no input"],
)
def test_at_a_terminal_only_a_yes_lets_it_go_on(
    aws: BelievableLambda, answers: bytes, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = at_a_terminal(answers, *quick(*arguments))
    assert (done.code, done.out) == (code, "")
    assert told in done.err
    assert not changed(aws)


def test_a_yes_at_a_terminal_lets_it_go_on_and_the_plan_came_first(aws: BelievableLambda) -> None:
    before = aws.snapshot(NAME)
    done = at_a_terminal(b"y\n", *quick())
    assert done.code == 0, done.err
    assert done.err.index("Costs") < done.err.index("Go on?")
    assert done.out.startswith("orders, x86_64, us-east-1\n")
    assert "Recommended for balanced" in done.out
    assert aws.snapshot(NAME) == before


@pytest.mark.usefixtures("aws")
def test_quiet_with_yes_says_nothing_but_the_result(tune: Command) -> None:
    done = tune(*quick("-q"))
    assert (done.code, done.err) == (0, "")
    assert done.run["sizes"]


# --- what it says while and after it runs ---


def test_without_a_terminal_progress_is_a_line_for_each_size_and_one_for_the_function(
    aws: BelievableLambda, tune: Command
) -> None:
    aws.host_spread = aws.noise = 0
    done = tune("-n", "5", "--parallel", "2")
    told = done.err.splitlines()
    for size in done.run["sizes"]:
        [line] = [line for line in told if line.startswith(f"{size['memory_mb']} MB: ")]
        median = text.duration(size["duration_ms"]["p50"])
        assert re.fullmatch(rf"\d+ MB: 5 runs, median {re.escape(median)} ± 0 ms, \$0\.0*[1-9]\d", line)
    assert "orders: $LATEST has its 512 MB again, 3 temporary versions deleted" in told
    spent = text.money(done.run["spent"]["usd"])
    assert f"orders: {done.run['spent']['invocations']} invocations, {spent} spent" in told


@pytest.mark.usefixtures("aws")
def test_the_table_of_a_live_run_names_the_function_and_the_size_it_has(powertune_command: Command) -> None:
    done = powertune_command("tune", NAME, "--yes", "-m", SIZES, *FULL, "-n", "5", "-s", "speed")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "orders, x86_64, us-east-1"
    rows = {line.split()[0]: line for line in done.out.replace(">", " ").splitlines() if re.match(r" +\d+ MB", line)}
    assert list(rows) == ["256", "512", "1024"]
    assert "current" in rows["512"]
    assert re.search(r"^Recommended for speed: \d+ MB", done.out, re.MULTILINE)
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_size_that_is_not_asked_for_is_measured_where_it_is_the_functions_own(
    aws: BelievableLambda, tune: Command
) -> None:
    before = aws.snapshot(NAME)
    done = tune(*quick(), sizes=str(OWN_MB))
    assert done.code == 0, done.err
    assert changed(aws).count("UpdateFunctionConfiguration") == 0
    assert aws.snapshot(NAME) == before


@pytest.mark.usefixtures("aws")
def test_a_saved_run_is_what_was_shown_and_reads_back_the_same(tune: Command) -> None:
    done = tune("-n", "4", "--save", "run.json", "-o", "run.csv")
    saved = Path("run.json").read_text(encoding="utf-8")
    assert json.loads(saved) == done.run
    assert json.loads(powertune.load("run.json").to_json()) == done.run
    assert len(Path("run.csv").read_text(encoding="utf-8").splitlines()) == 1 + 3
    assert not list(Path("state").iterdir())


def test_each_run_is_kept_as_the_server_made_it(aws: BelievableLambda, tune: Command) -> None:
    kept = tune("-n", "6").invocations
    made = {execution.request_id: execution for execution in aws.invocations}
    for item in kept:
        execution = made[item["request_id"]]
        assert item["duration_ms"] == pytest.approx(execution.duration_ms, abs=0.01)
        assert item["init_ms"] == pytest.approx(execution.init_ms, abs=0.01)
        assert (item["memory_mb"], item["billed_ms"]) == (execution.memory_mb, execution.billed_ms)
        assert (item["cold"], item["environment"]) == (execution.cold, execution.environment)
        assert item["max_memory_used_mb"] == execution.max_memory_used_mb


def test_the_runs_of_a_size_are_spread_over_several_environments(aws: BelievableLambda, tune: Command) -> None:
    aws.work = Work(cpu_ms=40, wait_ms=60, init_ms=6000)
    done = tune("-n", "12", "--parallel", "4")
    warm: dict[int, Counter[str]] = defaultdict(Counter)
    for item in done.invocations:
        if not item["cold"]:
            warm[item["memory_mb"]][item["environment"]] += 1
    assert {size: sum(environments.values()) for size, environments in warm.items()} == {256: 12, OWN_MB: 12, 1024: 12}
    for environments in warm.values():
        assert len(environments) >= 2


# --- applying ---


def test_apply_sets_the_recommended_memory_and_nothing_else(aws: BelievableLambda, tune: Command) -> None:
    bound_by_cpu(aws)
    before = aws.snapshot(NAME)
    done = tune("-n", "5", "-s", "speed", "--apply")
    assert done.code == 0, done.err
    chosen = done.run["recommendation"]["memory_mb"]
    assert chosen == 1024
    assert f"orders: $LATEST has {chosen} MB now, it had {OWN_MB} MB" in done.err
    before["latest"]["MemorySize"] = chosen
    assert aws.snapshot(NAME) == before


def test_applying_is_asked_for_a_second_time_at_a_terminal(aws: BelievableLambda) -> None:
    bound_by_cpu(aws)
    before = aws.snapshot(NAME)
    done = at_a_terminal(b"y\nn\n", "-n", "5", "--apply", "-s", "speed")
    assert done.code == 0, done.err
    assert "Set orders to 1024 MB? [y/N]" in done.err
    assert done.err.endswith("orders: nothing applied\n")
    assert "Recommended for speed" in done.out
    assert aws.snapshot(NAME) == before

    assert at_a_terminal(b"y\ny\n", "-n", "5", "--apply", "-s", "speed").code == 0
    assert aws.snapshot(NAME)["latest"]["MemorySize"] == 1024


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("named", [NAME, f"{NAME}:1"])
def test_apply_with_an_alias_publishes_the_size_and_points_the_alias_at_it(
    aws: BelievableLambda, tune: Command, named: str, *, exists: bool
) -> None:
    lambda_client().publish_version(FunctionName=NAME, Description="the first")
    if exists:
        lambda_client().create_alias(FunctionName=NAME, Name="live", FunctionVersion="1", Description="for callers")
    bound_by_cpu(aws)
    before = aws.snapshot(NAME)
    done = tune("-n", "5", "-s", "speed", "--apply", "--alias", "live", function=named)
    assert done.code == 0, done.err
    after = aws.snapshot(NAME)
    [first, new] = after["versions"]
    assert first == before["versions"][0]
    assert new[1:3] == ("takes orders", 1024)
    assert after["aliases"] == {"live": (str(new[0]), "for callers" if exists else "", None)}
    assert f"live points at version {new[0]}" in done.err


def test_an_alias_is_not_moved_onto_code_that_its_callers_do_not_have(aws: BelievableLambda, tune: Command) -> None:
    lambda_client().publish_version(FunctionName=NAME)
    lambda_client().create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    aws.deploy(NAME, code=b"def handler(event, context): return 2")
    aws.calls = []
    done = tune(*quick("--apply", "--alias", "live"))
    assert (done.code, done.out) == (4, "")
    assert "CodeSha256" in done.err
    assert not changed(aws)


def test_an_alias_that_shares_its_traffic_is_not_moved(aws: BelievableLambda, tune: Command) -> None:
    client = lambda_client()
    client.publish_version(FunctionName=NAME)
    aws.deploy(NAME, memory_mb=1024)
    client.publish_version(FunctionName=NAME)
    routing = {"AdditionalVersionWeights": {"2": 0.1}}
    client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1", RoutingConfig=routing)
    aws.calls = []
    done = tune(*quick("--apply", "--alias", "live"))
    assert (done.code, done.out) == (4, "")
    assert "shares its traffic" in done.err
    assert not changed(aws)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--qualifier", "1", "--apply"), "--alias NAME"),
        (("--apply", "--alias", "7"), "'7' is not a name for an alias"),
        (("--apply", "--alias", "a b"), "'a b' is not a name for an alias"),
    ],
    ids=" ".join,
)
def test_an_alias_that_cannot_be_is_told_before_anything_is_changed(
    aws: BelievableLambda, tune: Command, arguments: tuple[str, ...], told: str
) -> None:
    lambda_client().publish_version(FunctionName=NAME)
    aws.calls = []
    done = tune(*quick(*arguments))
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert not changed(aws)


@pytest.mark.parametrize("limits", [("--max-duration", "1"), ()], ids=["no size qualifies", "one run each"])
def test_nothing_is_applied_where_the_answer_is_inconclusive(
    aws: BelievableLambda, tune: Command, limits: tuple[str, ...]
) -> None:
    before = aws.snapshot(NAME)
    done = tune(*quick("--apply", *limits))
    assert done.code == 0
    assert done.run["recommendation"]["confidence"] == "inconclusive"
    assert (done.run["recommendation"]["memory_mb"] is None) == bool(limits)
    assert "nothing applied" in done.err
    assert aws.snapshot(NAME) == before
    assert tune(*quick("--apply", "--strict", *limits)).code == 6
    assert aws.snapshot(NAME) == before
    assert not list(Path("state").iterdir())


def test_nothing_is_applied_where_the_function_has_the_size_already(aws: BelievableLambda, tune: Command) -> None:
    bound_by_cpu(aws)
    aws.deploy(NAME, memory_mb=1024)
    done = tune("-n", "5", "-s", "speed", "--apply", sizes="256")
    assert done.run["recommendation"]["memory_mb"] == 1024
    assert "nothing to apply" in done.err
    assert aws.snapshot(NAME)["latest"]["MemorySize"] == 1024
    assert changed(aws).count("UpdateFunctionConfiguration") == 2


# --- what is kept to oneself ---


def everything_written(folder: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())


def test_neither_payloads_nor_environment_variables_are_shown_or_kept(
    aws: BelievableLambda, tune: Command, tmp_path: Path
) -> None:
    during: list[str] = []
    aws.on_call("Invoke", 4, lambda: during.append(everything_written(tmp_path)))
    done = tune("-n", "3", "-v", "--debug", "-p", json.dumps({"name": PRIVATE}), "--save", "run.json", "-o", "run.md")
    assert done.code == 0, done.err
    assert PRIVATE.encode() in aws.invocations[0].payload
    assert "function_arn" in during[0], "the journal is there while the function is changed"
    everything = done.out + done.err + during[0] + everything_written(tmp_path)
    assert PRIVATE not in everything
    assert SECRET not in everything
    assert {item["payload"][:7] for item in done.invocations} == {"sha256:"}


def test_payloads_are_kept_in_the_saved_run_alone_where_that_is_asked_for(
    aws: BelievableLambda, tune: Command, tmp_path: Path
) -> None:
    during: list[str] = []
    aws.on_call("Invoke", 4, lambda: during.append(everything_written(tmp_path / "state")))
    payload = json.dumps({"name": PRIVATE})
    done = tune(*quick("-p", payload, "--include-payloads", "--save", "run.json"))
    assert PRIVATE not in done.err + during[0]
    saved = json.loads(Path("run.json").read_text(encoding="utf-8"))
    assert {item["extra"]["payload_text"] for item in saved["invocations"]} == {payload}


# --- payloads ---


def put_in_s3(content: str) -> str:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="events")
    s3.put_object(Bucket="events", Key="a b/event.json", Body=content.encode())
    return "s3://events/a b/event.json"


@pytest.mark.parametrize("form", ["file", "inline", "stdin", "s3", "sample"])
def test_a_payload_comes_from_wherever_it_is(
    aws: BelievableLambda, tune: Command, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = '{"order": 17, "name": "Zoë"}'
    Path("event.json").write_text(payload, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(payload.encode())))
    spec = {"file": "event.json", "inline": payload, "stdin": "-", "sample": "@sqs-batch"}.get(form)
    done = tune(*quick("-p", spec or put_in_s3(payload)))
    assert done.code == 0, done.err
    sent = {execution.payload for execution in aws.invocations}
    assert len(sent) == 1
    received = json.loads(sent.pop())
    assert ("Records" in received) if form == "sample" else (received == json.loads(payload))


def test_without_a_payload_an_empty_object_is_sent(aws: BelievableLambda, tune: Command) -> None:
    tune(*quick())
    assert {execution.payload for execution in aws.invocations} == {b"{}"}


@pytest.mark.parametrize(
    ("option", "spec", "code"),
    [
        ("-p", "s3://events/missing.json", 4),
        ("-p", "s3://nobodys-bucket/event.json", 4),
        ("-p", "s3://events/a b/event.json", 3),
        ("-p", "missing.json", 3),
        ("-p", "{", 3),
        ("--payloads", "missing.json", 3),
        ("--payloads", '[{"payload": 1, "weight": -1}]', 3),
        ("--payloads", '[{"payload": 1}, {"payload": 2}]', 2),
    ],
)
def test_a_payload_that_cannot_be_had_is_told_before_anything_is_changed(
    aws: BelievableLambda, tune: Command, option: str, spec: str, code: int
) -> None:
    put_in_s3("not JSON")
    done = tune(*quick(option, spec))
    assert (done.code, done.out) == (code, "")
    assert not changed(aws)


MIX = [
    {"payload": {"kind": "small"}, "weight": 3, "name": "small"},
    {"payload": {"kind": "large"}, "weight": 1, "name": "large"},
]


def mix_file(mix: Sequence[dict[str, Any]]) -> str:
    Path("mix.json").write_text(json.dumps(mix), encoding="utf-8")
    return "mix.json"


def kinds_by_size(invocations: Iterable[Execution]) -> dict[int, list[str]]:
    kinds: dict[int, list[str]] = defaultdict(list)
    for execution in invocations:
        kinds[execution.memory_mb].append(json.loads(execution.payload)["kind"])
    return kinds


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("seed", range(5))
def test_each_size_gets_the_mix_of_payloads_by_weight(tune: Command, seed: int) -> None:
    done = tune("-n", "8", "--parallel", "1", "--payloads", mix_file(MIX), "--seed", str(seed))
    assert done.code == 0, done.err
    warm = Counter((item["memory_mb"], item["payload"]) for item in done.invocations if not item["cold"])
    assert warm == {(size, name): count for size in (256, OWN_MB, 1024) for name, count in (("small", 6), ("large", 2))}


@pytest.mark.usefixtures("aws")
def test_a_payload_of_little_weight_is_measured_at_each_size(tune: Command) -> None:
    mix = [{"payload": {"kind": "usual"}, "weight": 99, "name": "usual"}, MIX[1]]
    for seed in range(4):
        done = tune("-n", "6", "--payloads", mix_file(mix), "--seed", str(seed))
        large = {item["memory_mb"] for item in done.invocations if item["payload"] == "large" and not item["cold"]}
        assert large == {256, OWN_MB, 1024}


def test_a_seed_repeats_the_order_of_payloads_and_another_changes_it(aws: BelievableLambda, tune: Command) -> None:
    orders = []
    for seed in ("7", "7", "8"):
        aws.invocations = []
        tune("-n", "12", "--parallel", "1", "--payloads", mix_file(MIX), "--seed", seed)
        orders.append(kinds_by_size(aws.invocations))
    assert orders[0] == orders[1] != orders[2]
    assert len({tuple(kinds) for kinds in orders[0].values()}) > 1, "each size has an order of its own"


def test_figures_of_a_mix_are_weighted_whatever_was_run_how_often(aws: BelievableLambda, tune: Command) -> None:
    aws.host_spread = aws.noise = 0
    aws.work = lambda payload: Work(cpu_ms=0, wait_ms=900 if b"large" in payload else 100)
    done = tune("-n", "7", "--parallel", "1", "--payloads", mix_file(MIX))
    [size] = [size for size in done.run["sizes"] if size["memory_mb"] == OWN_MB]
    by_name = defaultdict(list)
    for item in done.invocations:
        if item["memory_mb"] == OWN_MB and not item["cold"]:
            by_name[item["payload"]].append(item["duration_ms"])
    assert size["duration_ms"]["mean"] == pytest.approx(0.75 * fmean(by_name["small"]) + 0.25 * fmean(by_name["large"]))


def lines_file(count: int) -> str:
    Path("events.jsonl").write_text("".join(f'{{"line": {number}}}\n' for number in range(count)), encoding="utf-8")
    return "events.jsonl"


def test_each_line_of_a_sequence_is_sent_once(aws: BelievableLambda, tune: Command) -> None:
    done = tune("-n", "3", "--parallel", "2", "--payloads", lines_file(100))
    assert done.code == 0, done.err
    sent = [json.loads(execution.payload)["line"] for execution in aws.invocations]
    assert sorted(sent) == list(range(len(sent)))
    assert len(sent) >= 3 * (3 + 2)


def test_too_few_lines_are_told_with_how_many_it_may_take(aws: BelievableLambda, tune: Command) -> None:
    needed = int(re.findall(r"([\d,]+) invocations", tune("-n", "3", "--plan").out)[0])
    refused = tune("-n", "3", "--payloads", lines_file(needed - 1))
    assert (refused.code, refused.out) == (3, "")
    assert f"has {needed - 1} lines, and this run may take {needed}" in refused.err
    assert not changed(aws)
    assert tune("-n", "3", "--payloads", lines_file(needed)).code == 0


def test_placeholders_become_something_new_in_each_invocation(aws: BelievableLambda, tune: Command) -> None:
    payload = '{"id": "{{powertune.uuid}}", "number": "{{powertune.index}}"}'
    done = tune("-n", "4", "-p", payload)
    events = [json.loads(execution.payload) for execution in aws.invocations]
    assert len({uuid.UUID(event["id"]) for event in events}) == len(events)
    assert sorted(int(event["number"]) for event in events) == list(range(1, len(events) + 1))
    assert len({item["payload"] for item in done.invocations}) == 1


# --- processors ---


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a module into the working directory and return its name."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(source: str) -> str:
        name = f"processors_{uuid.uuid4().hex}"
        Path(f"{name}.py").write_text(source, encoding="utf-8")
        return name

    return write


def test_local_processors_make_each_payload_and_get_each_response(
    aws: BelievableLambda, tune: Command, module: Callable[[str], str]
) -> None:
    name = module(
        "import threading, uuid\n"
        "made, got = [], []\n"
        "def before(event):\n"
        "    made.append(event)\n"
        "    return {**event, 'token': uuid.uuid4().hex}\n"
        "def after(response):\n"
        "    got.append(response)\n"
    )
    aws.response = b'{"total": 3}'
    done = tune(
        "-n", "3", "-p", '{"order": 1}', "--pre-processor", f"{name}:before", "--post-processor", f"{name}:after"
    )
    assert done.code == 0, done.err
    processors = sys.modules.pop(name)
    sent = [json.loads(execution.payload) for execution in aws.invocations]
    assert processors.made == [{"order": 1}] * len(sent)
    assert len({event["token"] for event in sent}) == len(sent)
    assert processors.got == [{"total": 3}] * len(sent)


def test_functions_as_processors_are_invoked_around_each_run_and_not_counted(
    aws: BelievableLambda, tune: Command
) -> None:
    aws.response = b'{"made": "by a function"}'
    before, after = aws.create_function("before", memory_mb=128), aws.create_function("after", memory_mb=128)
    done = tune("-n", "3", "-p", '{"order": 1}', "--pre-processor", before, "--post-processor", after)
    assert done.code == 0, done.err
    by_name = defaultdict(list)
    for execution in aws.invocations:
        by_name[execution.function].append(execution.payload)
    runs = len(by_name[NAME])
    assert done.run["spent"]["invocations"] == len(done.invocations) == runs
    assert by_name == {
        NAME: [b'{"made": "by a function"}'] * runs,
        "before": [b'{"order": 1}'] * runs,
        "after": [b'{"made": "by a function"}'] * runs,
    }


def test_a_pre_processor_that_returns_nothing_leaves_the_payload_as_it_is(
    aws: BelievableLambda, tune: Command, module: Callable[[str], str]
) -> None:
    tune(*quick("-p", '{"order": 1}', "--pre-processor", module("def touch(event):\n    pass\n") + ":touch"))
    assert {execution.payload for execution in aws.invocations} == {b'{"order": 1}'}


@pytest.mark.parametrize("option", ["--pre-processor", "--post-processor"])
def test_a_local_processor_that_fails_stops_the_run_and_the_function_is_put_back(
    aws: BelievableLambda, tune: Command, powertune_command: Command, module: Callable[[str], str], option: str
) -> None:
    before = aws.snapshot(NAME)
    name = module(
        "calls = []\ndef fail(event):\n    calls.append(event)\n    if len(calls) > 20: raise KeyError('order')\n"
    )
    done = tune("-n", "5", option, f"{name}:fail")
    assert (done.code, done.out) == (3, "")
    assert "KeyError" in done.err
    assert "orders: $LATEST has its 512 MB again" in done.err
    assert aws.snapshot(NAME) == before
    # What was paid for is kept, and can be read.
    [recording] = Path("state").iterdir()
    assert str(recording) in done.err
    assert len(recording.read_text(encoding="utf-8").splitlines()) >= 8
    assert powertune_command("estimate", str(recording)).code == 0


def test_a_function_that_fails_as_processor_stops_the_run_and_the_function_is_put_back(
    aws: BelievableLambda, tune: Command
) -> None:
    processor = aws.create_function("before", memory_mb=3008)
    aws.failures[3008] = Failure("exception", every=4)
    before = aws.snapshot(NAME)
    done = tune("-n", "5", "--pre-processor", processor)
    assert (done.code, done.out) == (4, "")
    assert processor in done.err
    assert aws.snapshot(NAME) == before


@pytest.mark.parametrize("spec", ["nowhere:before", "json:nothing", f"{ARN}x:1:2:3", "no processor"])
def test_a_processor_that_does_not_exist_is_told_before_anything_is_changed(
    aws: BelievableLambda, tune: Command, spec: str
) -> None:
    assert tune(*quick("--pre-processor", spec)).code in (2, 3)
    assert not changed(aws)


# --- pace ---


def intervals(aws: BelievableLambda) -> dict[int, list[tuple[float, float]]]:
    """Return when each run began and, at the earliest, ended, by memory size."""
    found = defaultdict(list)
    for execution in aws.invocations:
        took_s = (execution.duration_ms + (execution.init_ms or 0.0)) / 1000 * TIME_SCALE
        found[execution.memory_mb].append((execution.began, execution.began + took_s))
    return found


def test_serial_never_runs_two_sizes_at_once(aws: BelievableLambda, tune: Command) -> None:
    assert tune("-n", "6", "--serial").code == 0
    assert aws.max_concurrency_seen <= 4
    spans = sorted((min(runs)[0], max(end for _, end in runs)) for runs in intervals(aws).values())
    assert len(spans) == 3
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


def test_sizes_run_side_by_side_and_as_many_runs_as_allowed(aws: BelievableLambda, tune: Command) -> None:
    aws.work = Work(cpu_ms=0, wait_ms=3000)
    assert tune("-n", "8", "--parallel", "4", "--max-concurrency", "6").code == 0
    assert 4 < aws.max_concurrency_seen <= 6


def test_the_reserved_concurrency_of_a_function_is_left_to_it(aws: BelievableLambda, tune: Command) -> None:
    lambda_client().put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=2)
    done = tune("-n", "4")
    assert done.code == 0, done.err
    assert aws.max_concurrency_seen <= 2
    assert done.run["source"]["throttled"] == 0


@pytest.mark.parametrize(("cold", "most"), [(5, 24), (5, 2)], ids=["at once", "by several versions"])
def test_cold_starts_are_forced_at_each_size(aws: BelievableLambda, tune: Command, cold: int, most: int) -> None:
    aws.work = Work(cpu_ms=40, wait_ms=60, init_ms=4000)
    before = aws.snapshot(NAME)
    done = tune("-n", "3", "--parallel", "2", "--cold-starts", str(cold), "--max-concurrency", str(most))
    assert done.code == 0, done.err
    for size in done.run["sizes"]:
        assert size["invocations"]["cold"] >= cold
        assert size["invocations"]["warm"] == 3
        assert size["init_ms"]["mean"] > 0
    versions = defaultdict(set)
    for execution in aws.invocations:
        versions[execution.memory_mb].add(execution.version)
    assert {size: len(found) for size, found in versions.items()} == dict.fromkeys(
        (256, OWN_MB, 1024), 1 if most > cold else 3
    )
    assert "few-cold-starts" not in done.warnings()
    assert aws.max_concurrency_seen <= most
    assert aws.snapshot(NAME) == before


def test_spending_stops_before_its_limit(aws: BelievableLambda, tune: Command) -> None:
    before = aws.snapshot(NAME)
    free = tune("-n", "8").run["spent"]["usd"]
    one_run = 1024 / 1024 * 0.0000166667 * (30 + 10)
    done = tune("-n", "8", "--max-spend", str(one_run + free / 2))
    assert done.code == 0, done.err
    assert 0 < done.run["spent"]["usd"] <= one_run + free / 2
    assert len(done.invocations) < 3 * (8 + 4)
    assert "spending-limit" in done.warnings()
    assert aws.snapshot(NAME) == before


# --- kinds of functions ---


def test_a_function_that_isolates_tenants_needs_one(
    aws: BelievableLambda, tune: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.deploy(NAME, TenancyConfig={"TenantIsolationMode": "PER_TENANT"})
    refused = tune(*quick())
    assert refused.code == 4
    assert "--tenant-id" in refused.err
    assert not changed(aws)

    tenants = []
    invoke = aws._handlers["Invoke"]  # noqa: SLF001 - the double keeps no headers

    def noting(request: Any) -> Any:
        tenants.append(request.handler.headers.get("X-Amz-Tenant-Id"))
        return invoke(request)

    monkeypatch.setattr(aws, "_handlers", {**aws._handlers, "Invoke": noting})  # noqa: SLF001 - likewise
    assert tune(*quick("--tenant-id", "test-tenant")).code == 0
    assert set(tenants) == {"test-tenant"}


@pytest.mark.parametrize(
    ("overlay", "told"),
    [
        ({"CapacityProviderConfig": {"LambdaManagedInstancesCapacityProviderConfig": {}}}, "Managed Instances"),
        ({"MasterArn": ARN}, "Lambda@Edge"),
        ({"State": "Failed", "StateReason": "its image is gone"}, "its image is gone"),
        ({"LoggingConfig": {"LogFormat": "JSON", "SystemLogLevel": "WARN"}}, "SystemLogLevel=INFO"),
    ],
    ids=["managed instances", "edge", "failed", "log level"],
)
def test_a_function_that_cannot_be_tuned_is_refused_with_the_reason(
    aws: BelievableLambda, tune: Command, overlay: dict[str, Any], told: str
) -> None:
    aws.deploy(NAME, **overlay)
    done = tune(*quick())
    assert (done.code, done.out) == (4, "")
    assert told in done.err
    assert not changed(aws)


def test_a_function_that_is_disabled_is_refused(aws: BelievableLambda, tune: Command) -> None:
    lambda_client().put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    done = tune(*quick())
    assert (done.code, done.out) == (4, "")
    assert "disabled" in done.err
    assert not changed(aws)


def test_provisioned_concurrency_is_told_in_the_plan_and_in_the_run(aws: BelievableLambda, tune: Command) -> None:
    lambda_client().publish_version(FunctionName=NAME)
    aws.provisioned_concurrency = {f"{NAME}:1": 5}
    assert "provisioned concurrency" in tune("--plan").out
    assert "provisioned-concurrency" in tune(*quick()).warnings()


def test_snapstart_is_told_in_the_plan_and_in_the_run_and_its_versions_are_waited_for(
    aws: BelievableLambda, tune: Command
) -> None:
    aws.deploy(NAME, SnapStart={"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"})
    aws.version_pending_s = 2.0
    plan = " ".join(tune("--plan").out.split())
    assert "SnapStart makes each published size take minutes" in plan
    assert "three hours" in plan
    done = tune(*quick())
    assert done.code == 0, done.err
    assert "snapstart" in done.warnings()
    assert [size["status"] for size in done.run["sizes"]] == ["ok"] * 3
    assert {call.status for call in aws.calls if call.operation == "Invoke"} == {200}


# --- runs that others left behind ---


def test_a_run_that_could_not_put_back_keeps_others_away_until_restore_has_done_it(
    aws: BelievableLambda, tune: Command, powertune_command: Command
) -> None:
    before = aws.snapshot(NAME)
    aws.faults = [Fault("DeleteFunction", 403, "AccessDeniedException", "not authorized to delete", times=None)]
    left = tune(*quick())
    assert (left.code, left.out) == (4, "")
    assert "powertune restore orders" in left.err
    [recording] = re.findall(r"powertune estimate (\S+)", left.err)
    assert powertune_command("estimate", recording).code == 0, "what was paid for is not lost"
    aws.calls = []
    refused = tune(*quick())
    assert refused.code == 4
    assert "powertune restore orders" in refused.err
    assert not changed(aws)

    aws.faults = []
    restored = powertune_command("restore")
    assert (restored.code, restored.err) == (0, "")
    assert re.match(r"orders: \$LATEST .*, 3 temporary versions deleted\n", restored.out)
    assert aws.snapshot(NAME) == before
    assert powertune_command("restore", NAME).out == "There is nothing to put back.\n"
    assert tune(*quick()).code == 0


def test_versions_of_a_run_on_another_machine_keep_this_one_away(
    aws: BelievableLambda, tune: Command, powertune_command: Command
) -> None:
    before = aws.snapshot(NAME)
    aws.deploy(NAME, memory_mb=1024)
    mark = "powertune run 0123456789ab.1: 1024 MB, was 512 MB; powertune restore removes it"
    lambda_client().publish_version(FunctionName=NAME, Description=mark)
    aws.calls = []
    refused = tune(*quick())
    assert (refused.code, refused.out) == (4, "")
    assert "powertune restore orders" in refused.err
    assert not changed(aws)

    restored = powertune_command("restore", ARN)
    assert restored.out == "orders: $LATEST has its 512 MB again, 1 temporary version deleted\n"
    assert aws.snapshot(NAME) == before


# --- for users of AWS Lambda Power Tuning ---


def alpt_input(**more: Any) -> str:
    document = {
        "lambdaARN": ARN,
        "powerValues": [256, 512, 1024],
        "num": 8,
        "payload": [
            {"payload": {"kind": "small"}, "weight": 3},
            {"payload": {"kind": "large"}, "weight": 1},
        ],
        "parallelInvocation": False,
        "strategy": "speed",
        "allowedExceptions": ["PartnerIsDown"],
        "discardTopBottom": 0.2,
        "sleepBetweenRunsMs": 10,
    }
    Path("input.json").write_text(json.dumps(document | more), encoding="utf-8")
    return "input.json"


def test_an_input_of_power_tuning_leads_to_the_runs_it_asks_for(
    aws: BelievableLambda, powertune_command: Command
) -> None:
    lambda_client().publish_version(FunctionName=NAME)
    lambda_client().create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    bound_by_cpu(aws)
    aws.failures[1024] = Failure("exception", every=2, error_type="PartnerIsDown")
    given = alpt_input(autoOptimize=True, autoOptimizeAlias="live")
    done = powertune_command("tune", "--alpt-input", given, "--yes", "-f", "json")
    assert done.code == 0, done.err
    assert done.run["recommendation"]["strategy"] == "speed"
    warm = Counter((item["memory_mb"], item["payload"][:1]) for item in done.invocations if not item["cold"])
    assert warm == {(size, number): count for size in (256, 512, 1024) for number, count in (("1", 6), ("2", 2))}
    assert {json.loads(execution.payload)["kind"] for execution in aws.invocations} == {"small", "large"}
    assert [size["status"] for size in done.run["sizes"]] == ["ok"] * 3
    # One after the other at each size, as ALPT does without parallelInvocation.
    for runs in intervals(aws).values():
        assert all(one[1] <= other[0] for one, other in pairwise(sorted(runs)))
    after = aws.snapshot(NAME)
    assert after["latest"]["MemorySize"] == 1024
    assert after["versions"][-1][2] == 1024
    assert after["aliases"]["live"][0] == str(after["versions"][-1][0])


@pytest.mark.usefixtures("aws")
def test_the_payloads_of_power_tuning_may_be_in_s3(powertune_command: Command) -> None:
    mix = [{"payload": item["payload"], "weight": item["weight"]} for item in MIX]
    given = alpt_input(payload=None, payloadS3=put_in_s3(json.dumps(mix)), num=5, powerValues=[512])
    done = powertune_command("tune", "--alpt-input", given, "--yes", "-f", "json")
    assert done.code == 0, done.err
    warm = Counter(item["payload"][:1] for item in done.invocations if not item["cold"])
    assert warm == {"1": 4, "2": 1}


def test_parallel_invocation_of_power_tuning_runs_all_of_a_size_side_by_side(
    aws: BelievableLambda, powertune_command: Command
) -> None:
    aws.work = Work(cpu_ms=0, wait_ms=6000)
    given = alpt_input(parallelInvocation=True, powerValues=[512])
    assert powertune_command("tune", "--alpt-input", given, "--yes", "-q").code == 0
    assert aws.max_concurrency_seen == 8


def test_only_cold_starts_of_power_tuning_are_all_cold_and_pay_for_init(
    aws: BelievableLambda, powertune_command: Command
) -> None:
    aws.work = Work(cpu_ms=40, wait_ms=60, init_ms=4000)
    given = alpt_input(onlyColdStarts=True, num=5, payload={"kind": "small"})
    done = powertune_command("tune", "--alpt-input", given, "--yes", "-f", "json")
    assert done.code == 0, done.err
    assert Counter((item["memory_mb"], item["cold"]) for item in done.invocations) == {
        (256, True): 5, (512, True): 5, (1024, True): 5,
    }  # fmt: skip
    for size in done.run["sizes"]:
        billed = [item["billed_ms"] for item in done.invocations if item["memory_mb"] == size["memory_mb"]]
        gb_seconds = size["memory_mb"] / 1024 * fmean(billed) / 1000
        assert size["cost"]["usd_per_invocation"] == pytest.approx(gb_seconds * 0.0000166667 + 2e-7, rel=0.01)


@pytest.mark.usefixtures("aws")
def test_all_sizes_of_power_tuning_are_its_own_and_the_command_line_goes_before_the_input(
    powertune_command: Command,
) -> None:
    given = alpt_input(powerValues="ALL")
    plan = powertune_command("tune", "--alpt-input", given, "--plan").out
    assert "46 from 128 to 3008 MB" in plan
    assert "8 warm" in plan
    plan = powertune_command("tune", "--alpt-input", given, "--plan", "-m", "128,256", "-n", "9").out
    assert "128, 256, 512 MB" in plan
    assert "9 warm" in plan


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lambdaARN": None}, "lambdaARN"),
        ({"num": 4}, "num"),
        ({"powerValues": [64]}, "powerValues"),
        ({"strategy": "fastest"}, "strategy"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_wrong_key_of_power_tunings_input_is_named_before_anything_is_changed(
    aws: BelievableLambda, powertune_command: Command, change: dict[str, Any], told: str
) -> None:
    done = powertune_command("tune", "--alpt-input", alpt_input(**change), "--yes")
    assert (done.code, done.out) == (3, "")
    assert told in done.err
    assert not changed(aws)


@pytest.mark.usefixtures("aws")
def test_the_output_and_the_link_of_power_tuning_hold_the_same_figures(
    tune: Command, powertune_command: Command
) -> None:
    tuned = tune("-n", "4", "-f", "alpt", "--save", "run.json")
    output = json.loads(tuned.out)
    link = powertune_command("estimate", "run.json", "-q", "-f", "alpt-url").out
    assert link == output["stateMachine"]["visualization"] + "\n"
    sizes, durations, costs = (b64decode(part) for part in link.strip().partition("#")[2].split(";"))
    rows = output["stats"]
    assert list(struct.unpack("<3h", sizes)) == [row["value"] for row in rows] == [256, OWN_MB, 1024]
    assert struct.unpack("<3f", durations) == pytest.approx([row["averageDuration"] for row in rows], rel=1e-6)
    assert struct.unpack("<3f", costs) == pytest.approx([row["averagePrice"] for row in rows], rel=1e-6)
    [chosen] = [row for row in rows if row["value"] == output["power"]]
    assert (output["duration"], output["cost"]) == (chosen["averageDuration"], chosen["averagePrice"])


# --- doctor and policy ---

DENIED = {
    "GetFunctionConfiguration": "function: ",
    "ListVersionsByFunction": "function: ",
    "Invoke": "lambda:InvokeFunction",
    "UpdateFunctionConfiguration": "lambda:UpdateFunctionConfiguration",
    "PublishVersion": "lambda:PublishVersion",
    "DeleteFunction": "lambda:DeleteFunction",
    "GetAlias": "lambda:GetAlias",
    "UpdateAlias": "lambda:UpdateAlias",
}
DISPENSABLE = {
    "GetFunctionConcurrency": "lambda:GetFunctionConcurrency",
    "ListProvisionedConcurrencyConfigs": "lambda:ListProvisionedConcurrencyConfigs",
    "FilterLogEvents": "logs:FilterLogEvents",
}


def doctor(powertune_command: Command, *arguments: str) -> Done:
    return powertune_command("doctor", NAME, "--alias", "live", *arguments)


def deny(operation: str) -> Fault:
    message = f"User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized to perform: lambda:{operation}"
    return Fault(operation, 403, "AccessDeniedException", message, times=None)


def test_doctor_finds_nothing_wrong_with_a_function_that_can_be_tuned(
    aws: BelievableLambda, powertune_command: Command
) -> None:
    lambda_client().publish_version(FunctionName=NAME)
    lambda_client().create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    before = aws.snapshot(NAME)
    done = doctor(powertune_command, "-p", '{"order": 1}')
    assert (done.code, done.err) == (0, "")
    assert {line.split()[0] for line in done.out.splitlines()} == {"ok"}
    for words in (
        "credentials: arn:aws:",
        "orders: python3.12, x86_64, 512 MB",
        "Text in /aws/lambda/orders",
        "prices",
    ):
        assert words in done.out
    assert aws.snapshot(NAME) == before
    assert not aws.invocations
    assert not Path("state").exists()


@pytest.mark.parametrize("operation", DENIED)
def test_doctor_names_a_permission_that_is_missing(
    aws: BelievableLambda, powertune_command: Command, operation: str
) -> None:
    before = aws.snapshot(NAME)
    aws.faults = [deny(operation)]
    done = doctor(powertune_command)
    failed = [line for line in done.out.splitlines() if line.startswith("FAIL")]
    assert done.code == 4
    assert len(failed) == 1
    assert DENIED[operation] in failed[0]
    assert f"not authorized to perform: lambda:{operation}" in failed[0]
    assert "powertune policy" in done.out
    assert aws.snapshot(NAME) == before
    assert not aws.invocations


@pytest.mark.parametrize("operation", DISPENSABLE)
def test_doctor_notes_a_permission_that_is_missing_but_not_needed(
    aws: BelievableLambda, powertune_command: Command, operation: str
) -> None:
    aws.faults = [deny(operation)]
    done = doctor(powertune_command)
    noted = [line for line in done.out.splitlines() if not line.startswith(("ok", " "))]
    assert done.code == 0
    assert [line.split(":")[0].split()[0] for line in noted] == ["note"]
    assert DISPENSABLE[operation] in noted[0]


def test_without_the_permissions_that_are_not_needed_tuning_works(aws: BelievableLambda, tune: Command) -> None:
    aws.faults = [deny(operation) for operation in DISPENSABLE]
    done = tune(*quick())
    assert done.code == 0, done.err
    assert not any("environment" in item for item in done.invocations)


def test_doctor_tells_of_credentials_that_have_expired(aws: BelievableLambda, powertune_command: Command) -> None:
    aws.faults = [Fault("GetCallerIdentity", 403, "ExpiredToken", "The security token has expired", times=None)]
    done = doctor(powertune_command)
    assert done.code == 4
    assert done.out.startswith("FAIL  credentials")


def test_doctor_tells_why_a_function_cannot_be_tuned(aws: BelievableLambda, powertune_command: Command) -> None:
    aws.deploy(NAME, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "WARN"})
    done = doctor(powertune_command)
    assert done.code == 4
    assert "SystemLogLevel=INFO" in done.out


@pytest.mark.usefixtures("aws")
def test_doctor_looks_at_the_payload_too(powertune_command: Command) -> None:
    assert "JSON of 10 bytes" in doctor(powertune_command, "-p", '{"a": "b"}').out
    assert doctor(powertune_command, "-p", "missing.json").code == 3


def test_policy_prints_json_without_asking_aws(aws: BelievableLambda, powertune_command: Command) -> None:
    done = powertune_command("policy", ARN, "--alias", "live", "-p", "s3://events/event.json")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert document["Version"] == "2012-10-17"
    assert {"lambda:InvokeFunction", "s3:GetObject"} <= {
        action for statement in document["Statement"] for action in statement["Action"]
    }
    assert not aws.calls


# --- help ---


@pytest.mark.parametrize("command", ["tune", "restore", "doctor", "policy"])
def test_the_help_of_a_command_fits_a_terminal_and_explains_each_option(
    powertune_command: Command, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = powertune_command(command, "--help")
    assert done.code == 0
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    parameters = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined] # it is a group
    assert [parameter.name for parameter in parameters if not parameter.help] == []
    assert f"powertune {command}" in done.out.split("Example")[1]


def test_the_help_of_tune_has_its_options_in_groups_with_their_defaults(
    powertune_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    out = powertune_command("tune", "--help").out
    groups = re.findall(r"╭─ (\w+) ─", out)
    assert groups == ["Arguments", "Options", "Measuring", "AWS", "Choosing", "Prices", "Output"]
    measuring_help = out.split("╭─ Measuring")[1].split("╭─ AWS")[0]
    assert re.search(r"--samples .*Warm runs at each size .*\[default: 10\]", " ".join(measuring_help.split()))
    assert re.search(r"--search .*\[default: adaptive\]", " ".join(measuring_help.split()))
    assert re.search(r"--parallel .*\[default: 4\]", measuring_help)
