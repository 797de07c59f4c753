"""What is on disk before the first change: whole or not at all, locked while its run lives, and told if unreadable."""

import json
import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import powertune
from powertune.errors import BadInputError
from powertune.model.invocation import Invocation
from powertune.sources.aws.journal import Entry, Journal, journals, new_run_id, state_folder

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:orders"
SECRET = "hunter2"  # noqa: S105 - stands for what must not be repeated


Begin = Callable[..., Journal]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begins journals as a run does, and lets go of them as the end of its process does."""
    begun: list[Journal] = []

    def begin(folder: Path | None, run_id: str = "0a1b2c3d4e5f") -> Journal:
        journal = Journal.begin(
            run_id=run_id,
            function_arn=ARN,
            region="eu-central-1",
            memory_mb=512,
            sizes_mb=(128, 512, 1024),
            deployed={"Role": "0123456789ab"},
            profile="work",
            folder=folder,
        )
        begun.append(journal)
        return journal

    yield begin
    for journal in begun:
        journal.release()


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with the journal's module at hand."""
    head = f"import fcntl, os, sys\nfrom pathlib import Path\nsys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
    head += "from powertune.sources.aws.journal import Journal, journals\n"
    command = [sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


# What is written.


def test_a_journal_is_read_as_it_was_written(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path / "state" / "powertune")
    (found,) = journals(tmp_path / "state" / "powertune")
    assert found.entry == journal.entry
    assert found.path == journal.path
    assert found.entry.sizes_mb == (128, 512, 1024)
    assert found.entry.pid == os.getpid()
    assert not found.entry.is_back


def test_the_folder_of_journals_is_the_users_own(begin: Begin, tmp_path: Path) -> None:
    begin(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_what_has_been_put_back_is_marked_in_place(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.mark(is_back=True)
    (found,) = journals(tmp_path)
    assert found.entry.is_back
    assert found.is_running, "the lock goes over to the new file"
    journal.mark(is_back=False)
    assert [one.entry.is_back for one in journals(tmp_path)] == [False]
    assert [path.name for path in tmp_path.iterdir()] == ["0a1b2c3d4e5f.json"]


def test_a_mark_that_changes_nothing_writes_nothing(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.path.write_text("{}")
    journal.mark(is_back=False)
    assert journal.path.read_text() == "{}"


def test_a_run_that_ended_without_putting_back_leaves_its_journal_to_others(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.record(Invocation(512, 1))
    journal.release()
    (found,) = journals(tmp_path)
    assert not found.is_running
    assert found.has_recording


def test_runs_have_names_of_their_own() -> None:
    names = {new_run_id() for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) == 12 and int(name, 16) >= 0 for name in names)


def test_journals_come_oldest_first(begin: Begin, tmp_path: Path) -> None:
    for number, name in enumerate(("cc", "aa", "bb")):
        os.utime(begin(tmp_path, name).path, (number, number))
    assert [journal.entry.run_id for journal in journals(tmp_path)] == ["cc", "aa", "bb"]


def test_no_folder_holds_no_journals(tmp_path: Path) -> None:
    assert list(journals(tmp_path / "nowhere")) == []


def test_a_journal_that_is_no_longer_needed_is_gone_with_its_lock(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.record(Invocation(512, 19.5))
    journal.forget()
    assert list(journals(tmp_path)) == []
    assert journal.recording_path.exists(), "what was measured is kept"
    journal.forget_recording()
    assert list(tmp_path.iterdir()) == []
    journal.forget()
    journal.forget_recording()


# Crashes.

CRASH = """
calls = {"flock": (fcntl, "flock"), "fsync": (os, "fsync"), "replace": (Path, "replace"), "close": (os, "close")}
place, name = calls[sys.argv[2]]
right, left = getattr(place, name), int(sys.argv[3])

def crash(*arguments):
    global left
    left -= 1
    if left == 0:
        os._exit(99)
    return right(*arguments)

def begin():
    return Journal.begin(run_id="aa", function_arn="f", region="r", memory_mb=512, sizes_mb=(128,), deployed={},
                         folder=Path(sys.argv[1]))
"""
AFTER_RENAMING = [("fsync", 2), ("close", 1)]
POINTS = [("flock", 1), ("fsync", 1), ("replace", 1), *AFTER_RENAMING]


@pytest.mark.parametrize(("call", "count"), POINTS)
def test_a_crash_while_it_is_written_leaves_a_whole_journal_or_none(call: str, count: int, tmp_path: Path) -> None:
    ended = python(CRASH + "setattr(place, name, crash)\nbegin()", tmp_path, call, count)
    assert ended.returncode == 99, ended.stderr
    found = list(journals(tmp_path))
    assert [journal.entry.memory_mb for journal in found] == ([512] if (call, count) in AFTER_RENAMING else [])
    assert not any(journal.is_running for journal in found)


@pytest.mark.parametrize(("call", "count"), POINTS)
def test_a_crash_while_it_is_marked_leaves_the_old_or_the_new_journal(call: str, count: int, tmp_path: Path) -> None:
    code = CRASH + "journal = begin()\nsetattr(place, name, crash)\njournal.mark(is_back=True)"
    ended = python(code, tmp_path, call, count)
    assert ended.returncode == 99, ended.stderr
    (found,) = journals(tmp_path)
    assert found.entry.memory_mb == 512
    assert found.entry.is_back == ((call, count) in AFTER_RENAMING)


def test_content_and_name_are_forced_to_disk_in_that_order(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def spying_fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        done.append("fsync folder" if stat.S_ISDIR(status.st_mode) else f"fsync {status.st_size > 0}")
        fsync(descriptor)

    def spying_replace(self: Path, target: Path) -> Path:
        done.append(f"rename {self.name} to {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", spying_fsync)
    monkeypatch.setattr(Path, "replace", spying_replace)
    begin(tmp_path, "aa")
    assert done == ["fsync True", f"rename .aa.json.{os.getpid()} to aa.json", "fsync folder"]


def test_a_full_disk_leaves_no_journal_and_says_so(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInputError, match="No space left on device"):
        begin(tmp_path)
    assert list(tmp_path.iterdir()) == []


# Locks.


def is_running_elsewhere(folder: Path) -> str:
    code = "print([journal.is_running for journal in journals(Path(sys.argv[1]))])"
    return python(code, folder).stdout.strip()


def test_other_processes_see_that_a_run_is_alive_and_when_it_is_not(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path)
    assert not journal.is_running, "a run does not take itself for another"
    assert is_running_elsewhere(tmp_path) == "[True]"
    journal.mark(is_back=True)
    assert is_running_elsewhere(tmp_path) == "[True]"
    journal.forget()
    assert is_running_elsewhere(tmp_path) == "[]"


def test_a_run_that_was_killed_is_not_alive(tmp_path: Path) -> None:
    ended = python(CRASH + "journal = begin()\nos._exit(9)", tmp_path, "fsync", 0)
    assert ended.returncode == 9
    assert is_running_elsewhere(tmp_path) == "[False]"
    (found,) = journals(tmp_path)
    assert not found.is_running


def test_looking_whether_a_run_is_alive_does_not_make_it_seem_so_to_others(tmp_path: Path) -> None:
    code = """
    stream = Path(sys.argv[1]).open()
    fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)  # as is_running does, for a moment
    print("looking", flush=True)
    sys.stdin.read()
    """
    python(CRASH + "begin()\nos._exit(9)", tmp_path, "fsync", 0)
    command = [sys.executable, "-c", "import fcntl, sys\nfrom pathlib import Path\n" + textwrap.dedent(code)]
    with subprocess.Popen(
        [*command, str(tmp_path / "aa.json")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as looking:
        assert looking.stdout is not None
        assert looking.stdin is not None
        assert looking.stdout.readline() == "looking\n"
        (found,) = journals(tmp_path)
        assert not found.is_running
        looking.stdin.close()
        looking.wait(60)


def test_a_journal_that_is_gone_meanwhile_is_not_alive(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path)
    (found,) = journals(tmp_path)
    journal.forget()
    assert not found.is_running


# Journals that cannot be read.


def entry(**changes: object) -> dict[str, Any]:
    document: dict[str, Any] = {
        "run_id": "aa",
        "function_arn": ARN,
        "region": "eu-central-1",
        "memory_mb": 512,
        "sizes_mb": [128],
        "deployed": {},
        "created_at": "2026-11-25T03:00:00+00:00",
        "host": "here",
        "pid": 1,
        "profile": None,
        "format": 1,
    }
    return document | changes


def test_a_journal_of_the_first_kind_is_read(tmp_path: Path) -> None:
    (tmp_path / "aa.json").write_text(json.dumps(entry()))
    (found,) = journals(tmp_path)
    assert found.entry == Entry(**entry(sizes_mb=(128,)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b'"text"',
        b"{}",
        b"\xff\xfe",
        b"[" * 200_000,
        json.dumps({key: value for key, value in entry().items() if key != "memory_mb"}).encode(),
        json.dumps(entry(unheard="of")).encode(),
        json.dumps(entry(sizes_mb=None)).encode(),
        json.dumps(entry(format=2)).encode(),
    ],
)
def test_a_journal_that_cannot_be_read_is_told_as_it_may_be_the_only_trace(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "aa.json").write_bytes(content)
    with pytest.raises(BadInputError, match=r"aa\.json cannot be read") as caught:
        list(journals(tmp_path))
    assert "delete it" in caught.value.hint


def test_what_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    for name in (".aa.json.123", "aa.jsonl", "README", "aa.json.bak"):
        (tmp_path / name).write_text("no journal")
    assert list(journals(tmp_path)) == []


def test_a_journal_whose_run_ends_while_others_are_read_is_left_out(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (begin(tmp_path, name) for name in ("aa", "bb", "cc"))
    look, gone = Path.stat, [third]

    def ending_stat(self: Path, **options: bool) -> os.stat_result:
        found = look(self, **options)
        if self.suffix == ".json" and gone:
            gone.pop().forget()  # between finding its name and looking at it
        return found

    monkeypatch.setattr(Path, "stat", ending_stat)
    reading = journals(tmp_path)
    assert next(reading).entry.run_id == "aa"
    second.forget()
    assert list(reading) == []
    first.forget()


# What was measured.


def test_the_record_of_a_run_is_what_estimate_reads(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path)
    assert not journal.has_recording
    for memory_mb in (512, 1024):
        journal.record(Invocation(memory_mb, 900.0, 1100.0, 200.0, 60.0, cold=True, request_id="cold"))
        for number in range(6):
            duration_ms = 51_200 / memory_mb + number / 10
            journal.record(Invocation(memory_mb, duration_ms, 101.0, None, 60.0, payload="usual"))
    journal.record(Invocation(128, 0.0, 0.0, status="failed", error="ValueError: \u202e\nno"))
    assert journal.has_recording
    run = powertune.estimate([journal.recording_path], region="eu-central-1")
    by_size = {size.memory_mb: size for size in run.sizes}
    assert by_size[512].invocations.warm == by_size[1024].invocations.warm == 6
    assert by_size[512].invocations.cold == 1
    assert by_size[128].status == "failed"
    assert by_size[1024].duration_ms is not None
    assert by_size[1024].duration_ms.mean == pytest.approx(50.25)
    journal.close()


def test_each_run_is_on_disk_as_soon_as_it_is_recorded(tmp_path: Path) -> None:
    code = """
    from powertune.model.invocation import Invocation
    journal = begin()
    for number in range(3):
        journal.record(Invocation(512, number))
    os._exit(9)
    """
    assert python(CRASH + textwrap.dedent(code), tmp_path, "fsync", 0).returncode == 9
    (found,) = journals(tmp_path)
    assert found.has_recording
    assert len(found.recording_path.read_text().splitlines()) == 3


def test_a_record_goes_on_after_it_was_closed(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path)
    for _ in range(2):
        journal.record(Invocation(512, 1))
        journal.close()
    assert len(journal.recording_path.read_text().splitlines()) == 2


def test_the_record_holds_no_text_of_payloads(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.record(Invocation(512, 1, payload="usual", extra={"payload_text": SECRET}))
    assert SECRET not in journal.recording_path.read_text()


def test_a_record_that_cannot_be_written_does_not_stop_the_run(begin: Begin, tmp_path: Path) -> None:
    journal = begin(tmp_path)
    journal.recording_path.mkdir()
    journal.record(Invocation(512, 1))


# Where it is.


def test_the_state_folder_can_be_chosen(begin: Begin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POWERTUNE_STATE_DIR", str(tmp_path / "chosen"))
    assert state_folder() == tmp_path / "chosen"
    journal = begin(None, "aa")
    assert journal.path == tmp_path / "chosen" / "aa.json"
    assert [found.entry.run_id for found in journals()] == ["aa"]


@pytest.mark.parametrize("chosen", ["", None])
def test_else_it_is_the_users_own(chosen: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POWERTUNE_STATE_DIR", raising=False)
    if chosen is not None:
        monkeypatch.setenv("POWERTUNE_STATE_DIR", chosen)
    assert state_folder().is_absolute()
    assert state_folder().name == "powertune"


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_changed(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInputError, match="cannot be written") as caught:
        begin(tmp_path / "file" / "state")
    assert "POWERTUNE_STATE_DIR" in caught.value.hint
