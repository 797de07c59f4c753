"""Commands run with settings: what they take from them, what outranks them, and `powertune config`."""

import json
from pathlib import Path
from typing import Any

import pytest

from powertune.cli.main import main

DURATIONS = "memory_mb,duration_ms\n" + "".join(
    f"{size},{duration}\n" * 5 for size, duration in ((128, 1000), (256, 480), (512, 400), (1024, 390))
)


@pytest.fixture(autouse=True)
def _in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "durations.csv").write_text(DURATIONS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def configure(text: str, name: str = "powertune.toml") -> None:
    Path(name).write_text(text, encoding="utf-8")


def powertune(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert main(arguments) == code
    return capsys.readouterr()


def recommendation(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    out, _ = powertune(capsys, "estimate", "durations.csv", "-f", "json", *arguments)
    return json.loads(out)["recommendation"]


def test_a_command_takes_its_defaults_from_settings_and_the_line_outranks_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert recommendation(capsys)["strategy"] == "balanced"
    configure('strategy = "speed"\nmemory = [128, 256]\n')
    assert recommendation(capsys) | {"reasons": []} == recommendation(capsys, "-s", "speed") | {"reasons": []}
    assert recommendation(capsys)["memory_mb"] == 256
    assert recommendation(capsys, "-s", "cost")["strategy"] == "cost"
    assert recommendation(capsys, "-m", "512,1024")["memory_mb"] == 1024


def test_the_environment_outranks_the_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    configure('strategy = "speed"\n')
    monkeypatch.setenv("POWERTUNE_STRATEGY", "cost")
    assert recommendation(capsys)["strategy"] == "cost"
    assert recommendation(capsys, "--strategy", "balanced")["strategy"] == "balanced"


def test_an_empty_config_is_a_way_around_broken_files(capsys: pytest.CaptureFixture[str]) -> None:
    configure("nonsense = 1")
    _, err = powertune(capsys, "estimate", "durations.csv", code=3)
    assert err.startswith("Error: powertune.toml:1: nonsense: there is no such setting\n")
    powertune(capsys, "--config", "", "estimate", "durations.csv")


def test_help_and_usage_errors_do_not_care_for_broken_settings(capsys: pytest.CaptureFixture[str]) -> None:
    configure("nonsense = [")
    powertune(capsys, "estimate", "--help")
    powertune(capsys, "estimate", "--strategy", "fastest", code=2)
    powertune(capsys, "--version")


def test_what_was_left_out_is_said_once_and_not_when_quiet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTUNE_STRATEGI", "cost")
    said = "Warning: powertune does not know the environment variable POWERTUNE_STRATEGI\n  did you mean POWERTUNE_STR"
    _, err = powertune(capsys, "estimate", "durations.csv")
    assert err.count(said) == 1
    _, err = powertune(capsys, "estimate", "durations.csv", "-q")
    assert err == ""
    _, err = powertune(capsys, "prices", "refresh", "--from-file", "durations.csv", code=3)
    assert err.count("POWERTUNE_STRATEGI\n") == 1  # though the group and its command both read settings


def test_settings_for_cloudwatch_do_not_stand_in_the_way_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    configure('profile = "prod"\n[estimate]\nsince = "7d"\nprefix = ["/aws/lambda/"]\n')
    assert recommendation(capsys)["strategy"] == "balanced"
    _, err = powertune(capsys, "estimate", "durations.csv", "--since", "1d", code=2)
    assert "--since is for querying CloudWatch" in err


def test_settings_about_the_bill_do_not_stand_in_the_way_of_the_price_list(capsys: pytest.CaptureFixture[str]) -> None:
    configure('discount = 10\nregion = "eu-west-1"\n')
    out, _ = powertune(capsys, "prices")
    assert "eu-west-1" in out
    assert "us-east-1" not in out
    _, err = powertune(capsys, "prices", "--discount", "10", code=2)
    assert "--discount is for the bill of an invocation" in err
    discounted, _ = powertune(capsys, "prices", "--explain", "512:100")
    assert "10 %" in discounted


def test_a_functions_settings_reach_the_command_that_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    rows = (f"{name},{size},100" for name in ("orders", "other") for size in (512, 1024) for _ in range(5))
    Path("both.csv").write_text("\n".join(["function,memory_mb,duration_ms", *rows]), encoding="utf-8")
    configure("current = 1024\n[functions.orders]\ncurrent = 512\n")
    for name, current in (("orders", 512), ("other", 1024)):
        out, _ = powertune(capsys, "estimate", "both.csv", "--function", name, "-f", "json")
        assert json.loads(out)["function"]["current_memory_mb"] == current
    configure('function = "orders"\ncurrent = 1024\n[functions.orders]\ncurrent = 512\n')
    out, _ = powertune(capsys, "estimate", "both.csv", "-f", "json")
    assert json.loads(out)["function"]["current_memory_mb"] == 512


def test_a_function_may_be_named_by_its_arn(capsys: pytest.CaptureFixture[str]) -> None:
    configure("[functions.orders]\ncurrent = 512\n")
    out, _ = powertune(
        capsys, "config", "tune", "--function", "arn:aws:lambda:eu-west-1:123456789012:function:orders:live"
    )
    assert ["current", "512", "powertune.toml:2"] in [line.split() for line in out.splitlines()]


def test_an_error_about_a_value_of_settings_says_where_that_was_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure('memory = [128, 256]\n[estimate]\nformat = "pdf"\n[dry-run]\npayload = "none.json"\n')
    monkeypatch.setenv("POWERTUNE_ESTIMATE_SCHEDULER", "tcp://nowhere:1")
    assert "; it was set in powertune.toml:3\n" in powertune(capsys, "estimate", "durations.csv", code=2)[1]
    _, err = powertune(capsys, "estimate", "durations.csv", "-f", "json", code=2)
    assert "--scheduler is for another engine" in err
    assert err.endswith("; it was set in POWERTUNE_ESTIMATE_SCHEDULER\n")
    monkeypatch.delenv("POWERTUNE_ESTIMATE_SCHEDULER")
    _, err = powertune(capsys, "estimate", "durations.csv", "-f", "pdf", code=2)
    assert "powertune.toml" not in err
    _, err = powertune(capsys, "dry-run", "powertune.examples.primes:handler", "-m", "128", code=3)
    assert "there is no payload file none.json" in err
    assert "; it was set in powertune.toml:5\n" in err


def test_fail_on_of_the_line_outranks_soft_fail_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    powertune(capsys, "estimate", "durations.csv", "--save", "run.json")
    configure("[gate]\nsoft_fail = true\n")
    powertune(capsys, "gate", "run.json", "--current", "128", "-q")
    powertune(capsys, "gate", "run.json", "--current", "128", "-q", "--fail-on", "error", code=1)
    configure("[gate]\nfail_on = ['never']\nparameter = ['Secret=hunter2']\n")
    powertune(capsys, "gate", "run.json", "--current", "128", "-q")
    powertune(capsys, "gate", "run.json", "--current", "128", "-q", "--soft-fail")
    assert "hunter2" not in powertune(capsys, "config")[0]


def test_an_error_about_something_else_does_not_blame_settings(capsys: pytest.CaptureFixture[str]) -> None:
    configure('strategy = "cost"\nregion = "eu-west-1"\n')
    _, err = powertune(capsys, "estimate", "cost", code=3)
    assert "cost" in err
    assert "powertune.toml" not in err


def test_a_variable_turns_off_what_a_file_turns_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("one.csv").write_text("memory_mb,duration_ms\n128,100\n256,50\n", encoding="utf-8")
    configure("strict = true\n")
    powertune(capsys, "estimate", "one.csv", code=6)
    monkeypatch.setenv("POWERTUNE_STRICT", "0")
    powertune(capsys, "estimate", "one.csv")


def test_commands_run_in_a_folder_that_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    powertune(capsys, "prices", "--region", "eu-west-1")


def test_paths_in_settings_work_from_any_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("event.json").write_text('{"limit": 10}', encoding="utf-8")
    Path("one.env").write_text("STAGE=test\n", encoding="utf-8")
    Path("service").mkdir()
    configure(
        '[tool.powertune.dry-run]\npayload = "event.json"\nsave = "run.json"\nenv_file = "one.env"\n', "pyproject.toml"
    )
    monkeypatch.chdir("service")
    powertune(capsys, "dry-run", "powertune.examples.waiting:handler", "-n", "1", "-m", "128,256")
    assert json.loads(Path("../run.json").read_text(encoding="utf-8"))["schema_version"] == 1


def test_config_shows_each_value_and_where_it_comes_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTUNE_DISCOUNT", "17")
    configure(
        "tolerance = 5\n[tune]\nsamples = 30\n[budgets]\nmax_p95_ms = 800\n[functions.Orders]\n"
        "payload = '{\"pin\": 1234}'\n"
        'budgets = { max_memory_mb = 2048 }\n[dry-run]\nenv = ["TOKEN=hunter2"]\n[[waivers]]\nfunction = "Or*"\n'
        'rule = "max-p95"\nreason = "rewrite\\u001b"\nuntil = 2020-01-31\n'
    )
    out, err = powertune(capsys, "config")
    rows = [line.split(maxsplit=1) for line in out.splitlines()]
    found = {name: rest.split("  ") for name, rest in rows}
    shown = {name: (rest[0], rest[-1].strip()) for name, rest in found.items()}
    assert err == ""
    assert shown["tolerance"] == ("5", "powertune.toml:1")
    assert shown["tune.samples"] == ("30", "powertune.toml:3")
    assert shown["dry-run.samples"] == ("-", "default")
    assert shown["discount"] == ("17", "POWERTUNE_DISCOUNT")
    assert shown["strategy"] == ("balanced", "default")
    assert shown["budgets.max_p95_ms"] == ("800", "powertune.toml:5")
    assert shown["functions.Orders.budgets.max_memory_mb"] == ("2048", "powertune.toml:8")
    assert shown["functions.Orders.payload"] == ("JSON, 13 characters", "powertune.toml:7")
    assert shown["env"] == ("TOKEN=***", "powertune.toml:10")
    assert shown["waivers"] == ("Or* max-p95 until 2020-01-31 (expired)", "rewrite\\x1b")
    assert "hunter2" not in out
    assert "1234" not in out


def test_config_of_one_command_and_one_function_is_what_that_command_would_take(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(
        'strategy = "speed"\n[budgets]\nmax_p95_ms = 800\n[functions.Orders]\nstrategy = "cost"\n'
        '[[waivers]]\nfunction = "Pay*"\nrule = "*"\nreason = "x"\nuntil = 2090-01-31\n'
    )
    document = json.loads(powertune(capsys, "config", "estimate", "--function", "Orders", "-f", "json")[0])
    values = {entry["name"]: (entry["value"], entry["origin"]) for entry in document["settings"]}
    assert document["files"] == ["powertune.toml"]
    assert values["strategy"] == ("cost", "powertune.toml:5")
    assert values["budgets.max_p95_ms"] == (800, "powertune.toml:3")
    assert values["memory"] == (None, "default")
    assert "samples" not in values
    assert document["waivers"] == []
    (waiver,) = json.loads(powertune(capsys, "config", "-f", "json")[0])["waivers"]
    assert waiver == {
        "function": "Pay*",
        "rule": "*",
        "reason": "x",
        "until": "2090-01-31",
        "expired": False,
        "origin": "powertune.toml:6",
    }


def test_config_of_a_function_without_settings_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    configure("[functions.Orders]\ncurrent = 512\n")
    assert powertune(capsys, "config", "tune", "--function", "Orders")[1] == ""
    _, err = powertune(capsys, "config", "tune", "--function", "Ordres")
    assert err == "Ordres has no settings of its own; did you mean Orders?\n"


def test_config_check_tells_good_files_from_bad_ones(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert powertune(capsys, "config", "--check")[0] == "There is no settings file.\n"
    configure("tolerance = 5\n")
    assert powertune(capsys, "config", "--check")[0] == "powertune.toml: good\n"
    configure("tolerance = [")
    assert powertune(capsys, "config", "--check", code=3)[0] == ""
    configure("")
    monkeypatch.setenv("POWERTUNE_FORCE", "1")
    powertune(capsys, "config", "--check", code=3)


def test_config_of_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    _, err = powertune(capsys, "config", "dryrun", code=2)
    assert "'dryrun' is no command that takes settings" in err
    assert "did you mean dry-run?" in err
