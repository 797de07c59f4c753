"""What settings files and variables may say, which of them counts, and how errors point at the line."""

import os
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer

from powertune.cli.app import app
from powertune.cli.configured import REFUSED, commands, options_of, schema_of
from powertune.errors import BadInputError
from powertune.model.budgets import Budgets, Waiver
from powertune.model.configured import Place
from powertune.settings import Settings, load
from powertune.settings.environment import variables_of
from powertune.settings.files import SettingsFile

ROOT = typer.main.get_command(app)
SCHEMA = schema_of(ROOT)


@pytest.fixture(autouse=True)
def _in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POWERTUNE_CONFIG_DIR", str(tmp_path / "user"))


def settings(
    text: str = "",
    environment: Mapping[str, str] | None = None,
    *,
    file: str = "powertune.toml",
    config: str | None = None,
) -> Settings:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(text, encoding="utf-8")
    own = {"POWERTUNE_CONFIG_DIR": os.environ["POWERTUNE_CONFIG_DIR"]}
    return load(Path.cwd(), own | dict(environment or {}), lambda: SCHEMA, config=config)


def complaint(text: str, environment: Mapping[str, str] | None = None) -> str:
    with pytest.raises(BadInputError) as caught:
        settings(text, environment)
    return f"{caught.value.message} | {caught.value.hint}"


def test_a_general_key_holds_for_each_command_that_has_the_option() -> None:
    found = settings("tolerance = 5\nsamples = 3\n")
    for command in ("tune", "dry-run", "estimate"):
        assert found.defaults_for(command)["tolerance"].value == 5
    assert found.defaults_for("dry-run")["samples"].origin == "powertune.toml:2"
    assert "samples" not in found.defaults_for("estimate")
    assert "tolerance" not in found.defaults_for("prices")


def test_a_commands_own_table_outranks_what_is_general() -> None:
    found = settings("samples = 3\n[dry-run]\nsamples = 7\n")
    assert found.defaults_for("tune")["samples"].value == 3
    assert (found.defaults_for("dry-run")["samples"].value, found.defaults_for("dry-run")["samples"].origin) == (
        7,
        "powertune.toml:3",
    )


def test_environment_outranks_project_and_project_outranks_user() -> None:
    Path("user").mkdir()
    Path("user/config.toml").write_text('tolerance = 1\nregion = "eu-west-1"\nstrategy = "speed"\n', encoding="utf-8")
    found = settings(
        'tolerance = 2\nregion = "eu-west-2"\n', {"POWERTUNE_TOLERANCE": "3", "POWERTUNE_TUNE_TOLERANCE": "4"}
    )
    tune, estimate = found.defaults_for("tune"), found.defaults_for("estimate")
    assert (tune["tolerance"].value, tune["tolerance"].origin) == (4, "POWERTUNE_TUNE_TOLERANCE")
    assert (estimate["tolerance"].value, estimate["tolerance"].origin) == (3, "POWERTUNE_TOLERANCE")
    assert (tune["region"].value, tune["region"].origin) == ("eu-west-2", "powertune.toml:2")
    assert tune["strategy"].value == "speed"
    assert tune["strategy"].origin == f"{Path.cwd() / 'user/config.toml'}:3"


def test_a_functions_own_settings_outrank_those_of_its_file_and_not_the_environment() -> None:
    text = '[functions.orders]\nstrategy = "cost"\ntolerance = 9\n[tune]\nstrategy = "speed"\n'
    found = settings(text, {"POWERTUNE_TOLERANCE": "3"})
    assert found.defaults_for("tune", "orders")["strategy"].value == "cost"
    assert found.defaults_for("tune", "other")["strategy"].value == "speed"
    assert found.defaults_for("tune", "orders")["tolerance"].value == 3
    assert found.function("orders", "tune").tolerance == 3
    assert found.function("orders", "policy").tolerance == 9


