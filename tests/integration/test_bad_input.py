"""Bad input of every kind gets one line that says what is wrong, one that says what to do, and the right exit code."""

import gzip
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import powertune as api
from powertune.cli.main import main
from powertune.errors import UsageError

HANDLERS = Path(__file__).with_name("handlers.py")
ENOUGH_S = 40
CSV = "memory_mb,duration_ms\n128,400.5\n256,200.5\n512,100.5\n"
REPORT = (
    "REPORT RequestId: {id}\tDuration: {ms} ms\tBilled Duration: {ms} ms\t"
    "Memory Size: {mb} MB\tMax Memory Used: 40 MB\t\n"
)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture(autouse=True)
def _own_process_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder of the test's own, and keep what handlers do to the process out of other tests."""
    monkeypatch.chdir(tmp_path)
    path, modules, environment = list(sys.path), set(sys.modules), dict(os.environ)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if Path(getattr(sys.modules[name], "__file__", None) or "").is_relative_to(tmp_path):
            del sys.modules[name]
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def powertune(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process and return what it left behind."""

    def run(*arguments: str) -> Done:
        capfd.readouterr()
        code = main(arguments)
        return Done(code, *capfd.readouterr())

    return run


@pytest.fixture
def handlers(tmp_path: Path) -> str:
    """Give the name of a fresh copy of the handlers, in the working directory."""
    name = f"handlers_{uuid.uuid4().hex}"
    shutil.copy(HANDLERS, tmp_path / f"{name}.py")
    return name


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write a file and return its name."""

    def write_file(content: str | bytes, name: str = "input.csv") -> str:
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
        return name

    return write_file


Write = Callable[..., str]


def assert_complains(done: Done, code: int, *words: str) -> None:
    """Assert that nothing but one complaint and its way out was printed, and what it says."""
    assert done.code == code, done
    assert done.out == ""
    lines = done.err.splitlines()
    assert len(lines) == 2, done.err
    assert lines[0].startswith("Error: ")
    assert lines[1].startswith("  ")
    assert lines[1].strip()
    assert done.err.isprintable() or set(filter(lambda char: not char.isprintable(), done.err)) == {"\n"}
    assert all(len(line) <= 1100 for line in lines)
    for word in words:
        assert word in done.err, done.err


# --- commands and options ---


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tuna"], ["tuna"]),
        (["--bogus"], ["--bogus", "powertune --help"]),
        (["dry-run"], ["HANDLER", "powertune dry-run --help"]),
        (["estimate"], ["FILES", "powertune estimate --help"]),
        (["estimate", "a.csv", "--bogus"], ["--bogus"]),
        (["dry-run", "a:b", "c:d"], ["c:d"]),
        (["dry-run", "a:b", "-m"], ["-m"]),
        (["estimate", "a.csv", "--strategy", "fastest"], ["fastest", "cost", "speed", "balanced"]),
        (["estimate", "a.csv", "--arch", "sparc"], ["sparc", "x86_64", "arm64"]),
        (["estimate", "a.csv", "--format", "jsn"], ["jsn", "json"]),
        (["estimate", "a.csv", "--format", "JSON"], ["JSON", "json"]),
        (["estimate", "a.csv", "--format", ""], ["''", "json"]),
        (["estimate", "a.csv", "--tolerance", "nan"], ["--tolerance", "nan"]),
        (["estimate", "a.csv", "--tolerance", "inf"], ["--tolerance", "inf"]),
        (["estimate", "a.csv", "--tolerance", "-1"], ["--tolerance", "-1"]),
        (["estimate", "a.csv", "--tolerance", "much"], ["--tolerance", "much"]),
        (["estimate", "a.csv", "--balanced-weight", "1.5"], ["--balanced-weight"]),
        (["estimate", "a.csv", "--balanced-weight", "nan"], ["--balanced-weight"]),
        (["estimate", "a.csv", "--max-duration", "-1"], ["--max-duration"]),
        (["estimate", "a.csv", "--max-duration", "nan"], ["--max-duration"]),
        (["estimate", "a.csv", "--max-cost", "inf"], ["--max-cost"]),
        (["estimate", "a.csv", "--price-gb-second", "-0.1"], ["--price-gb-second"]),
        (["estimate", "a.csv", "--price-gb-second", "nan"], ["--price-gb-second"]),
        (["estimate", "a.csv", "--price-request", "inf"], ["--price-request"]),
        (["estimate", "a.csv", "--gb-seconds-per-month", "nan"], ["--gb-seconds-per-month"]),
        (["estimate", "a.csv", "--cold-start-rate", "101"], ["--cold-start-rate"]),
        (["estimate", "a.csv", "--cold-start-rate", "nan"], ["--cold-start-rate"]),
        (["estimate", "a.csv", "--ephemeral-storage", "511"], ["--ephemeral-storage"]),
        (["estimate", "a.csv", "--ephemeral-storage", "10241"], ["--ephemeral-storage"]),
        (["estimate", "a.csv", "--current", "127"], ["--current", "127"]),
        (["estimate", "a.csv", "--current", "10241"], ["--current", "10241"]),
        (["estimate", "a.csv", "--current", "512.5"], ["--current", "512.5"]),
        (["dry-run", "a:b", "-n", "0"], ["--samples"]),
        (["dry-run", "a:b", "-n", "10001"], ["--samples"]),
        (["dry-run", "a:b", "-n", "many"], ["--samples", "many"]),
        (["dry-run", "a:b", "--timeout", "0"], ["--timeout"]),
        (["dry-run", "a:b", "--timeout", "901"], ["--timeout"]),
        (["dry-run", "a:b", "--timeout", "nan"], ["--timeout", "nan"]),
        (["prices", "--region", "us-east1"], ["us-east1", "us-east-1"]),
        (["prices", "--format", "markdown"], ["markdown", "table"]),
    ],
    ids=" ".join,
)
def test_a_wrong_command_or_option_is_a_usage_error(powertune: Command, arguments: list[str], words: list[str]) -> None:
    assert_complains(powertune(*arguments), 2, *words)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ("127", ["127 MB", "128 to 10240"]),
        ("10241", ["10241 MB", "128 to 10240"]),
        ("0", ["0 MB"]),
        ("-128", ["-128"]),
        ("abc", ["abc"]),
        ("", ["no memory size"]),
        (" ", ["no memory size"]),
        (",", ["no memory size"]),
        ("128,", ["no memory size"]),
        ("128,,256", ["no memory size"]),
        ("128,128", ["128 MB", "twice"]),
        ("128.5", ["128.5"]),
        ("1e3", ["1e3"]),
        ("128..256:0", ["step 0"]),
        ("256..128", ["256..128", "empty", "128..256:64"]),
        ("100..256", ["100 MB"]),
        ("128..99999999999999999999", ["MB"]),
        ("99999999999999999999", ["MB"]),
        ("128..", ["128.."]),
        ("..256", ["..256"]),
        ("128..256:", ["128..256:"]),
        ("128..256:-64", ["128..256:-64"]),
        ("128-256", ["128-256"]),
        ("128MB", ["128MB"]),
        ("\N{ARABIC-INDIC DIGIT ONE}\N{ARABIC-INDIC DIGIT TWO}\N{ARABIC-INDIC DIGIT EIGHT}", ["not a memory size"]),
        ("\N{SUPERSCRIPT TWO}128", ["not a memory size"]),
        ("128;256", ["128;256"]),
        ("1" * 5000, ["MB"]),
        ("all,128", ["all"]),
    ],
)
@pytest.mark.parametrize("command", [["dry-run", "nowhere:handler"], ["estimate", "nowhere.csv"]], ids=" ".join)
def test_wrong_memory_sizes_are_usage_errors(
    powertune: Command, command: list[str], sizes: str, words: list[str]
) -> None:
    assert_complains(powertune(*command, "-m", sizes), 2, *words)


