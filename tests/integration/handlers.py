"""Handlers that behave badly, each in its own way: tests copy this file and call them by name."""
# ruff: noqa: S110, S607, SIM105, PLC0415, BLE001, T201, PLW0603 - handlers are allowed to be careless, that is what they are here for
#
# What only one of them needs is imported inside it: every dry run imports this file in fresh interpreters.

import decimal
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

calls = 0
leaked: list[bytes] = []

HOSTILE = (
    "\x1b[2J\x1b]0;pwned\x07[bold red]markup[/] \u202eright to left\u2066 \x9b31m \u200b\nError: second line\r=cmd|x"
)


def burn(cpu_seconds: float) -> None:
    end = time.thread_time() + cpu_seconds
    while time.thread_time() < end:
        sum(range(1000))


# --- well behaved ---


def answers(_event: Any, _context: Any) -> dict[str, bool]:
    return {"ok": True}


def computes(_event: Any, _context: Any) -> None:
    burn(0.03)


def waits(_event: Any, _context: Any) -> None:
    time.sleep(0.05)


def waits_and_computes(_event: Any, _context: Any) -> None:
    burn(0.02)
    time.sleep(0.02)


def tells(event: Any, context: Any) -> None:
    """Append to the file `event["to"]` what it finds around it."""
    first_ms = context.get_remaining_time_in_millis()
    time.sleep(0.002)
    found = {
        "aws_request_id": context.aws_request_id,
        "first_ms": first_ms,
        "later_ms": context.get_remaining_time_in_millis(),
        "memory_limit_in_mb": context.memory_limit_in_mb,
        "function_name": context.function_name,
        "function_version": context.function_version,
        "invoked_function_arn": context.invoked_function_arn,
        "log_group_name": context.log_group_name,
        "log_stream_name": context.log_stream_name,
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "event": event,
    }
    with Path(event["to"]).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(found) + "\n")


# --- failing ---


def raises(_event: Any, _context: Any) -> NoReturn:
    raise ValueError("no such order")


def raises_nothing_to_say(_event: Any, _context: Any) -> NoReturn:
    raise LookupError


def raises_hostile_text(_event: Any, _context: Any) -> NoReturn:
    raise ValueError(HOSTILE)


def raises_a_megabyte(_event: Any, _context: Any) -> NoReturn:
    raise ValueError("x" * 1_000_000)


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("this error cannot be shown")


def raises_unspeakable(_event: Any, _context: Any) -> NoReturn:
    raise UnspeakableError


def raises_stop_iteration(_event: Any, _context: Any) -> NoReturn:
    raise StopIteration


def raises_generator_exit(_event: Any, _context: Any) -> NoReturn:
    raise GeneratorExit


def raises_group(_event: Any, _context: Any) -> NoReturn:
    raise ExceptionGroup("two problems", [ValueError("one"), TypeError("two")])


def raises_formula_class(_event: Any, _context: Any) -> NoReturn:
    formula: type[Exception] = type('=HYPERLINK("http://evil.example")', (Exception,), {})
    raise formula("click")


def recurses_for_ever(event: Any, context: Any) -> Any:
    return recurses_for_ever(event, context)


def raises_broken_pipe(_event: Any, _context: Any) -> NoReturn:
    raise BrokenPipeError("the database hung up")


def raises_keyerror_in_third_call(_event: Any, _context: Any) -> None:
    global calls
    calls += 1
    if calls == 3:
        raise KeyError("order")


def raises_after_first_call(_event: Any, _context: Any) -> None:
    global calls
    calls += 1
    if calls > 1:
        raise KeyError("order")


def exits(_event: Any, _context: Any) -> NoReturn:
    sys.exit(3)


def ends_the_process(_event: Any, _context: Any) -> NoReturn:
    os._exit(0)


def exits_with_hostile_text(_event: Any, _context: Any) -> NoReturn:
    sys.exit(HOSTILE)


def takes_no_arguments() -> None:
    return


# --- results ---