def test_what_the_line_gives_silences_its_rivals() -> None:
    found = settings('payload = "@s3-put"\n[functions.orders]\npayloads = "mix.json"\n')
    assert "payload" not in found.defaults_for("tune", given={"payloads"})
    assert "payloads" not in found.defaults_for("tune", "orders", given={"payload"})
    assert found.defaults_for("tune", "orders").keys() == {"payloads"}


def test_what_a_commands_table_says_silences_general_rivals() -> None:
    found = settings("payload = '{}'\n[tune]\npayloads = 'mix.json'\n")
    assert found.defaults_for("tune").keys() == {"payloads"}
    assert found.defaults_for("dry-run").keys() == {"payload"}


def test_a_general_key_does_not_reach_a_command_that_means_something_else_by_it() -> None:
    found = settings("payload = 'event.json'\n[policy]\nlog_group = '/aws/x'", {"POWERTUNE_LOG_GROUP": "/aws/y"})
    assert "payload" not in found.defaults_for("policy")
    assert found.defaults_for("policy")["log_group"].value == "/aws/x"
    assert found.defaults_for("estimate")["log_group"].value == ["/aws/y"]


def test_a_function_has_its_budgets_merged_with_those_of_all() -> None:
    found = settings(
        "[budgets]\nmax_p95_ms = 900\nmax_memory_mb = 2048\n[functions.orders]\nbudgets = { max_p95_ms = 300 }\n"
        'env_file = ["a.env", "b.env"]\nskip = "no payload yet"\n'
    )
    orders = found.function("orders")
    assert orders.budgets == Budgets(max_p95_ms=300, max_memory_mb=2048)
    assert (orders.env_file, orders.skip) == (("a.env", "b.env"), "no payload yet")
    assert orders.origins["budgets.max_p95_ms"].origin == "powertune.toml:5"
    assert orders.origins["budgets.max_memory_mb"].place == Place("powertune.toml", 3)
    assert found.function("other").budgets == Budgets(max_p95_ms=900, max_memory_mb=2048)
    assert found.function_names == ("orders",)


def test_waivers_keep_their_line() -> None:
    found = settings(
        '[[waivers]]\nfunction = "orders-*"\nrule = "max-p95"\nreason = " being rewritten "\nuntil = 2027-01-31\n'
    )
    assert found.waivers == (
        Waiver("orders-*", "max-p95", "being rewritten", date(2027, 1, 31), Place("powertune.toml", 1)),
    )