@pytest.mark.parametrize("digits", ["\N{ARABIC-INDIC DIGIT ONE}28..256", "128..\N{FULLWIDTH DIGIT TWO}56"])
def test_digits_of_other_scripts_are_no_memory_sizes_in_ranges_either(powertune: Command, digits: str) -> None:
    assert_complains(powertune("estimate", "nowhere.csv", "-m", digits), 2, "not a memory size")


@pytest.mark.parametrize(
    ("region", "near"), [("us-east1", "us-east-1"), ("eu-centrall-1", "eu-central-1"), ("US-EAST-1", "us-east-1")]
)
def test_an_unknown_region_is_told_with_those_that_are_near(
    powertune: Command, write: Write, region: str, near: str
) -> None:
    assert_complains(powertune("estimate", write(CSV), "--region", region), 2, region, near)


def test_a_wrong_region_in_the_environment_is_told_with_the_variable_it_came_from(
    powertune: Command, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "mars-1")
    assert_complains(powertune("estimate", write(CSV)), 2, "mars-1", "AWS_REGION")


@pytest.mark.parametrize("option", ["--price-gb-second", "--price-request", "--gb-seconds-per-month"])
def test_a_price_too_large_for_arithmetic_is_no_bug(powertune: Command, write: Write, option: str) -> None:
    for format_name in ("table", "json", "csv", "markdown"):
        done = powertune("estimate", write(CSV), option, "1e308", "-f", format_name)
        assert done.code in (0, 2)
        if done.code:
            assert_complains(done, 2)


def test_a_usage_error_comes_before_any_work(powertune: Command, handlers: str, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    for wrong in (["-f", "pdf"], ["-m", "1"], ["--region", "mars-1"], ["-o", "x.pdf"], ["-o", "no/folder/x.csv"]):
        done = powertune("dry-run", f"{handlers}:counts_calls", "-p", json.dumps({"to": str(calls)}), *wrong)
        assert done.code == 2
        assert not calls.exists(), wrong


# --- handlers ---


@pytest.mark.parametrize(
    "handler",
    [
        "",
        "handler",
        ":",
        ":handler",
        "module:",
        "a..b:handler",
        "1module:handler",
        "my-function:handler",
        "a:b:c",
        "module:handle r",
        "my-function/app.handler",
        "../app.handler",
        "/abs/app.handler",
        "a:b()",
        "x" * 100_000,
        "[bold]a[/]:b",
        "app.py",
        "\N{RIGHT-TO-LEFT OVERRIDE}a:b",
        "a.b\n:c",
    ],
)
def test_what_cannot_be_the_name_of_a_handler_is_a_usage_error(powertune: Command, handler: str) -> None:
    done = powertune("dry-run", "--", handler)
    assert done.code in (2, 3), done
    assert_complains(done, done.code)


@pytest.mark.parametrize(
    "handler", ["nowhere:handler", "json.nowhere:handler", "json.decoder.nowhere:f", "nowhere.at.all:f", "import:f"]
)
def test_a_module_that_is_not_there_is_bad_input(powertune: Command, handler: str) -> None:
    assert_complains(powertune("dry-run", handler), 3, handler.partition(":")[0].split(".")[0], "PYTHONPATH")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("answerz", ["answerz", "answers"]),
        ("zzzz", ["zzzz", "it has: "]),
        ("HOSTILE", ["HOSTILE", "not a function"]),
        ("calls", ["calls", "not a function"]),
        ("calls.real.imag.x", ["no function 'x'"]),
        ("HOSTILE.nothing", ["no function 'nothing'"]),
        ("UnspeakableError.handler", ["no function 'handler'"]),
        ("leaked.handler", ["no function 'handler'"]),
    ],
)
def test_a_function_that_is_not_there_is_bad_input(
    powertune: Command, handlers: str, function: str, words: list[str]
) -> None:
    assert_complains(powertune("dry-run", f"{handlers}:{function}"), 3, *words)


def test_a_module_without_functions_is_bad_input(powertune: Command, write: Write) -> None:
    write("", "bare.py")
    assert_complains(powertune("dry-run", "bare:handler"), 3, "bare", "no functions")


def test_a_module_that_makes_up_its_attributes_is_bad_input(powertune: Command, write: Write) -> None:
    write("def __getattr__(name):\n    raise RuntimeError('boo')\n", "haunted_module.py")
    done = powertune("dry-run", "haunted_module:handler")
    assert done.code in (3, 5)
    assert_complains(done, done.code, "haunted_module")


