"""`powertune apply` and functions taken from templates, as people use them."""

import errno
import io
import json
import os
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from believable_lambda import BelievableLambda
from botocore.stub import Stubber

from powertune.cli.main import main
from powertune.errors import AwsError, UsageError
from powertune.sources.aws.clients import Aws
from powertune.sources.aws.stacks import name_in_stack

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Memory: {Type: Number, Default: 256}
Globals:
  Function: {Runtime: python3.13, CodeUri: code/, Timeout: 5}
Resources:
  Orders: # the one that people wait for
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: orders-prod
      Handler: shop.orders
      MemorySize: 512  # was 1024
      Environment: {Variables: {GREETING: hello}}
  Invoices:
    Type: AWS::Serverless::Function
    Properties: {Handler: shop.invoices, MemorySize: !Ref Memory}
  Letters:
    Type: AWS::Serverless::Function
    Properties: {Handler: shop.letters, MemorySize: !Ref Memory}
"""
HANDLERS = """
import os

def orders(event, context):
    return {"said": os.environ["GREETING"], "to": event["name"], "with": context.memory_limit_in_mb}

def invoices(event, context):
    if context.get_remaining_time_in_millis() > 5000:
        raise ValueError("the timeout is not that of the template")

letters = invoices
"""


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Full(io.StringIO):
    """An output that has no room left."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


Command = Callable[..., Done]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POWERTUNE_STATE_DIR", str(tmp_path / "state"))
    Path("template.yaml").write_bytes(TEMPLATE.replace("\n", "\r\n").encode())
    Path("code").mkdir()
    Path("code/shop.py").write_text(HANDLERS, encoding="utf-8")
    sys.modules.pop("shop", None)  # of another test, which ran it in this process


@pytest.fixture
def powertune(capfd: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> Done:
        capfd.readouterr()
        code = main(arguments)
        return Done(code, *capfd.readouterr())

    return run


@pytest.fixture
def saved(powertune: Command) -> Callable[..., str]:
    """Save runs by which functions are cheapest and fastest at a size."""

    def save(best_mb: dict[str, int], *options: str) -> str:
        rows = [
            (function, size, 100.0 if size >= best else 100.0 * best / size * 1.5)
            for function, best in best_mb.items()
            for size in sorted({128, 256, 512, best})
            for _ in range(8)
        ]
        lines = [f"{function},{size},{ms + number % 3}" for number, (function, size, ms) in enumerate(rows)]
        Path("recorded.csv").write_text("\n".join(["function_name,memory_mb,duration_ms", *lines]), encoding="utf-8")
        done = powertune("estimate", "recorded.csv", "--save", "run.json", *options)
        assert done.code == 0, done.err
        files = sorted(str(path) for path in Path().glob("run*.json"))
        return files[0] if len(files) == 1 else json.dumps(files)

    return save


def changed_lines() -> list[tuple[str, str]]:
    """Return the lines of the template that are not as they were, before and after."""
    before, after = TEMPLATE.splitlines(), Path("template.yaml").read_bytes().decode().split("\r\n")[:-1]
    assert len(before) == len(after)
    return [(was.strip(), now.strip()) for was, now in zip(before, after, strict=True) if was != now]


# --- templates ---


def test_the_recommended_memory_is_written_and_nothing_else_changes(
    powertune: Command, saved: Callable[..., str]
) -> None:
    Path("template.yaml").chmod(0o640)
    run = saved({"orders-prod": 256})
    done = powertune("apply", run, "--template", "template.yaml")
    assert (done.code, done.out) == (0, "Orders: 512 to 256 MB  (template.yaml:12)\n")
    assert changed_lines() == [("MemorySize: 512  # was 1024", "MemorySize: 256  # was 1024")]
    assert stat.S_IMODE(Path("template.yaml").stat().st_mode) == 0o640
    assert "Next: powertune gate --template template.yaml" in done.err


def test_a_function_of_a_stack_is_known_by_the_name_that_cloudformation_made(
    powertune: Command, saved: Callable[..., str]
) -> None:
    run = saved({"shop-prod-Orders-1A2B3C4D5E6F": 256})
    assert powertune("apply", run, "--template", "template.yaml", "-q").code == 0
    assert len(changed_lines()) == 1


def test_a_patch_is_printed_and_nothing_written(powertune: Command, saved: Callable[..., str]) -> None:
    done = powertune("apply", saved({"orders-prod": 256}), "--template", "template.yaml", "--diff", "-q")
    assert done.code == 0
    assert "-      MemorySize: 512  # was 1024\r\n+      MemorySize: 256  # was 1024\r\n" in done.out
    assert done.err == ""
    assert changed_lines() == []


@pytest.mark.parametrize("options", [["--diff"], []])
def test_an_output_that_is_full_is_no_bug(
    saved: Callable[..., str], capfd: pytest.CaptureFixture[str], options: list[str]
) -> None:
    run = saved({"orders-prod": 256})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Full())
        assert main(["apply", run, "--template", "template.yaml", *options]) == 3
    assert "standard output cannot be written" in capfd.readouterr().err