WAIVER = '[[waivers]]\nfunction = "f"\nrule = "*"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tolerence = 5", "powertune.toml:1: tolerence: there is no such setting | did you mean tolerance?"),
        ("max-cost = 5", "powertune.toml:1: max-cost: there is no such setting | did you mean max_cost"),
        ("[tool.powertune]\nx = 1", "tool: keys stand at the top of this file | leave out [tool.powertune]"),
        ("[tuna]\nx = 1", "powertune.toml:1: tuna: there is no such setting | did you mean tune?"),
        ("[tune]\n\nsample = 1", "powertune.toml:3: sample: there is no such setting in tune | did you mean samples"),
        ("[estimate]\nsamples = 1", "powertune.toml:2: samples: there is no such setting in estimate"),
        ("tune = 5", "powertune.toml:1: tune: takes a table, and has a whole number"),
        ('tolerance = "5"', "powertune.toml:1: tolerance: takes a number, and has text"),
        ("tolerance = true", "powertune.toml:1: tolerance: takes a number, and has true or false"),
        ("tolerance = nan", "powertune.toml:1: tolerance: nan is no number to work with"),
        ("tolerance = -1", "powertune.toml:1: tolerance: -1.0 is not in the range x>=0 | see: powertune tune --help"),
        ("samples = 1.5", "powertune.toml:1: samples: takes a whole number, and has a number"),
        ("free_tier = 1", "powertune.toml:1: free_tier: takes true or false, and has a whole number"),
        ("region = ['eu-west-1']", "powertune.toml:1: region: takes text in quotes, and has a list"),
        ("strategy = 'fast'", "powertune.toml:1: strategy: 'fast' is not one of 'cost', 'speed', 'balanced'"),
        ("memory = [true]", "powertune.toml:1: memory: takes sizes, such as [128, 512, 1024]"),
        ("memory = [1, 2]", "powertune.toml:1: memory: 1 MB is no Lambda memory size"),
        ("precision = 'abc'", "powertune.toml:1: precision: 'abc' is not what this takes"),
        ("env = [1]", "powertune.toml:1: env: takes text in quotes, and has a whole number"),
        ("yes = true", "yes: this is not for a file: it is consent"),
        ("[tune]\napply = true", "powertune.toml:2: apply: this is not for a file: it is consent"),
        ("[prices-refresh]\nfrom_file = 'x'", "from_file: this is not for a file: it is about one run"),
        ("payload = '{}'\npayloads = 'x'", "payload: payload and payloads exclude each other"),
        (
            "[tune]\nsamples = 3\npayload = '{}'\npayloads = 'x'",
            "toml:3: payload: payload and payloads exclude each other",
        ),
        (
            "[prices-refresh]\nquiet = 1",
            "toml:2: quiet: takes true or false, and has a whole number | see: powertune prices re",
        ),
        ("[functions.f]\npayload = '{}'\npayloads = 'x'", "toml:2: payload: payload and payloads exclude each other"),
        ("functions = 3", "functions: takes a table, and has a whole number"),
        ("[functions]\nf = 3", "powertune.toml:2: f: takes a table, and has a whole number"),
        (
            "[functions.f]\nhandlr = 'a.b'",
            "toml:2: handlr: there is no such setting in functions.f | did you mean handler",
        ),
        ("[functions.f]\nsamples = 3", "toml:2: samples: there is no such setting in functions.f"),
        ("[functions.f]\nskip = true", "toml:2: skip: takes words in quotes, and has true or false"),
        ("[functions.f]\nskip = ' '", "toml:2: skip: takes words in quotes, and has text"),
        ("[functions.f]\ncurrent = 64", "toml:2: current: 64 is not in the range 128<=x<=10240"),
        (
            "[functions.f]\nbudgets = { max_p95 = 3 }",
            "toml:2: max_p95: there is no such setting in functions.f.budgets",
        ),
        ("[budgets]\nmax_p95_ms = '3'", "toml:2: max_p95_ms: takes a number, and has text"),
        ("[budgets]\nmax_p95_ms = -3", "toml:2: max_p95_ms: -3 is out of range"),
        ("[budgets]\nmax_p95_ms = nan", "toml:2: max_p95_ms: nan is out of range"),
        ("[budgets]\nmax_p95_ms = inf", "toml:2: max_p95_ms: inf is out of range"),
        ("[budgets]\nmin_saving_pct = 101", "toml:2: min_saving_pct: 101 is out of range"),
        ("[budgets]\nmax_memory_mb = 1.5", "toml:2: max_memory_mb: takes a whole number, and has a number"),
        ("waivers = 3", "waivers: takes tables, and has a whole number | write [[waivers]]"),
        ("waivers = ['x']", "powertune.toml:1: waivers: takes a table, and has text"),
        (WAIVER, "powertune.toml:1: waivers: this waiver has no reason | say function, rule, reason, and until when"),
        (WAIVER + "reason = ''", "toml:4: reason: takes words in quotes, and has an empty text"),
        (WAIVER + "reason = 'x'", "powertune.toml:1: waivers: this waiver has no until"),
        (WAIVER + "reason = 'x'\nuntil = '2027-01-31'", "toml:5: until: takes a date, and has text"),
        (WAIVER + "reason = 'x'\nuntil = 2027-01-31T10:00:00", "toml:5: until: takes a date, and has a date or time"),
        (
            WAIVER.replace("*", "max-p59") + "reason = 'x'\nuntil = 2027-01-31",
            "powertune.toml:3: rule: max-p59 is no rule of the gate; did you mean max-p95",
        ),
        (WAIVER + "because = 'x'", "toml:4: because: there is no such setting in waivers.0 | there are: function, rea"),
        ("a = [", "powertune.toml is no valid TOML: Invalid value (at end of document)"),
        ('"\\u001b[2J" = 1', "powertune.toml:1: \\x1b[2J: there is no such setting | powertune config lists"),
    ],
)
def test_what_powertune_does_not_know_or_take_is_an_error_that_names_the_line(text: str, said: str) -> None:
    assert said in complaint(text)