def test_a_folder_is_no_module(powertune: Command, tmp_path: Path) -> None:
    (tmp_path / "some_folder").mkdir()
    assert_complains(powertune("dry-run", "some_folder:handler"), 3, "some_folder")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import a_dependency_that_is_missing", ["a_dependency_that_is_missing", "install"]),
        ("from json import nothing_of_that_name", ["nothing_of_that_name"]),
        ("raise ValueError('bad at import')", ["ValueError: bad at import", "init"]),
        ("raise ValueError('line one\\nline two')", ["line one line two"]),
        ("raise ValueError('x' * 1000000)", ["ValueError: xxx"]),
        ("raise ValueError('\\x1b[31mred\\u202e')", ["\\x1b[31mred\\u202e"]),
        ("raise ModuleNotFoundError('by hand')", ["by hand"]),
        ("raise ModuleNotFoundError", ["ModuleNotFoundError"]),
        ("raise ImportError", ["ImportError"]),
        ("raise SystemError", ["SystemError"]),
        ("raise StopIteration", ["StopIteration"]),
        ("raise GeneratorExit", ["GeneratorExit"]),
        ("raise BrokenPipeError('gone')", ["gone"]),
        ("class E(Exception):\n    def __str__(self): raise RuntimeError\nraise E", ["E"]),
        ("import sys; sys.exit(0)", ["sys.exit(0)"]),
        ("import sys; sys.exit('\\x1b[31mstop')", ["sys.exit(\\x1b[31mstop)"]),
        ("import os; os.environ.clear(); raise KeyError('HOME')", ["KeyError"]),
        ("print('noise'); raise ValueError('after noise')", ["after noise"]),
        ("def broken(:", ["SyntaxError"]),
        ("def f(): return '\\ud800'\nraise ValueError(f())", ["ValueError"]),
        ("def f(): f()\nf()", ["RecursionError"]),
        ("import typer; raise typer.Exit(0)", ["Exit"]),
        ("import typer; raise typer.Abort()", ["Abort"]),
        ("from powertune.errors import UsageError; raise UsageError('mine', hint='ha')", ["mine"]),
        ("raise KeyboardInterruptError", ["NameError"]),
    ],
)
def test_a_module_that_cannot_be_imported_is_a_function_that_failed(
    powertune: Command, write: Write, source: str, words: list[str]
) -> None:
    name = f"broken_{uuid.uuid4().hex}"
    write(source + "\n", f"{name}.py")
    assert_complains(powertune("dry-run", f"{name}:handler"), 5, name, *words)


@pytest.mark.parametrize("content", [b"x = 1\0\n", b"\xff\xfe\0", b"x = '\xe9'\n", os.urandom(100) + b"\0"])
def test_a_module_that_is_no_text_is_a_function_that_failed(powertune: Command, write: Write, content: bytes) -> None:
    name = f"broken_{uuid.uuid4().hex}"
    write(content, f"{name}.py")
    assert_complains(powertune("dry-run", f"{name}:handler"), 5, name)


def test_a_module_that_only_imports_once_is_told_as_such(powertune: Command, write: Write) -> None:
    name = f"once_{uuid.uuid4().hex}"
    write(
        "import pathlib\nif pathlib.Path('imported').exists(): raise ValueError\npathlib.Path('imported').touch()\n"
        "def handler(event, context): return 1\n",
        f"{name}.py",
    )
    assert_complains(powertune("dry-run", f"{name}:handler", "-n", "1"), 5, name, "fresh interpreter")


# --- payloads ---


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ("{", ["line 1, column 2"]),
        ("{'a': 1}", ["not JSON"]),
        ('{"a": 1,}', ["not JSON"]),
        ('{"a": 1} x', ["not JSON"]),
        ("[" * 100_000, ["not JSON"]),
        ('"' + "x" * 7_000_000 + '"', ["6 MB"]),
        ("nowhere.json", ["no payload file nowhere.json"]),
        ("no/where.json", ["no payload file no/where.json"]),
        ("{}/x", ["not JSON"]),
        ("x" * 300, ["xxx"]),
        ("x" * 5000, ["xxx"]),
        ("NaN", ["NaN"]),
        ('{"a": NaN}', ["not JSON"]),
        ('{"a": -Infinity}', ["not JSON"]),
        ("[1e999]", ["1e999", "not JSON"]),
        ("1" * 5000, ["111"]),
        ("@nowhere", ["@nowhere", "@s3-put"]),
        ("@s3-putt", ["@s3-putt", "s3-put"]),
        ("@S3-PUT", ["@S3-PUT", "s3-put"]),
        ("@s3-put.json", ["s3-put"]),
        ("@", ["@s3-put"]),
        ("@../sample_payloads/s3-put", ["s3-put"]),
        ("@/etc/passwd", ["@s3-put"]),
        ("@" + "x" * 10_000, ["@s3-put"]),
        ("@\x1b[31m", ["\\x1b[31m"]),
        ("\x1b]0;title\x07", ["\\x1b]0;title\\x07"]),
        (".", ["folder", "directory"]),
        ("", ["payload"]),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_a_payload_that_is_none_is_bad_input(powertune: Command, handlers: str, payload: str, words: list[str]) -> None:
    done = powertune("dry-run", f"{handlers}:answers", "-n", "1", "-p", payload)
    assert done.code == 3, done
    assert_complains(done, 3)
    if not any(word in done.err for word in words):
        assert_complains(done, 3, words[0])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["event.json", "not JSON"]),
        (b"\n\n{\n  oops\n}", ["event.json", "line 4, column 3"]),
        (b"\xff\xfe{\0}\0", ["event.json", "UTF-8"]),
        (b'{"a": "\xe9"}', ["event.json", "UTF-8"]),
        (b"\x89PNG\r\n\x1a\n\0\0", ["event.json"]),
        (gzip.compress(b"{}", mtime=0), ["event.json"]),
        (b'"' + b"x" * 6_291_456 + b'"', ["event.json", "6 MB"]),
        (b'{"a": NaN}', ["event.json", "not JSON"]),
        (b'{"a": 1}{"b": 2}', ["event.json", "not JSON"]),
        (b"[" * 1_000_000, ["event.json", "not JSON"]),
    ],
    ids=lambda value: repr(value[:12]) if isinstance(value, bytes) else None,
)
def test_a_payload_file_that_holds_none_is_bad_input(
    powertune: Command, handlers: str, write: Write, content: bytes, words: list[str]
) -> None:
    write(content, "event.json")
    assert_complains(powertune("dry-run", f"{handlers}:answers", "-p", "event.json"), 3, *words)


