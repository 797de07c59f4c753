"""Text from outside cannot steer a terminal, a spreadsheet or a page, and every output encoding works."""

import csv
import io
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from powertune.cli.main import main

HANDLERS = Path(__file__).with_name("handlers.py")
ENOUGH_S = 40
FORMATS = ("table", "csv", "markdown")

HOSTILE = (
    "\x1b[2J\x1b]0;pwned\x07\x1b]8;;http://evil.example\x1b\\[bold red]markup[/] [link=x]y[/link] "
    "\N{RIGHT-TO-LEFT OVERRIDE}txt\N{RIGHT-TO-LEFT ISOLATE}\N{ZERO WIDTH SPACE}\x9b31m\x08\x7f :warning: "
    "|<img src=x onerror=alert(1)>[click](http://evil.example)`code`@everyone #1 ~~x~~ **y**"
)
# Colours and weights, which are all that powertune sends a terminal by itself.
STYLE = re.compile(r"\x1b\[[0-9;]*m")
# Hiding the cursor and clearing its line, for a bar that is redrawn in place.
BAR = re.compile(r"\x1b\[(?:\?25[lh]|2K|1A)|\r")
COLOR = re.compile(r"\x1b\[[0-9;]*(?:3|4|9|10)[0-9]")


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture(autouse=True)
def _own_process_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("handlers_", "hostile_")):
            del sys.modules[name]


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


def recording(tmp_path: Path, **columns: str) -> str:
    """Write a recording with the columns beside its figures, at two sizes, one of them failed."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["memory_mb", "duration_ms", "error", *columns])
    for memory_mb, error in ((128, columns.get("error", "")), (256, ""), (512, "")):
        writer.writerow([memory_mb, 100_000 / memory_mb, error, *columns.values()])
    (tmp_path / "input.csv").write_text(out.getvalue(), encoding="utf-8", newline="")
    return "input.csv"


def failing(tmp_path: Path, error: str) -> str:
    """Write a recording whose smallest size failed with `error`."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["memory_mb", "duration_ms", "error"])
    writer.writerows([[128, 5.5, error], [256, 5.5, ""]])
    (tmp_path / "input.csv").write_text(out.getvalue(), encoding="utf-8", newline="")
    return "input.csv"


def assert_harmless(text: str) -> None:
    """Assert that nothing in `text` but colours and line breaks can steer a terminal."""
    for char in STYLE.sub("", text).replace("\n", ""):
        assert unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}, (char, text)


# --- terminals ---


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("color", ["", "1"])
def test_the_name_of_a_function_is_harmless_in_every_format(
    powertune: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_name: str, color: str
) -> None:
    monkeypatch.setenv("FORCE_COLOR", color)
    done = powertune("estimate", recording(tmp_path, function=HOSTILE), "-f", format_name)
    assert done.code == 0, done.err
    assert_harmless(done.out)
    assert_harmless(done.err)


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_reason_of_a_failure_is_harmless_in_every_format(
    powertune: Command, tmp_path: Path, format_name: str
) -> None:
    done = powertune("estimate", failing(tmp_path, HOSTILE), "-f", format_name)
    assert done.code == 0, done.err
    assert_harmless(done.out)
    assert_harmless(done.err)
    assert "\\x1b" in done.out


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("handler", ["raises_hostile_text", "exits_with_hostile_text", "prints_hostile_text"])
def test_what_a_handler_says_is_harmless_in_every_format(
    powertune: Command, handlers: str, format_name: str, handler: str
) -> None:
    done = powertune("dry-run", f"{handlers}:{handler}", "-n", "1", "-m", "128", "-v", "-f", format_name)
    assert done.code in (0, 5)
    assert_harmless(done.out)
    assert_harmless(done.err)
    assert "\nError: second line" not in done.out + done.err


def test_rich_markup_and_emoji_from_outside_are_shown_as_they_are(powertune: Command, tmp_path: Path) -> None:
    done = powertune("estimate", recording(tmp_path, function="[bold]orders[/bold] :smile: [link=x]"), "-f", "table")
    assert "[bold]orders[/bold] :smile: [link=x]" in done.out
    done = powertune("estimate", failing(tmp_path, "[red]no[/red] :smile: [/]"), "-f", "table")
    assert "[red]no[/red] :smile: [/]" in done.out