def test_an_error_about_a_secret_does_not_tell_it() -> None:
    assert "hunter2" not in complaint("env = {PASSWORD = 'hunter2'}")
    assert "hunter2" not in complaint("payload = {password = 'hunter2'}")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"POWERTUNE_TOLERANCE": "much"}, "POWERTUNE_TOLERANCE: 'much' is not a valid float"),
        ({"POWERTUNE_TOLERANCE": "nan"}, "POWERTUNE_TOLERANCE: nan is no number to work with"),
        ({"POWERTUNE_TUNE_SAMPLES": "0"}, "POWERTUNE_TUNE_SAMPLES: 0 is not in the range 1<=x<=100000"),
        ({"POWERTUNE_FREE_TIER": "perhaps"}, "POWERTUNE_FREE_TIER: "),
        ({"POWERTUNE_ENV_FILE": "'a b"}, "POWERTUNE_ENV_FILE: No closing quotation"),
        ({"POWERTUNE_YES": "1"}, "POWERTUNE_YES is not for the environment: it is consent"),
        ({"POWERTUNE_APPLY": "1"}, "POWERTUNE_APPLY is not for the environment: it is consent"),
    ],
)
def test_a_variable_that_an_option_cannot_take_is_an_error(variables: dict[str, str], said: str) -> None:
    assert said in complaint("", variables)


def test_variables_are_read_as_the_command_line_is() -> None:
    found = settings(
        "",
        {
            "POWERTUNE_MEMORY": "128..512:128",
            "POWERTUNE_FREE_TIER": "yes",
            "POWERTUNE_DRY_RUN_ENV_FILE": "a.env 'b c.env'",
            "POWERTUNE_PRECISION": "2%",
            "POWERTUNE_PRICES_REFRESH_REGION": "eu-west-1 eu-west-2",
            "POWERTUNE_REGION": "",
        },
    )
    assert found.defaults_for("dry-run")["env_file"].value == ["a.env", "b c.env"]
    assert found.defaults_for("tune")["memory"].value == "128..512:128"
    assert found.defaults_for("tune")["free_tier"].value is True
    assert found.defaults_for("tune")["precision"].value == 0.02
    assert found.defaults_for("prices-refresh")["region"].value == ["eu-west-1", "eu-west-2"]
    assert "region" not in found.defaults_for("tune")
    assert not found.warnings


def test_a_variable_that_means_nothing_is_a_warning_with_the_nearest_name() -> None:
    found = settings("", {"POWERTUNE_TOLERENCE": "5", "_POWERTUNE_COMPLETE": "x", "POWERTUNE_STATE_DIR": "/x"})
    (warning,) = found.warnings
    assert warning.code == "unknown-variable"
    assert warning.hint.startswith("did you mean POWERTUNE_TOLERANCE, ")


def test_no_variable_stands_for_two_options() -> None:
    general = {key for options in SCHEMA.options.values() for key in options}
    own = [f"{command}_{key}".replace("-", "_") for command, options in SCHEMA.options.items() for key in options]
    assert len(set(own)) == len(own)
    assert not general & set(own)
    assert len(variables_of(SCHEMA)) == len(general) + len(own)