@pytest.mark.parametrize("depth", [330, 900, 1000, 50_000])
def test_a_deep_payload_is_either_taken_or_refused(powertune: Command, handlers: str, write: Write, depth: int) -> None:
    write("[" * depth + "]" * depth, "deep.json")
    done = powertune("dry-run", f"{handlers}:answers", "-n", "1", "-m", "1024", "-q", "-p", "deep.json")
    assert done.code in (0, 3), done
    if done.code:
        assert_complains(done, 3, "deep.json")


@pytest.mark.parametrize("payload", ["null", "-1.5e3", '"text"', " [] ", '"\\ud800"', '{"a": {"b": [1, null]}}'])
def test_any_json_value_is_a_payload(powertune: Command, handlers: str, payload: str) -> None:
    done = powertune("dry-run", f"{handlers}:answers", "-n", "1", "-m", "1024", "-p", payload)
    assert done.code == 0, done.err


def test_a_payload_file_may_start_with_a_byte_order_mark(powertune: Command, handlers: str, write: Write) -> None:
    write(b"\xef\xbb\xbf{}", "event.json")
    assert powertune("dry-run", f"{handlers}:answers", "-n", "1", "-m", "1024", "-p", "event.json").code == 0


def test_a_payload_of_almost_6_mb_is_taken(powertune: Command, handlers: str, write: Write) -> None:
    write(b'"' + b"x" * 6_291_000 + b'"', "event.json")
    assert powertune("dry-run", f"{handlers}:answers", "-n", "1", "-m", "1024", "-p", "event.json").code == 0


def test_a_payload_that_cannot_be_read_is_bad_input(powertune: Command, handlers: str, tmp_path: Path) -> None:
    (tmp_path / "loop.json").symlink_to("loop.json")
    assert_complains(powertune("dry-run", f"{handlers}:answers", "-p", "loop.json"), 3, "loop.json")


def test_a_payload_without_end_is_refused_once_it_is_too_large(handlers: str) -> None:
    # With less memory than an endless device would fill: reading it whole ends in an error of Python's.
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30));"
        "from powertune.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "dry-run", f"{handlers}:answers", "-p", "/dev/zero"],
        capture_output=True,
        text=True,
        timeout=ENOUGH_S,
        check=False,
    )
    assert_complains(Done(done.returncode, done.stdout, done.stderr), 3, "/dev/zero", "6 MB")


# --- known durations ---


@pytest.mark.parametrize(
    "known",
    [
        "512",
        "512=",
        "512=abc",
        "512=0",
        "512=-1",
        "512=nan",
        "512=inf",
        "512=990001",
        "100=5",
        "10241=5",
        "=5",
        "512==5",
        "abc=5",
        "512.5=5",
        "-512=5",
        "nowhere.log",
        "",
        "512=5,256=9",
        "x" * 300,
        "x" * 5000,
        "\N{ARABIC-INDIC DIGIT FIVE}12=9",
        "512:143",
        "9" * 5000 + "=1",
        "\x1b[31m=5",
        "512=\x1b[31m",
        "512=1e400",
    ],
)
def test_a_known_duration_that_is_none_is_a_usage_error(powertune: Command, handlers: str, known: str) -> None:
    assert_complains(powertune("dry-run", f"{handlers}:answers", "--duration-at", known), 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["anchors.log", "empty"]),
        ("nothing of interest\n", ["anchors.log", "REPORT"]),
        ("memory_mb,duration_ms\n512,abc\n", ["anchors.log", "line 2"]),
        ("memory_mb,duration_ms\n512,0\n", ["anchors.log"]),
        (REPORT.format(id=1, ms=0, mb=512), ["anchors.log"]),
        (REPORT.format(id=1, ms=5, mb=512).rstrip() + "\tStatus: timeout\n", ["anchors.log", "no successful run"]),
    ],
)
def test_a_file_of_known_durations_without_any_is_bad_input(
    powertune: Command, handlers: str, write: Write, content: str, words: list[str]
) -> None:
    write(content, "anchors.log")
    assert_complains(powertune("dry-run", f"{handlers}:answers", "--duration-at", "anchors.log"), 3, *words)


def test_a_folder_of_known_durations_is_bad_input(powertune: Command, handlers: str, tmp_path: Path) -> None:
    (tmp_path / "anchors").mkdir()
    assert_complains(powertune("dry-run", f"{handlers}:answers", "--duration-at", "anchors"), 3, "folder")


def test_one_size_with_two_known_durations_is_a_usage_error(powertune: Command, handlers: str) -> None:
    done = powertune("dry-run", f"{handlers}:answers", "--duration-at", "512=100", "--duration-at", "512=900")
    assert_complains(done, 2, "512")


# --- outputs ---


@pytest.mark.parametrize(
    "output", ["result.pdf", "result", ".json", "", "result.json ", "result.json.gz", "\x1b[31m.pdf", "x" * 500]
)
def test_a_file_in_no_known_format_is_a_usage_error(powertune: Command, write: Write, output: str) -> None:
    assert_complains(powertune("estimate", write(CSV), "-o", output), 2, ".json", ".csv", ".md")


@pytest.mark.parametrize("option", ["-o", "--save"])
@pytest.mark.parametrize("output", ["no/folder/out.json", "input.csv/out.json", "\x1b[31m/out.json"])
def test_a_file_in_a_folder_that_is_not_there_is_a_usage_error(
    powertune: Command, write: Write, option: str, output: str
) -> None:
    assert_complains(powertune("estimate", write(CSV), option, output), 2, "folder")


@pytest.mark.parametrize("option", ["-o", "--save"])
@pytest.mark.parametrize("output", ["taken.json", f"{'x' * 300}.json", "unwritable/out.json"])
def test_a_file_that_cannot_be_written_is_told_before_the_handler_is_called(
    powertune: Command, handlers: str, tmp_path: Path, option: str, output: str
) -> None:
    calls = tmp_path / "calls"
    (tmp_path / "taken.json").mkdir()
    # Not even the superuser can write to the second.
    (tmp_path / "unwritable").symlink_to("/proc" if Path("/proc/self").exists() else "/System")
    done = powertune(
        "dry-run", f"{handlers}:counts_calls", "-n", "1", "-p", json.dumps({"to": str(calls)}), option, output
    )
    assert done.code in (2, 3)
    assert_complains(done, done.code, output[:50])
    assert not calls.exists()