def test_a_patch_can_be_applied_by_git(
    powertune: Command, saved: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    done = powertune("apply", saved({"orders-prod": 256}), "--template", "template.yaml", "--diff", "-q")
    Path("memory.patch").write_bytes(done.out.encode())
    assert os.system("git apply memory.patch") == 0  # noqa: S605, S607 - the shell's own line, as the README has it
    assert len(changed_lines()) == 1


def test_what_is_written_into_a_template_of_cdk_is_said_not_to_last(
    powertune: Command, saved: Callable[..., str]
) -> None:
    run = saved({"orders-prod": 256})
    assert "cdk synth" not in powertune("apply", run, "--template", "template.yaml", "--diff").err
    properties = {"FunctionName": "orders-prod", "Handler": "shop.orders", "Runtime": "python3.13", "MemorySize": 512}
    resource = {
        "Type": "AWS::Lambda::Function",
        "Properties": properties,
        "Metadata": {"aws:cdk:path": "Shop/Orders/Resource"},
    }
    Path("Shop.template.json").write_text(json.dumps({"Resources": {"Orders": resource}}, indent=1), encoding="utf-8")
    done = powertune("apply", run, "--template", "Shop.template.json")
    assert (done.code, done.out) == (0, "Orders: 512 to 256 MB  (Shop.template.json:9)\n")
    assert "set memorySize in the app's code" in done.err


def test_a_plan_of_terraform_is_said_to_be_of_before(powertune: Command, saved: Callable[..., str]) -> None:
    service = Path(__file__).parents[1] / "data" / "sample_service"
    for name in ("main.tf", "plan.json"):
        Path(name).write_bytes((service / name).read_bytes())
    done = powertune("apply", saved({"Audit": 256}), "--template", "plan.json", "--function", "*audit")
    assert (done.code, done.out) == (0, "aws_lambda_function.audit: 3008 to 256 MB  (main.tf:64)\n")
    assert "make it anew before the next gate" in done.err


def test_another_pick_can_be_asked_for(powertune: Command, saved: Callable[..., str]) -> None:
    run = saved({"orders-prod": 256}, "--tolerance", "0")
    picks = json.loads(Path(run).read_text(encoding="utf-8"))["recommendation"]
    done = powertune("apply", run, "--template", "template.yaml", "--pick", "speed")
    assert f"512 to {picks['speed']['memory_mb']} MB" in done.out or "it has 512 MB already" in done.err


def test_functions_that_share_a_value_are_changed_only_where_that_is_asked_for(
    powertune: Command, saved: Callable[..., str]
) -> None:
    run = saved({"Letters": 512})
    done = powertune("apply", run, "--template", "template.yaml", "--function", "Letters")
    assert done.code == 3
    assert "Invoices would change as well" in done.err
    assert changed_lines() == []
    assert powertune("apply", run, "--template", "template.yaml", "--function", "Letters", "--shared").code == 0
    assert changed_lines() == [("Memory: {Type: Number, Default: 256}", "Memory: {Type: Number, Default: 512}")]


def test_runs_of_several_functions_are_applied_at_once(powertune: Command, saved: Callable[..., str]) -> None:
    runs = json.loads(saved({"orders-prod": 256, "Invoices": 512, "Letters": 512}))
    done = powertune("apply", *runs, "--template", "template.yaml", "-q")
    assert done.out.splitlines() == [
        "Orders: 512 to 256 MB  (template.yaml:12)",
        "Invoices: 256 to 512 MB  (template.yaml:3)",
        "Letters: 256 to 512 MB  (template.yaml:3)",
    ]
    assert len(changed_lines()) == 2


def test_a_size_that_is_there_already_is_left_alone(powertune: Command, saved: Callable[..., str]) -> None:
    done = powertune("apply", saved({"orders-prod": 512}), "--template", "template.yaml")
    assert (done.code, done.out) == (0, "")
    assert "Orders: nothing applied, it has 512 MB already" in done.err


def test_an_inconclusive_answer_is_not_applied(powertune: Command) -> None:
    Path("one.csv").write_text("function_name,memory_mb,duration_ms\norders-prod,1024,50\n", encoding="utf-8")
    powertune("estimate", "one.csv", "--save", "run.json")
    done = powertune("apply", "run.json", "--template", "template.yaml")
    assert (done.code, done.out) == (0, "")
    assert "nothing applied, as the answer is inconclusive" in done.err
    assert powertune("apply", "run.json", "--template", "template.yaml", "--strict").code == 6
    assert changed_lines() == []


def test_of_a_gate_only_what_is_badly_sized_is_applied_and_then_the_gate_passes(
    powertune: Command, saved: Callable[..., str]
) -> None:
    runs = json.loads(saved({"orders-prod": 256, "Invoices": 256, "Letters": 256}, "--tolerance", "0"))
    gate = ["gate", *runs, "--template", "template.yaml", "-q"]
    assert powertune(*gate, "--save", "gate.json").code == 1
    done = powertune("apply", "gate.json", "--template", "template.yaml")
    assert done.code == 0
    assert done.out == "Orders: 512 to 256 MB  (template.yaml:12)\n"
    assert "Invoices: nothing applied, as the gate says optimized" in done.err
    assert powertune(*gate).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run.json"], 2, "--template"),
        (["run.json", "--template", "template.yaml", "--alias", "live"], 2, "--live"),
        (["run.json", "--live", "--diff"], 2, "--diff"),
        (["run.json", "--template", "template.yaml", "--function", "Order"], 2, "did you mean Orders?"),
        (["run.json", "--template", "no.yaml"], 3, "no.yaml"),
        (["no.json", "--template", "template.yaml"], 3, "no.json"),
        (["recorded.csv", "--template", "template.yaml"], 3, "--save"),
        (["run.json", "--template", "run.json"], 3, "template"),
    ],
)
def test_what_cannot_be_applied_is_said_with_a_way_out(
    powertune: Command, saved: Callable[..., str], arguments: Sequence[str], code: int, said: str
) -> None:
    saved({"orders-prod": 256})
    done = powertune("apply", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_a_run_that_cannot_be_read_is_not_said_to_hold_none(powertune: Command) -> None:
    done = powertune("apply", "nope.json", "--template", "template.yaml")
    assert done.code == 3
    assert "nope.json cannot be read: No such file or directory" in done.err


def test_a_run_of_a_function_that_the_template_does_not_have_is_refused(
    powertune: Command, saved: Callable[..., str]
) -> None:
    done = powertune("apply", saved({"somebody-elses": 256}), "--template", "template.yaml")
    assert done.code == 3
    assert "somebody-elses" in done.err
    assert changed_lines() == []


# --- live ---


def test_the_live_function_gets_the_size_after_a_yes(
    believable: BelievableLambda, powertune: Command, saved: Callable[..., str]
) -> None:
    believable.time_scale = 0.01
    believable.create_function("orders-prod", memory_mb=512)
    run = saved({"orders-prod": 256})
    refused = powertune("apply", run, "--live")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert believable.snapshot("orders-prod")["latest"]["MemorySize"] == 512
    done = powertune("apply", run, "--live", "--yes")
    assert done.code == 0
    assert "$LATEST has 256 MB now, it had 512 MB" in done.err
    assert believable.snapshot("orders-prod")["latest"]["MemorySize"] == 256


def test_a_dry_run_does_not_say_which_live_function_is_meant(believable: BelievableLambda, powertune: Command) -> None:
    believable.create_function("orders-prod", memory_mb=512)
    dry = powertune("dry-run", "--template", "template.yaml", "Orders", "-p", '{"name": "you"}', "--save", "dry.json")
    assert dry.code == 0, dry.err
    done = powertune("apply", "dry.json", "--live", "--yes")
    assert done.code == 2
    assert "--live --function FUNCTION" in done.err


# --- functions of templates ---


@pytest.mark.parametrize("options", [[], ["--isolate"]])
@pytest.mark.parametrize("where", ["def handler(event, context):\n    ", ""])
def test_an_error_that_quotes_a_value_of_the_environment_is_told_with_its_name(
    powertune: Command, monkeypatch: pytest.MonkeyPatch, where: str, options: list[str]
) -> None:
    monkeypatch.chdir("code")
    monkeypatch.syspath_prepend(".")
    fails = f"import os\n{where}raise ValueError('no such host: ' + os.environ['DATABASE_URL'])\n"
    Path("quotes.py").write_text(fails, encoding="utf-8")
    sys.modules.pop("quotes", None)
    url = "DATABASE_URL=postgres://me:hunter2@db"
    done = powertune("dry-run", "quotes:handler", "--env", url, *options, "--save", "run.json")
    assert done.code == 5
    assert "no such host: $DATABASE_URL" in done.err
    saved = Path("run.json").read_text(encoding="utf-8") if Path("run.json").exists() else ""
    assert "hunter2" not in done.out + done.err + saved


def run_file(done: Done) -> dict[str, Any]:
    assert done.code == 0, done.err
    run: dict[str, Any] = json.loads(done.out)
    return run


@pytest.mark.parametrize("isolate", [[], ["--isolate"]])
@pytest.mark.parametrize("named", [["Orders"], ["--function", "Orders"], ["orders-prod"]])
def test_a_function_of_a_template_runs_as_it_is_deployed(
    powertune: Command, named: list[str], isolate: list[str]
) -> None:
    done = powertune(
        "dry-run", "--template", "template.yaml", *named, *isolate, "-p", '{"name": "you"}', "-n", "2", "-f", "json"
    )
    run = run_file(done)
    assert run["function"]["name"] == "Orders"
    assert run["function"]["current_memory_mb"] == 512
    assert run["source"]["handler"] == "shop.orders"
    assert Path.cwd().name != "code"


def test_the_timeout_is_that_of_the_template_unless_another_is_given(powertune: Command) -> None:
    command = ["dry-run", "--template", "template.yaml", "Invoices", "-n", "1", "-f", "json"]
    assert powertune(*command).code == 0
    assert powertune(*command, "--timeout", "60").code == 5


def test_variables_given_on_the_line_count_before_those_of_the_template(powertune: Command) -> None:
    Path("code/shop.py").write_text(
        "import os\ndef orders(event, context):\n    assert os.environ['GREETING'] == 'bye'\n", encoding="utf-8"
    )
    command = ["dry-run", "--template", "template.yaml", "Orders", "-n", "1", "-q"]
    assert powertune(*command).code == 5
    assert powertune(*command, "--env", "GREETING=bye").code == 0


def test_a_template_of_the_settings_does_not_get_in_the_way_of_a_handler(powertune: Command) -> None:
    Path("powertune.toml").write_text('template = "template.yaml"\n', encoding="utf-8")
    Path("mine.py").write_text("def handler(event, context):\n    return 1\n", encoding="utf-8")
    assert (
        run_file(powertune("dry-run", "mine:handler", "-n", "1", "-f", "json"))["source"]["handler"] == "mine:handler"
    )
    by_name = powertune("dry-run", "--function", "Orders", "-p", '{"name": "you"}', "-n", "1", "-f", "json")
    assert run_file(by_name)["function"]["name"] == "Orders"


def test_a_function_is_tuned_by_what_its_template_calls_it(believable: BelievableLambda, powertune: Command) -> None:
    believable.time_scale = 0.01
    believable.create_function("orders-prod", memory_mb=512)
    command = ["tune", "--template", "template.yaml", "--plan"]
    for named in (["Orders"], ["--function", "Orders"]):
        done = powertune(*command, *named)
        assert done.code == 0, done.err
        assert "orders-prod" in done.out
    done = powertune(*command, "--function", "Invoices")
    assert done.code == 2
    assert "--stack" in done.err


def test_a_stack_says_what_cloudformation_called_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    aws = Aws("us-east-1")
    with Stubber(aws.stacks) as stack:
        for logical_id, kind in (("Orders", "AWS::Lambda::Function"), ("Queue", "AWS::SQS::Queue")):
            detail = {
                "LogicalResourceId": logical_id,
                "PhysicalResourceId": f"shop-{logical_id}-1A2B3C4D5E6F",
                "ResourceType": kind,
                "LastUpdatedTimestamp": datetime(2026, 11, 1, tzinfo=UTC),
                "ResourceStatus": "CREATE_COMPLETE",
            }
            stack.add_response(
                "describe_stack_resource",
                {"StackResourceDetail": detail},
                {"StackName": "shop", "LogicalResourceId": logical_id},
            )
        stack.add_client_error("describe_stack_resource", "AccessDenied", "not you")
        assert name_in_stack(aws, "shop", "Orders") == "shop-Orders-1A2B3C4D5E6F"
        with pytest.raises(UsageError, match="of type AWS::SQS::Queue"):
            name_in_stack(aws, "shop", "Queue")
        with pytest.raises(AwsError, match="is not allowed: not you"):
            name_in_stack(aws, "shop", "Orders")