def returns_set(_event: Any, _context: Any) -> set[int]:
    return {1, 2}


def returns_bytes(_event: Any, _context: Any) -> bytes:
    return b"bytes"


def returns_circular(_event: Any, _context: Any) -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


async def returns_coroutine(_event: Any, _context: Any) -> dict[str, bool]:
    return {"ok": True}


def returns_generator(_event: Any, _context: Any) -> Iterator[int]:
    yield 1


def returns_seven_megabytes(_event: Any, _context: Any) -> str:
    return "x" * 7_000_000


def returns_a_megabyte_beyond_ascii(_event: Any, _context: Any) -> str:
    return "\N{LATIN SMALL LETTER E WITH ACUTE}" * 1_000_000


def returns_deep_list(_event: Any, _context: Any) -> list[Any]:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    return deep


def returns_tuple_keys(_event: Any, _context: Any) -> dict[Any, Any]:
    return {(1, 2): 3}


class Haunted:
    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(f"boo, {name}")


class HauntedMapping(dict[str, Any]):
    def items(self) -> NoReturn:
        raise LookupError("boo")


class Undisposable:
    def __await__(self) -> Iterator[None]:
        yield

    def close(self) -> NoReturn:
        raise RuntimeError("boo")


def returns_haunted_object(_event: Any, _context: Any) -> Haunted:
    return Haunted()


def returns_haunted_mapping(_event: Any, _context: Any) -> HauntedMapping:
    return HauntedMapping(a=1)


def returns_undisposable(_event: Any, _context: Any) -> Undisposable:
    return Undisposable()


def returns_decimal(_event: Any, _context: Any) -> dict[str, Any]:
    return {"total": Decimal("12.50"), "items": [Decimal(1)], "nothing": None}


def returns_signalling_nan(_event: Any, _context: Any) -> Decimal:
    return Decimal("sNaN")


# --- time ---


def sleeps(_event: Any, _context: Any) -> None:
    time.sleep(600)


def spins(_event: Any, _context: Any) -> NoReturn:
    while True:
        pass


def catches_every_exception(_event: Any, _context: Any) -> NoReturn:
    while True:
        try:
            time.sleep(600)
        except Exception:
            pass


def swallows_everything(event: Any, _context: Any) -> NoReturn:
    if isinstance(event, dict) and "started" in event:
        Path(event["started"]).touch()
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            pass


def hangs_when_called_again(_event: Any, _context: Any) -> None:
    global calls
    calls += 1
    if calls > 1:
        time.sleep(600)


def starts_and_sleeps(event: Any, _context: Any) -> None:
    Path(event["started"]).touch()
    time.sleep(600)


def sets_an_alarm_of_its_own(_event: Any, _context: Any) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
    time.sleep(600)


# --- output and input ---


def prints_megabytes(_event: Any, _context: Any) -> None:
    import logging
    import subprocess

    print("to stdout " * 200_000)
    print("to stderr " * 200_000, file=sys.stderr)
    sys.__stdout__.write("to the first stdout")  # type: ignore[union-attr] # here it is open
    os.write(1, b"to descriptor 1 " * 100_000)
    os.write(2, b"to descriptor 2 " * 100_000)
    subprocess.run([sys.executable, "-c", "print('from a child ' * 100_000)"], check=True)
    logging.getLogger("orders").error("to the log")


def prints_hostile_text(_event: Any, _context: Any) -> None:
    print(HOSTILE)
    print("\x1b[31mthe end")


def prints_through_c(_event: Any, _context: Any) -> None:
    import ctypes

    ctypes.CDLL(None).puts(b"printed by a C library")


def prints_in_the_background(_event: Any, _context: Any) -> None:
    def chatter() -> None:
        while True:
            print("chatter")
            os.write(1, b"chatter\n")
            time.sleep(0.001)

    threading.Thread(target=chatter, daemon=True).start()


def prints_at_exit(_event: Any, _context: Any) -> None:
    import atexit

    atexit.register(print, "good bye")