def test_an_empty_name_to_save_to_is_a_usage_error(powertune: Command, write: Write) -> None:
    assert_complains(powertune("estimate", write(CSV), "--save", ""), 2)


def test_a_failed_output_leaves_no_temporary_file(powertune: Command, write: Write, tmp_path: Path) -> None:
    (tmp_path / "taken.json").mkdir()
    assert powertune("estimate", write(CSV), "-o", "taken.json").code in (2, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input.csv", "taken.json"]


def test_the_input_is_never_overwritten(powertune: Command, write: Write, tmp_path: Path) -> None:
    name = write(CSV)
    for output in (name, f"./{name}", str(tmp_path / name)):
        assert_complains(powertune("estimate", name, "-o", output), 2, name)
    assert_complains(powertune("estimate", name, "--save", name), 2, name)
    assert (tmp_path / name).read_text(encoding="utf-8") == CSV


def test_what_is_no_regular_file_is_never_replaced(powertune: Command, write: Write, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        powertune("estimate", write(CSV), "--save", str(pipe))
        assert stat.S_ISFIFO(pipe.stat().st_mode)
    finally:
        os.close(reader)


# --- recordings ---


def test_a_recording_that_is_not_there_is_bad_input(powertune: Command) -> None:
    for name in ("nowhere.csv", "no/where.csv", "x" * 300, "\x1b[31m\n.csv", "@s3-put"):
        assert_complains(powertune("estimate", name), 3)


def test_a_folder_is_no_recording(powertune: Command) -> None:
    for name in (".", "", "/"):
        assert_complains(powertune("estimate", name), 3, "folder")


def test_a_missing_file_among_several_is_named(powertune: Command, write: Write) -> None:
    assert_complains(powertune("estimate", write(CSV), "nowhere.csv"), 3, "nowhere.csv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty"]),
        (b"\n \n\t\n", ["empty"]),
        (b"\xef\xbb\xbf", ["empty"]),
        (b"\xff\xfe", ["empty"]),
        (b"memory_mb,duration_ms\n", ["no rows"]),
        (b"memory_mb,duration_ms\n\n,\n", ["no rows"]),
        (b"memory_mb,latency\n128,5\n", ["no column duration_ms", "memory_mb, latency"]),
        (b"size_in_mb,duration_ms\n128,5\n", ["no column memory_mb", "size_in_mb, duration_ms"]),
        (b"a,b\n1,2\n", ["no column memory_mb", "no column duration_ms", "a, b"]),
        (b"a;b\n1;2\n", ["no column memory_mb", "a, b"]),
        (b"\x1b[31m,b\n1,2\n", ["\\x1b[31m, b"]),
        (b"128,5\n256,4\n", ["no column memory_mb"]),
        (b"memory_mb,duration_ms\n128,-1\n", ["line 2", "-1"]),
        (b"memory_mb,duration_ms\n128,nan\n", ["line 2", "nan"]),
        (b"memory_mb,duration_ms\n128,inf\n", ["line 2", "inf"]),
        (b"memory_mb,duration_ms\n128,fast\n", ["line 2", "fast"]),
        (b"memory_mb,duration_ms\n128,\n", ["line 2", "no duration"]),
        (b"memory_mb,duration_ms\n128\n", ["line 2", "no duration"]),
        (b"memory_mb,duration_ms\n,5\n", ["line 2", "no memory size"]),
        (b"memory_mb,duration_ms\n128,1e9\n", ["line 2", "1e9", "milliseconds"]),
        (b"memory_mb,duration_ms\n127,5\n", ["line 2", "127"]),
        (b"memory_mb,duration_ms\n10241,5\n", ["line 2", "10241"]),
        (b"memory_mb,duration_ms\n128.5,5\n", ["line 2", "128.5"]),
        (b"memory_mb,duration_ms\n128 GB,5\n", ["line 2", "128 GB"]),
        (b"memory_mb,duration_ms\n128,5 s\n", ["line 2", "5 s"]),
        (b'memory_mb,duration_ms\n128,"1,500.2"\n', ["line 2", "1,500.2"]),
        (b"memory_mb,duration_ms\n128,5\n256,x\n", ["line 3", "x"]),
        (b"memory_mb,duration_ms\n\n\n128,x\n", ["line 4", "x"]),
        (b"\n\nmemory_mb,duration_ms\n128,x\n", ["line 4", "x"]),
        (b"memory_mb,duration_ms\r\n128,5\r\n256,x\r\n", ["line 3", "x"]),
        (b"memory_mb,duration_ms\r128,5\r256,x\r", ["line 3", "x"]),
        (b'memory_mb,duration_ms,note\n128,5,"two\nlines"\n256,x,\n', ["line 4", "x"]),
        (b'memory_mb,duration_ms\n128,"5\n256,6\n512,7\n', ["input.csv"]),
        (b'memory_mb,duration_ms,note\n128,5,"unbalanced\n256,6,\n512,7,\n', ["input.csv", "line"]),
        (b"memory_mb,duration_ms\n128,5\0\n", ["input.csv"]),
        (b"memory_mb,duration_ms\n" + b"128,5\n" * 20_000 + b"128,5\0\n", ["line 20002"]),
        (b"memory_mb,duration_ms\n128," + b"5" * 1_000_000 + b"\n", ["line 2"]),
        (b"x" * 1_000_000, ["input.csv"]),
        (b"x" * 1_000_001 + b"\n" + b"y" * 1_000_001, ["input.csv"]),
        (b"memory_mb,duration_ms," + b"x" * 1_000_000 + b"\n128,5,1\n", ["input.csv"]),
        (b"memory_mb," * 200_000 + b"\n", ["input.csv"]),
        (b'"' + b"x\n" * 500_000, ["input.csv"]),
        (b"memory_mb,duration_ms,n\n128,5,0\n", ["line 2", "0"]),
        (b"memory_mb,duration_ms,n\n128,5,1.5\n", ["line 2", "1.5"]),
        (b"memory_mb,duration_ms,n\n128,5,-3\n", ["line 2", "-3"]),
        (b"memory_mb,mean_ms,stddev\n128,5,-3\n", ["line 2", "-3"]),
        (b"memory_mb,duration_ms,init_ms\n128,5,soon\n", ["line 2", "soon"]),
        (b"memory_mb,duration_ms,billed_ms\n128,5,-1\n", ["line 2", "-1"]),
        (b"memory_mb,duration_ms,max_memory_used_mb\n128,5,much\n", ["line 2", "much"]),
        (b"memory_mb,duration_ms,region\n128,5,mars-1\n", ["mars-1"]),
        (b"memory_mb,duration_ms,architecture\n128,5,sparc\n", ["sparc"]),
        (b"memory_mb,duration_ms\n128,\x1b[2J\n", ["line 2", "\\x1b[2J"]),
        (b"memory_mb,duration_ms\n128,\xe9\n", ["line 2"]),
        (b"memory_mb\0,duration_ms\n", ["binary"]),
        (b"\x89PNG\r\n\x1a\n\0\0", ["binary"]),
        (b"PK\x03\x04\x14\0\x06\0", ["binary"]),
        (b"BZh91AY&SYabcdef", ["input.csv"]),
        ("memory_mb,duration_ms\n128,5\n".encode("utf-16-le"), ["binary"]),
        ("memory_mb,duration_ms\n128,x\n".encode("utf-16"), ["line 2"]),
        ("memory_mb,duration_ms\n128,5\n".encode("utf-32"), ["input.csv"]),
        ("memory_mb,duration_ms\n128,5\n".encode("utf-16")[:-1], ["input.csv"]),
        (b"\x1f\x8b", ["compressed", "damaged"]),
        (b"\x1f\x8b" + b"x" * 100, ["compressed", "damaged"]),
        (gzip.compress(CSV.encode(), mtime=0)[:-10], ["compressed", "damaged"]),
        (gzip.compress(CSV.encode(), mtime=0)[:-4] + b"\1\2\3\4", ["compressed", "damaged"]),
        (gzip.compress(CSV.encode(), mtime=0) + b"trailing", ["compressed", "damaged"]),
        (gzip.compress(b"", mtime=0), ["empty"]),
        (gzip.compress(gzip.compress(CSV.encode(), mtime=0), mtime=0), ["input.csv"]),
        (b"[]", ["input.csv"]),
        (b"{}", ["input.csv"]),
        (b"null", ["input.csv"]),
        (b"[1, 2]", ["input.csv"]),
        (b'[{"memory_mb": 128}]', ["input.csv", "no duration"]),
        (b'[{"memory_mb": 128, "duration_ms": 5}', ["input.csv"]),
        (b'[{"memory_mb": 128, "duration_ms": 5},\n{"memory_mb": 128, "duration_ms": -5}]', ["-5"]),
        (b'[\n{"memory_mb": 128, "duration_ms": 5},\n', ["input.csv", "not JSON"]),
        (b"[\n" + b"[" * 100_000, ["input.csv", "not JSON"]),
        (b'{"memory_mb": 128, "duration_ms": 5}\n{"memory_mb": 128, "durat', ["line 2"]),
        (b'{"memory_mb": 128, "duration_ms": 5}\n\n[1]\n', ["line 3"]),
        (b'{"memory_mb": 128, "duration_ms": true}\n', ["line 1", "True"]),
        (b'{"memory_mb": 128, "duration_ms": null}\n', ["line 1", "no duration"]),
        (b'{"memory_mb": 128, "duration_ms": [5]}\n', ["line 1"]),
        (b'{"memory_mb": 128, "duration_ms": NaN}\n', ["line 1"]),
        (b'{"memory_mb": 128, "duration_ms": 1e999}\n', ["line 1"]),
        (b'{"memory_mb": 128, "duration_ms": ' + b"9" * 400 + b"}\n", ["line 1"]),
        (b'{"memory_mb": 128, "duration_ms": ' + b"9" * 5000 + b"}\n", ["input.csv"]),
        (b'{"memory_mb": 128, "duration_ms": 5}\n{"memory_mb": {"a": ' + b"[" * 100_000 + b"}\n", ["line 2"]),
        (b"<html><body>Sign in</body></html>", ["REPORT"]),
        (b"START RequestId: 1 Version: $LATEST\nEND RequestId: 1\n", ["REPORT"]),
        (b"REPORT RequestId: 1\tDuration: 5 ms\n", ["1 REPORT record", "none of them whole"]),
        (b"REPORT RequestId: 1\tDuration: 5 ms\nREPORT RequestId: 2\tDur\n", ["2 REPORT records"]),
        (REPORT.format(id=1, ms=5, mb=64).encode(), ["REPORT"]),
        (REPORT.format(id=1, ms="NaN", mb=128).encode(), ["REPORT"]),
        (b'{"type":"platform.report","record":{"requestId":"1"}}\n', ["1 REPORT record"]),
        (
            b'{"type":"platform.report","record":{"requestId":"1","metrics":{"durationMs":'
            + b"9" * 400
            + b',"billedDurationMs":1,"memorySizeMB":128,"maxMemoryUsedMB":40}}}\n',
            ["1 REPORT record"],
        ),
        (
            b'{"type":"platform.report","record":{"requestId":"1","metrics":{"durationMs":1,'
            b'"billedDurationMs":1,"memorySizeMB":' + b"9" * 4000 + b',"maxMemoryUsedMB":40}}}\n',
            ["1 REPORT record"],
        ),
    ],
    ids=lambda value: repr(value[:40] + value[-20:]) if isinstance(value, bytes) else "",
)
def test_a_recording_that_holds_none_is_bad_input(
    powertune: Command, write: Write, content: bytes, words: list[str]
) -> None:
    assert_complains(powertune("estimate", write(content)), 3, *words)