def test_json_has_hostile_text_as_it_was_in_plain_ascii(powertune: Command, tmp_path: Path) -> None:
    done = powertune("estimate", recording(tmp_path, function=HOSTILE, note=HOSTILE), "-f", "json")
    assert done.out.isascii()
    assert_harmless(done.out)
    document = json.loads(done.out)
    assert document["function"]["name"] == HOSTILE
    assert document["invocations"][0]["extra"]["note"] == HOSTILE


@pytest.mark.parametrize("option", ["-o", "--save"])
def test_files_hold_no_more_than_the_screen_would(powertune: Command, tmp_path: Path, option: str) -> None:
    names = ("a.json",) if option == "--save" else ("a.json", "a.csv", "a.md", "a.txt")
    name = recording(tmp_path, function=HOSTILE)
    assert powertune("estimate", name, *(word for output in names for word in (option, output))).code == 0
    for output in names:
        assert_harmless((tmp_path / output).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name",
    [
        "\x1b[31mred\x1b[0m.csv",
        "line\nbreak.csv",
        "\u202ereversed.csv",
        "[bold]x.csv",
        "tab\tand\x7f.csv",
        os.fsdecode(b"not-utf8-\xff\xfe.csv"),
        "\u2028separator.csv",
        "\U000e0041tag.csv",
        "-dash.csv",
        " .csv",
    ],
)
def test_names_of_files_are_harmless(powertune: Command, tmp_path: Path, name: str) -> None:
    assert_harmless(powertune("estimate", "--", name).err)
    Path(tmp_path / name).write_text("memory_mb,duration_ms\n128,oops\n", encoding="utf-8")
    done = powertune("estimate", "--", name)
    assert done.code == 3
    assert_harmless(done.err)
    assert "line 2" in done.err
    Path(tmp_path / name).write_text("memory_mb,duration_ms\n128,5.5\n", encoding="utf-8")
    for format_name in (*FORMATS, "json"):
        done = powertune("estimate", "-f", format_name, "-o", "out.json", "-o", "out.md", "--", name)
        assert done.code == 0, done.err
        assert_harmless(done.out)
        assert_harmless(done.err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["\x1b[31m"],
        ["--\x1b[31m"],
        ["estimate", "--\u202e"],
        ["estimate", "x.csv", "-s", "\x1b[31m\n"],
        ["estimate", "x.csv", "-f", "\x1b[31m\n"],
        ["estimate", "x.csv", "-m", "\x1b[31m\n"],
        ["estimate", "x.csv", "--current", "\x1b[31m\n"],
        ["estimate", "x.csv", "-o", "\x1b[31m\n"],
        ["estimate", "x.csv", "-o", "\x1b[31m/x.csv"],
        ["dry-run", "\x1b[31m"],
        ["dry-run", "json:\x1b[31m"],
        ["dry-run", "json:dumps", "-p", "@\x1b[31m"],
        ["dry-run", "json:dumps", "-p", "\x1b[31m"],
        ["dry-run", "json:dumps", "-p", "{\x1b[31m"],
        ["dry-run", "json:dumps", "--duration-at", "\x1b[31m"],
        ["dry-run", "json:dumps", "--duration-at", "512=\x1b[31m"],
        ["prices", "--region", "\x1b[31m"],
        ["prices", "-f", "\x1b[31m"],
    ],
    ids=repr,
)
def test_arguments_are_harmless_in_complaints(powertune: Command, arguments: list[str]) -> None:
    done = powertune(*arguments)
    assert done.code in (2, 3)
    assert done.out == ""
    assert len(done.err.splitlines()) == 2
    assert_harmless(done.err)


@pytest.mark.parametrize("what", ["function", "architecture", "region"])
def test_names_from_a_file_are_harmless_in_complaints(powertune: Command, tmp_path: Path, what: str) -> None:
    (tmp_path / "x.csv").write_text(
        f"memory_mb,duration_ms,{what}\n128,5.5,\x1b[31ma\n128,5.5,\u202eb\n", encoding="utf-8"
    )
    done = powertune("estimate", "x.csv")
    assert done.code in (0, 2, 3)
    assert_harmless(done.out)
    assert_harmless(done.err)


def test_debug_output_is_harmless_too(powertune: Command, tmp_path: Path) -> None:
    name = f"hostile_{uuid.uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(f"raise ValueError({HOSTILE!r})\n", encoding="utf-8")
    done = powertune("dry-run", f"{name}:handler", "--debug")
    assert done.code == 5
    assert "Traceback" in done.err
    assert_harmless(done.err)


