"""How a function is deployed: environment variables and layers, and never a value in a message."""

import os
from pathlib import Path

import pytest

from powertune.errors import BadInputError, PowertuneError, UsageError
from powertune.sources.deployment import Deployment, checked_layers, environment_from, process_environment


def test_files_hold_one_variable_a_line_with_comments_quotes_and_exports(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "# settings\n\nSTAGE=test\n export TABLE = orders \nQUOTED=\"a # b\"\nSINGLE='x=y'\nEMPTY=\nNOTED=1 # one\n",
        encoding="utf-8",
    )
    assert environment_from([str(file)], []) == {
        "STAGE": "test",
        "TABLE": "orders",
        "QUOTED": "a # b",
        "SINGLE": "x=y",
        "EMPTY": "",
        "NOTED": "1",
    }


def test_pairs_count_before_files_and_later_ones_before_earlier_ones(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A=file\nB=file\n", encoding="utf-8")
    assert environment_from([str(file)], ["A=1", "A=2", "C=x=y"]) == {"A": "2", "B": "file", "C": "x=y"}


@pytest.mark.parametrize("pair", ["secret", "=secret", "A-B=secret", "1A=secret", "A=\0secret"])
def test_what_is_no_variable_is_refused_without_its_value(pair: str) -> None:
    with pytest.raises(PowertuneError) as caught:
        environment_from([], [pair])
    assert "secret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("content", [b"A=1\nsecret\n", b"\xffsecret", b"A B=secret\n"])
def test_a_file_that_is_none_is_refused_without_what_it_holds(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(BadInputError) as caught:
        environment_from([str(tmp_path / ".env")], [])
    assert "secret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("name", ["nowhere", "", "\0"])
def test_a_file_that_cannot_be_read_is_told_as_what_it_is(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError):
        environment_from([str(tmp_path / name)], [])


def test_layers_are_folders_and_no_more_than_lambda_takes(tmp_path: Path) -> None:
    assert checked_layers([str(tmp_path)]) == (str(tmp_path),)
    with pytest.raises(BadInputError):
        checked_layers([str(tmp_path / "nowhere")])
    with pytest.raises(UsageError):
        checked_layers([str(tmp_path)] * 6)


def test_the_user_s_variables_count_before_lambda_s_and_those_before_what_is_there() -> None:
    deployment = Deployment(environment={"A": "user"})
    found = process_environment({"A": "own", "B": "own", "C": "own"}, {"A": "lambda", "B": "lambda"}, deployment)
    assert (found["A"], found["B"], found["C"]) == ("user", "lambda", "own")
    assert found["TZ"] == ":UTC"


def test_another_interpreter_is_not_led_to_the_libraries_of_this_one() -> None:
    own = {"PYTHONPATH": "/ours", "VIRTUAL_ENV": "/ours", "PATH": "/bin"}
    assert "PYTHONPATH" not in process_environment(own, {}, Deployment(python="python3.9"))
    assert process_environment(own, {}, Deployment(isolate=True))["PYTHONPATH"] == "/ours"


def test_programs_and_libraries_of_layers_are_found_first_those_of_the_last_layer_before_all() -> None:
    found = process_environment({"PATH": "/bin"}, {}, Deployment(layers=("/one", "/two")))
    assert found["PATH"].split(os.pathsep) == ["/two/bin", "/one/bin", "/bin"]
    assert found["LD_LIBRARY_PATH"].split(os.pathsep) == ["/two/lib", "/one/lib"]


def test_the_values_of_a_deployment_are_not_in_its_text() -> None:
    assert "secret" not in repr(Deployment(environment={"KEY": "secret"}))


@pytest.mark.parametrize(
    ("environment", "words", "masked"),
    [
        ({"TOKEN": "abcdef"}, "bad token abcdef, abcdef", "bad token $TOKEN, $TOKEN"),
        ({"URL": "db://abcdef", "TOKEN": "abcdef"}, "no db://abcdef", "no $URL"),
        ({"KEY": "line one\nline two"}, "cannot read line one line two", "cannot read $KEY"),
        ({"DEBUG": "true", "BLANK": " " * 8, "NONE": ""}, "that is true", "that is true"),
        ({"TOKEN": "abcdef"}, "", ""),
    ],
)
def test_values_of_the_environment_are_told_by_name(environment: dict[str, str], words: str, masked: str) -> None:
    assert Deployment(environment=environment).masked(words) == masked