@pytest.mark.parametrize("seed", range(25))
def test_damaged_recordings_never_end_in_a_bug(powertune: Command, write: Write, seed: int) -> None:
    rnd = random.Random(seed)  # noqa: S311 - no secret hangs on it
    lines = [REPORT.format(id=number, ms=rnd.uniform(1, 900), mb=2 ** rnd.randint(7, 12)) for number in range(8)]
    rows = [f"{2 ** rnd.randint(7, 12)},{rnd.uniform(1, 900)},{rnd.randint(1, 9)}\n" for _ in range(8)]
    data = bytearray(rnd.choice(["".join(lines), "memory_mb,duration_ms,n\n" + "".join(rows)]).encode())
    for _ in range(rnd.randint(1, 20)):
        place = rnd.randrange(len(data) + 1)
        match rnd.randint(0, 4):
            case 0:
                data[place : place + 1] = bytes([rnd.randrange(256)])
            case 1:
                del data[place : place + rnd.randint(1, 30)]
            case 2:
                data[place:place] = rnd.choice([b"\n", b'"', b",", b"\0", b"9" * 30, b"-", b"e", b"\xff", b"{"])
            case 3:
                data[place:place] = data[: rnd.randint(1, 60)]
            case _:
                data = data[: max(1, place)]
    for options in ([], ["--skip-invalid"], ["-m", "128,200,3000"]):
        done = powertune("estimate", write(bytes(data)), "-f", "json", *options)
        assert done.code in (0, 3, 5), (bytes(data), done)
        if done.code == 3:
            assert_complains(done, 3)
        else:
            json.loads(done.out)