def test_a_megabyte_of_text_is_cut(powertune: Command, handlers: str) -> None:
    for format_name in FORMATS:
        done = powertune("dry-run", f"{handlers}:raises_a_megabyte", "-m", "128", "-f", format_name)
        assert done.code == 5
        assert len(done.out) + len(done.err) < 10_000


def test_a_megabyte_of_text_is_cut_in_the_run_file_too(powertune: Command, handlers: str) -> None:
    done = powertune("dry-run", f"{handlers}:raises_a_megabyte", "-f", "json")
    assert len(done.out) < 100_000


def test_complaints_stay_on_their_line_whatever_the_text(powertune: Command, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('memory_mb,duration_ms\n128,"5\n\n  Error: not ours\r\n"\n', encoding="utf-8")
    done = powertune("estimate", "x.csv")
    assert done.code == 3
    assert len(done.err.splitlines()) == 2


# --- spreadsheets ---


@pytest.mark.parametrize(
    "reason",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "=cmd|' /C calc'!A0",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        " =1+1",
        "\x01=1+1",
        "\ufeff=1+1",
        "\u200b=1+1",
        "\uff1d1+1",
        "\uff0b1",
        "\uff0d1",
        "\uff20SUM(A1)",
        '"=1+1"',
        "'=1+1",
    ],
)
def test_no_cell_of_a_csv_file_is_a_formula(powertune: Command, tmp_path: Path, reason: str) -> None:
    done = powertune("estimate", failing(tmp_path, reason), "-f", "csv")
    assert done.code == 0, done.err
    rows = list(csv.reader(io.StringIO(done.out)))
    assert len({len(row) for row in rows}) == 1
    for cell in (cell for row in rows for cell in row):
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")), cell


def test_a_class_of_errors_cannot_be_a_formula_either(powertune: Command, handlers: str) -> None:
    done = powertune("dry-run", f"{handlers}:raises_formula_class", "-m", "128", "-f", "csv")
    [_, row] = csv.reader(io.StringIO(done.out))
    assert row[-1].startswith("'=HYPERLINK")


def test_text_with_delimiters_quotes_and_breaks_stays_in_its_cell(powertune: Command, tmp_path: Path) -> None:
    done = powertune("estimate", failing(tmp_path, 'a,b;"c"\nd'), "-f", "csv")
    rows = list(csv.reader(io.StringIO(done.out)))
    assert [row[0] for row in rows] == ["memory_mb", "128", "256"]
    assert rows[1][-1] == 'a,b;"c" d'


# --- markdown ---


@pytest.mark.parametrize(
    ("text", "forbidden"),
    [
        ("[click](http://evil.example)", "[click](http://evil.example)"),
        ("![x](http://evil.example/x.png)", "![x]("),
        ("<script>alert(1)</script>", "<script>"),
        ("<!-- comment", "<!--"),
        ("a | b | c", "a | b"),
        ("`code`", "`code`"),
        ("**bold**", "**bold**"),
        ("~~gone~~", "~~gone~~"),
        ("http://evil.example", "http://evil"),
        ("https://evil.example", "https://evil"),
        ("www.evil.example", "www.evil"),
        ("&lt;b&gt;", " &lt;"),
        ("$\\frac{1}{2}$", "$\\frac"),
        ("\\[x\\]", " \\[x\\]"),
        ("line\n\n# heading", "\n# heading"),
        ("line\n- item", "\n- item"),
        ("[^1]: note", "[^1]:"),
    ],
)
def test_markdown_from_outside_is_taken_literally(
    powertune: Command, tmp_path: Path, text: str, forbidden: str
) -> None:
    for name in (recording(tmp_path, function=f"x {text}"), failing(tmp_path, f"x {text}")):
        done = powertune("estimate", name, "-f", "markdown")
        assert done.code == 0
        assert forbidden not in done.out


def test_every_row_of_the_markdown_table_has_the_same_cells(powertune: Command, tmp_path: Path) -> None:
    for name in (recording(tmp_path, function="a|b\\|c\\"), failing(tmp_path, "a|b\\|c\\")):
        done = powertune("estimate", name, "-f", "markdown")
        rows = [line for line in done.out.splitlines() if line.startswith("|")]
        assert len(rows) >= 4
        assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows}) == 1