def prints_at_last_flush(_event: Any, _context: Any) -> None:
    global late
    late = os.fdopen(os.dup(1), "w") if late is None else late
    late.write("late")


late: Any = None


def prints_to_unflushed_descriptor_1(_event: Any, _context: Any) -> None:
    global late
    late = open(1, "w", encoding="utf-8", closefd=False) if late is None else late  # noqa: SIM115
    late.write("late")


def reads_stdin(_event: Any, _context: Any) -> str:
    if sys.stdin.read() or os.read(0, 10):
        raise AssertionError("there is something on standard input")
    return "nothing there"


def asks(_event: Any, _context: Any) -> str:
    return input("who are you? ")


def closes_stdout(_event: Any, _context: Any) -> None:
    sys.stdout.close()
    sys.stderr.close()


def closes_the_first_stdout(_event: Any, _context: Any) -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream and not stream.closed:
            stream.close()


def closes_descriptors(_event: Any, _context: Any) -> None:
    for fd in (0, 1, 2):
        os.close(fd)


def takes_stdout_away(_event: Any, _context: Any) -> None:
    sys.stdout = sys.stderr = None


def wraps_stdout(_event: Any, _context: Any) -> None:
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    print("wrapped")


# --- threads, children, memory ---


def computes_in_threads(_event: Any, _context: Any) -> None:
    threads = [threading.Thread(target=burn, args=(0.1,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def computes_in_child(_event: Any, _context: Any) -> None:
    import subprocess

    script = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", script], check=True)


def forks(_event: Any, _context: Any) -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def forks_and_lets_the_child_go_on(_event: Any, _context: Any) -> None:
    os.fork()


def leaves_a_thread_behind(_event: Any, _context: Any) -> None:
    threading.Thread(target=time.sleep, args=(600,)).start()


def works_in_four_forks(_event: Any, _context: Any) -> None:
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            time.sleep(0.2)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def leaves_a_child_behind(event: Any, _context: Any) -> None:
    import subprocess

    child = subprocess.Popen(["sleep", "600"])
    with Path(event["children"]).open("a", encoding="ascii") as stream:
        stream.write(f"{child.pid}\n")
    child.returncode = 0  # so that nobody complains of it


def needs_300_mb(_event: Any, _context: Any) -> int:
    return len(b"x" * 300_000_000)


def needs_300_mb_in_a_child(_event: Any, _context: Any) -> None:
    import subprocess

    subprocess.run([sys.executable, "-c", "len(b'x' * 300_000_000)"], check=True)


def leaks(_event: Any, _context: Any) -> None:
    leaked.append(b"x" * 40_000_000)


def runs_out_of_memory(_event: Any, _context: Any) -> bytes:
    return bytes(1 << 62)


# --- the state of the process ---


def mutates_event(event: Any, _context: Any) -> None:
    if event != {"items": [1, {"deep": True}]}:
        raise AssertionError(f"not the event that was given: {event}")
    event["items"][1].clear()
    event["items"].append(2)
    event["extra"] = True


def counts_calls(event: Any, _context: Any) -> None:
    with Path(event["to"]).open("a", encoding="ascii") as stream:
        stream.write("called\n")


def clears_environment(_event: Any, _context: Any) -> None:
    os.environ.clear()


def changes_environment(_event: Any, _context: Any) -> None:
    os.environ["AWS_REGION"] = "mars-1"
    os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "somebody else"
    os.environ["COLUMNS"] = "40"
    os.environ["LEFT_BEHIND"] = "yes"


def changes_folder(_event: Any, _context: Any) -> None:
    os.chdir("/")


def changes_decimal_context(_event: Any, _context: Any) -> None:
    decimal.getcontext().prec = 2


def traps_inexact_decimals(_event: Any, _context: Any) -> None:
    decimal.getcontext().traps[decimal.Inexact] = True


def lowers_the_recursion_limit(_event: Any, _context: Any) -> None:
    sys.setrecursionlimit(80)