@pytest.mark.parametrize("seed", range(25))
def test_damaged_run_files_never_end_in_a_bug(
    powertune: Command, write: Write, saved_run: dict[str, Any], seed: int
) -> None:
    rnd = random.Random(seed)  # noqa: S311 - no secret hangs on it
    odd: list[Any] = [None, True, 0, -1, 1e308, 1e-320, 10**400, "", "x", "ok", [], {}, [1], 10240, float("nan")]
    for _ in range(rnd.randint(1, 3)):
        place: Any = saved_run
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = rnd.choice(keys)
            if isinstance(place[key], dict | list) and rnd.random() < 0.8:
                place = place[key]
                continue
            if rnd.random() < 0.2:
                del place[key]
            else:
                place[key] = json.loads(json.dumps(rnd.choice(odd)))
            break
    name = write(json.dumps(saved_run, indent=rnd.choice([None, 1])), "run.json")
    for options in ([], ["-m", "128,200,3000", "--current", "300"]):
        done = powertune("estimate", name, "-f", "json", *options)
        assert done.code in (0, 3, 5), done
        if done.code == 3:
            assert_complains(done, 3)
        else:
            json.loads(done.out)


@pytest.mark.parametrize(
    "rows", ["128,0\n256,0\n", "128,0\n256,5\n512,3\n", "128,1e-320\n256,5\n", "128,990000\n256,0\n"]
)
@pytest.mark.parametrize("sizes", [[], ["-m", "128,192,256,1024"]], ids=["recorded", "predicted"])
@pytest.mark.parametrize("format_name", ["table", "json", "csv", "markdown"])
def test_durations_of_next_to_nothing_are_no_bug(
    powertune: Command, write: Write, rows: str, sizes: list[str], format_name: str
) -> None:
    done = powertune(
        "estimate", write(f"memory_mb,duration_ms\n{rows}"), *sizes, "-f", format_name, "--current", "256", "-s", "cost"
    )
    assert done.code in (0, 3)
    if done.code:
        assert_complains(done, 3)


@pytest.mark.parametrize("count", ["1e15", "1e300", "1e308", "9" * 400])
def test_counts_beyond_all_measure_are_no_bug(powertune: Command, write: Write, count: str) -> None:
    name = write(f"memory_mb,mean_ms,n,stddev\n128,5.5,{count},1\n128,6.5,{count},1\n256,4.5,3,1\n")
    done = powertune("estimate", name, "-f", "json")
    assert done.code in (0, 3)
    if done.code:
        assert_complains(done, 3, "line 2")


def test_two_functions_in_one_file_are_more_than_an_estimate_of_one_takes(write: Write) -> None:
    name = write("function,memory_mb,duration_ms\norders,128,5\nbilling,128,6\n")
    with pytest.raises(UsageError, match="2 functions: billing, orders") as caught:
        api.estimate(name)
    assert "--function" in caught.value.hint


def test_many_functions_in_one_file_are_counted(write: Write) -> None:
    rows = "".join(f"f{number:03},128,5\n" for number in range(200))
    with pytest.raises(UsageError, match=r"200 functions: f000, .* and 195 more"):
        api.estimate(write(f"function,memory_mb,duration_ms\n{rows}"))


def test_a_function_that_is_not_in_the_file_is_told_with_those_that_are_near(powertune: Command, write: Write) -> None:
    name = write("function,memory_mb,duration_ms\norders,128,5\nbilling,128,6\n")
    assert_complains(powertune("estimate", name, "--function", "order"), 2, "order", "orders")
    assert_complains(powertune("estimate", name, "--function", "zzz"), 2, "zzz", "billing, orders")


def test_two_architectures_in_one_file_are_a_usage_error(powertune: Command, write: Write) -> None:
    name = write("architecture,memory_mb,duration_ms\narm64,128,5\nx86_64,128,6\n")
    assert_complains(powertune("estimate", name), 2, "arm64", "x86_64", "--arch")


def test_two_regions_in_one_file_are_a_usage_error(powertune: Command, write: Write) -> None:
    name = write("region,memory_mb,duration_ms\neu-west-1,128,5\neu-central-1,128,6\n")
    assert_complains(powertune("estimate", name), 2, "eu-west-1", "eu-central-1", "--region")
    assert powertune("estimate", name, "--region", "eu-west-1").code == 0


def test_skip_invalid_does_not_help_where_nothing_is_valid(powertune: Command, write: Write) -> None:
    done = powertune("estimate", write("memory_mb,duration_ms\n128,x\n256,y\n"), "--skip-invalid")
    assert_complains(done, 3, "only invalid rows", "line 2")


def test_standard_input_can_be_named_only_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "powertune", "estimate", "-", "-"],
        input=CSV,
        capture_output=True,
        text=True,
        timeout=ENOUGH_S,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode in (2, 3)
    assert_complains(Done(done.returncode, done.stdout, done.stderr), done.returncode)