# --- colours and encodings ---


@pytest.mark.parametrize(
    ("environment", "options", "colored"),
    [
        ({}, [], False),
        ({"FORCE_COLOR": "1"}, [], True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, [], False),
        ({"FORCE_COLOR": "1"}, ["--no-color"], False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, [], False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, [], True),
    ],
)
def test_colour_is_for_those_who_want_it(
    powertune: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    options: list[str],
    colored: bool,  # noqa: FBT001 - pytest passes it
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = powertune("estimate", recording(tmp_path), *options)
    assert ("\x1b[" in done.out) == colored
    for format_name in ("json", "csv", "markdown"):
        assert "\x1b" not in powertune("estimate", recording(tmp_path), "-f", format_name, *options).out


def on_terminal(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command on a terminal of its own, both streams, and return its exit code and all that was sent."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "powertune", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    )
    os.close(theirs)
    sent = b""
    until = time.monotonic() + ENOUGH_S
    try:
        while time.monotonic() < until:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    received = os.read(ours, 65_536)
                except OSError:  # the other end is closed, as Linux tells it
                    break
                if not received:
                    break
                sent += received
        return process.wait(timeout=ENOUGH_S), sent.decode("utf-8", "replace")
    finally:
        process.kill()
        os.close(ours)


def test_a_terminal_gets_colours_and_nothing_hostile(tmp_path: Path, handlers: str) -> None:
    code, sent = on_terminal("estimate", recording(tmp_path, function=HOSTILE))
    assert code == 0
    assert COLOR.search(sent)
    assert_harmless(BAR.sub("", sent))
    code, sent = on_terminal("dry-run", f"{handlers}:prints_hostile_text", "-v", "-n", "2")
    assert code == 0
    assert "  | " in sent
    assert_harmless(BAR.sub("", sent))
    assert "\x1b[31m" not in sent


@pytest.mark.parametrize(
    ("options", "environment"), [([], {"NO_COLOR": "1"}), (["--no-color"], {}), ([], {"TERM": "dumb"})]
)
def test_a_terminal_without_colour_gets_none_not_even_in_the_progress_bar(
    handlers: str, options: list[str], environment: dict[str, str]
) -> None:
    code, sent = on_terminal("dry-run", f"{handlers}:waits", "-n", "5", *options, **environment)
    assert code == 0
    assert not COLOR.search(sent)
    if "TERM" in environment:
        assert "\x1b" not in sent


@pytest.mark.parametrize(
    ("encoding", "format_name"),
    [
        *((encoding, "table") for encoding in ("ascii", "latin-1", "cp1252", "utf-8", "utf-16", "cp437")),
        *(("ascii", format_name) for format_name in ("json", "csv", "markdown")),
    ],
)
def test_any_encoding_of_standard_output_works(tmp_path: Path, encoding: str, format_name: str) -> None:
    name = recording(
        tmp_path, function="\N{GREEK SMALL LETTER LAMDA} caf\N{LATIN SMALL LETTER E WITH ACUTE} \U0001f600"
    )
    done = subprocess.run(
        [sys.executable, "-m", "powertune", "estimate", name, "--region", "cn-north-1", "-f", format_name],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=ENOUGH_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert "256" in text
    if format_name == "table" and encoding == "ascii":
        assert text.isascii()
        assert "#" in text


def test_an_encoding_that_is_forced_to_be_strict_is_no_bug(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "powertune", "estimate", recording(tmp_path, function="\U0001f600"), "nowhere\u0394"],
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict", "LC_ALL": "C", "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=ENOUGH_S,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == b""
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("columns", ["1", "20", "40", "79", "300", "100000", "0", "-5", "many"])
def test_any_width_of_a_terminal_works(
    powertune: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    done = powertune("estimate", recording(tmp_path, function="f" * 300), "-m", "all")
    assert done.code == 0, done.err
    assert "256 MB" in done.out


@pytest.mark.parametrize("width", [40, 56, 80, 120])
def test_no_figure_is_cut_at_any_width(
    powertune: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    done = powertune("estimate", recording(tmp_path))
    for figure in ("128 MB", "256 MB", "512 MB", "781 ms", "391 ms", "195 ms"):
        assert figure in done.out
    assert all(len(line) <= width for line in done.out.splitlines())