def option_cases() -> Iterator[Any]:
    for command, found in commands(ROOT):
        for key, parameter in options_of(found) if command in SCHEMA.options else ():
            yield pytest.param(command, found, key, parameter, id=f"{command} {key}")


def sample_of(parameter: Any) -> tuple[Any, list[str]]:
    """Return a value in TOML, and the same on the command line."""
    kind = parameter.type.name
    if kind == "boolean":
        return True, [parameter.opts[-1] if parameter.opts[-1].startswith("--") else parameter.opts[0]]
    value: Any = parameter.type.choices[0] if kind == "choice" else "text"
    if parameter.metavar and "SIZES" in parameter.metavar:
        value = "128..512"
    if kind.startswith(("int", "float")):
        value = (parameter.type.min if hasattr(parameter.type, "min") else None) or 1
    if kind == "_share":
        value = 3
    long = next(name for name in parameter.opts if name.startswith("--"))
    return ([value], [long, str(value)]) if parameter.multiple else (value, [long, str(value)])


@pytest.mark.parametrize(("command", "found", "key", "parameter"), list(option_cases()))
def test_a_setting_is_worth_what_the_option_would_be(command: str, found: Any, key: str, parameter: Any) -> None:
    value, line = sample_of(parameter)
    context = found.make_context(command, [*line], resilient_parsing=True)
    wanted = context.params[parameter.name]
    wanted = list(wanted) if isinstance(wanted, tuple) else wanted  # as Typer hands it on
    option = SCHEMA.options[command][key]
    for got in (option.from_toml(value, "."), option.from_text("true" if value is True else line[-1])):
        assert (got, type(got)) == (wanted, type(wanted))


def test_every_refused_option_says_why_and_consent_never_comes_from_a_file() -> None:
    assert {"yes", "apply", "force", "live"} <= REFUSED.keys()
    assert not {key for options in SCHEMA.options.values() for key in options} & REFUSED.keys()


def test_lists_of_sizes_may_be_numbers() -> None:
    assert settings("memory = [128, 256, '512']").defaults_for("tune")["memory"].value == "128,256,512"
    assert settings("memory = 1024").defaults_for("tune")["memory"].value == "1024"


def test_paths_are_relative_to_the_file_that_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("events").mkdir()
    Path("events/a.json").write_text("{}", encoding="utf-8")
    Path("shop/deep").mkdir(parents=True)
    Path("powertune.toml").write_text(
        'payload = "events/a.json"\nsave = "out/run.json"\noutput = ["r.md", "/abs/x.md"]\npython = "python3.12"\n'
        '[functions.inline]\npayload = \'{"a": 1}\'\n[functions.sample]\npayload = "@s3-put"\n'
        '[functions.stdin]\npayload = "-"\n[functions.bucket]\npayloads = "s3://a/b"\n',
        encoding="utf-8",
    )
    monkeypatch.chdir("shop/deep")
    found = load(Path.cwd(), {"POWERTUNE_CONFIG_DIR": "none"}, lambda: SCHEMA)
    dry_run = found.defaults_for("dry-run")
    assert dry_run["payload"].value == "../../events/a.json"
    assert dry_run["save"].value == "../../out/run.json"
    assert dry_run["output"].value == ["../../r.md", "/abs/x.md"]
    assert dry_run["python"].value == "python3.12"
    assert dry_run["save"].origin == "../../powertune.toml:2"
    assert found.function("inline").payload == '{"a": 1}'
    assert found.function("sample").payload == "@s3-put"
    assert found.function("stdin").payload == "-"
    assert found.function("bucket").payloads == "s3://a/b"