@pytest.mark.parametrize("arguments", [["estimate", "-"], ["dry-run", "powertune.examples.waiting:handler", "-p", "-"]])
def test_a_closed_or_empty_standard_input_is_bad_input(arguments: list[str]) -> None:
    for redirection in ("<&-", "</dev/null"):
        done = subprocess.run(
            ["/bin/sh", "-c", f'"$@" {redirection}', "sh", sys.executable, "-m", "powertune", *arguments],
            capture_output=True,
            text=True,
            timeout=ENOUGH_S,
            check=False,
        )
        assert_complains(Done(done.returncode, done.stdout, done.stderr), 3, "standard input")


def test_a_pipe_that_is_read_while_it_is_written_is_no_problem(powertune: Command, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def feed() -> None:
        with pipe.open("w", encoding="utf-8") as stream:
            for line in CSV.splitlines(keepends=True):
                stream.write(line)
                stream.flush()
                time.sleep(0.05)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    done = powertune("estimate", "pipe", "-f", "csv")
    feeder.join(timeout=5)
    assert done.code == 0
    assert done.out.count("\n") == 4


# --- saved runs ---


@pytest.fixture
def saved_run(powertune: Command, write: Write) -> dict[str, Any]:
    """Give a good run file, to be damaged."""
    text = "function,memory_mb,duration_ms\n" + "".join(f"f,{mb},{ms}.5\n" for mb in (128, 256) for ms in (5, 6, 7))
    done = powertune("estimate", write(text), "-f", "json", "--current", "256")
    document: dict[str, Any] = json.loads(done.out)
    return document


def _set(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def damage(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    damage.__name__ = f"{'.'.join(map(str, path))}={str(value)[:20]}"
    return damage


def _delete(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def damage(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    damage.__name__ = f"no {'.'.join(map(str, path))}"
    return damage


@pytest.mark.parametrize(
    "damage",
    [
        _set("schema_version", value=2),
        _set("schema_version", value="1"),
        _set("schema_version", value=None),
        _set("schema_version", value=1.5),
        _set("schema_version", value=10**400),
        _delete("tool"),
        _delete("pricing"),
        _delete("sizes"),
        _delete("invocations"),
        _delete("invocations", 0, "memory_mb"),
        _set("invocations", value={}),
        _set("invocations", value=[1]),
        _set("invocations", value=None),
        _set("invocations", 0, "memory_mb", value=0),
        _set("invocations", 0, "memory_mb", value=-128),
        _set("invocations", 0, "memory_mb", value=10**6),
        _set("invocations", 0, "memory_mb", value=128.5),
        _set("invocations", 0, "memory_mb", value="128"),
        _set("invocations", 0, "memory_mb", value=10**400),
        _set("invocations", 0, "duration_ms", value=-1),
        _set("invocations", 0, "duration_ms", value=None),
        _set("invocations", 0, "duration_ms", value=1e308),
        _set("invocations", 0, "duration_ms", value=10**400),
        _set("invocations", 0, "duration_ms", value=float("nan")),
        _set("invocations", 0, "duration_ms", value=float("inf")),
        _set("invocations", 0, "billed_ms", value=-5),
        _set("invocations", 0, "init_ms", value=-5),
        _set("invocations", 0, "max_memory_used_mb", value=-5),
        _set("invocations", 0, "cold", value="no"),
        _set("invocations", 0, "status", value="fine"),
        _set("invocations", 0, "status", value=["ok"]),
        _set("invocations", 0, "error", value=5),
        _set("invocations", 0, "extra", value=[1]),
        _set("sizes", 0, "memory_mb", value=None),
        _set("sizes", 0, "status", value="fine"),
        _set("sizes", 0, "duration_ms", value=[5]),
        _set("sizes", 0, "cost", value={}),
        _set("function", value=None),
        _set("function", "name", value=5),
        _set("function", "architecture", value="sparc"),
        _set("function", "region", value="mars-1"),
        _set("pricing", "currency", value=5),
        _set("pricing", "per_request", value="cheap"),
        _set("recommendation", value={}),
        _set("recommendation", "reasons", value="because"),
        _set("recommendation", "confidence", value="sure"),
        _set("warnings", value={}),
        _set("source", value="a file"),
        _set("spent", value={}),
    ],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_saved_run_is_bad_input(
    powertune: Command, write: Write, saved_run: dict[str, Any], damage: Callable[[dict[str, Any]], None]
) -> None:
    damage(saved_run)
    assert_complains(powertune("estimate", write(json.dumps(saved_run, indent=1), "run.json")), 3)


def test_a_saved_run_with_only_figures_that_make_no_sense_is_bad_input(
    powertune: Command, write: Write, saved_run: dict[str, Any]
) -> None:
    saved_run["invocations"] = []
    for memory_mb in (0, 99_999):
        document = json.loads(json.dumps(saved_run))
        document["sizes"][0]["memory_mb"] = memory_mb
        assert_complains(powertune("estimate", write(json.dumps(document), "run.json")), 3)
    for key, value in (("mean", -5.0), ("mean", 1e308), ("stddev", -1.0)):
        document = json.loads(json.dumps(saved_run))
        document["sizes"][0]["duration_ms"][key] = value
        assert_complains(powertune("estimate", write(json.dumps(document), "run.json")), 3)


def test_a_newer_saved_run_is_told_to_come_from_a_newer_powertune(
    powertune: Command, write: Write, saved_run: dict[str, Any]
) -> None:
    saved_run["schema_version"] = 2
    done = powertune("estimate", write(json.dumps(saved_run), "run.json"))
    assert_complains(done, 3, "run.json", "schema_version 2", "newer")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_saved_run_that_breaks_off_is_bad_input(
    powertune: Command, write: Write, saved_run: dict[str, Any], share: float
) -> None:
    text = json.dumps(saved_run, indent=1)
    assert_complains(powertune("estimate", write(text[: int(len(text) * share)], "run.json")), 3, "run.json")


def test_a_saved_run_on_one_line_that_breaks_off_is_bad_input(
    powertune: Command, write: Write, saved_run: dict[str, Any]
) -> None:
    assert_complains(powertune("estimate", write(json.dumps(saved_run)[:-40], "run.json")), 3, "run.json")


def test_a_saved_run_without_runs_or_figures_is_bad_input(
    powertune: Command, write: Write, saved_run: dict[str, Any]
) -> None:
    saved_run |= {"invocations": [], "sizes": []}
    assert_complains(powertune("estimate", write(json.dumps(saved_run), "run.json")), 3)