def test_the_nearest_folder_with_settings_counts_and_the_search_ends_at_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "repository/service/src"
    inner.mkdir(parents=True)
    (tmp_path / "repository/.git").mkdir()
    (tmp_path / "powertune.toml").write_text("tolerance = 1", encoding="utf-8")
    monkeypatch.chdir(inner)

    def tolerance() -> Any:
        found = load(inner, {"POWERTUNE_CONFIG_DIR": "none"}, lambda: SCHEMA).defaults_for("tune")
        return found["tolerance"].value if found else None

    assert tolerance() is None
    (tmp_path / "repository/pyproject.toml").write_text("[tool.powertune]\ntolerance = 2", encoding="utf-8")
    assert tolerance() == 2
    (inner.parent / "pyproject.toml").write_text("[tool.other]\nname = 'powertune'", encoding="utf-8")
    assert tolerance() == 2
    (inner.parent / "pyproject.toml").write_text("[tool.powertune]\ntolerance = 3", encoding="utf-8")
    assert tolerance() == 3


def test_a_pyproject_that_never_mentions_powertune_may_be_anything() -> None:
    assert not settings("this is no TOML", file="pyproject.toml").defaults_for("tune")


def test_powertune_toml_outranks_pyproject_beside_it_and_that_is_said() -> None:
    Path("pyproject.toml").write_text("[tool.powertune]\ntolerance = 2", encoding="utf-8")
    found = settings("tolerance = 3")
    assert found.defaults_for("tune")["tolerance"].value == 3
    assert [warning.message for warning in found.warnings] == [
        "powertune.toml counts, and the table in pyproject.toml:1 does not"
    ]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_left_out_and_that_is_said() -> None:
    Path("inner").mkdir()
    Path("powertune.toml").write_text("python = '/tmp/evil'", encoding="utf-8")
    os.chown("powertune.toml", 12345, -1)
    inner = Path("inner").resolve()
    found = load(inner, {"POWERTUNE_CONFIG_DIR": "none"}, lambda: SCHEMA)
    assert not found.defaults_for("dry-run")
    assert [(warning.code, warning.message) for warning in found.warnings] == [
        ("settings-of-others", "../powertune.toml belongs to another user, and is left out")
    ]
    os.chown(inner, 12345, -1)  # a checkout that belongs to somebody else altogether, as in a container
    assert load(inner, {"POWERTUNE_CONFIG_DIR": "none"}, lambda: SCHEMA).defaults_for("dry-run")


def test_nesting_without_end_is_an_error_like_another() -> None:
    nested = "a = " + "[" * 5000 + "]" * 5000
    assert "powertune.toml is no valid TOML" in complaint(nested)
    just_parsed = SettingsFile(Path("powertune.toml"), "powertune.toml", "project", {}, (), nested)
    assert just_parsed.origin("a") == "powertune.toml:1"


def test_a_file_that_is_far_too_large_for_settings_is_not_read_to_its_end() -> None:
    assert "powertune.toml is larger than 1 MB" in complaint("#" * 1_000_001)


def test_a_named_file_is_the_only_one_and_an_empty_name_stands_for_none() -> None:
    Path("user").mkdir()
    Path("user/config.toml").write_text("discount = 9", encoding="utf-8")
    Path("ci.toml").write_text("tolerance = 4", encoding="utf-8")
    named = settings("tolerance = 3\nsamples = 2", config="ci.toml").defaults_for("tune")
    assert {key: setting.value for key, setting in named.items()} == {"tolerance": 4}
    by_variable = settings("tolerance = 3", {"POWERTUNE_CONFIG": "ci.toml"}).defaults_for("tune")
    assert by_variable["tolerance"].origin == "ci.toml:1"
    assert settings("tolerance = 3", {"POWERTUNE_CONFIG": "ci.toml"}, config="").defaults_for("tune") == {}
    assert settings("tolerance = 3", {"POWERTUNE_CONFIG": ""}).defaults_for("tune") == {}
    with pytest.raises(BadInputError, match=r"none\.toml cannot be read"):
        settings(config="none.toml")
    Path("pyproject.toml").write_text("[project]\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"pyproject.toml has no table \[tool.powertune\]"):
        settings(config="pyproject.toml")
