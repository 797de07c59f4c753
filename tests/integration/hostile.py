"""Handlers that attack the process they run in, each in its own way: tests copy this file and call them by name."""
# ruff: noqa: PLC0415, S110, SIM105, BLE001, PLW0603 - handlers are allowed to be careless, that is what they are here for

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

calls = 0


def answers(_event: Any, _context: Any) -> dict[str, bool]:
    return {"ok": True}


# --- ending the process ---


def exits(_event: Any, _context: Any) -> NoReturn:
    sys.exit(3)


def ends_the_process(_event: Any, _context: Any) -> NoReturn:
    os._exit(7)


def ends_the_process_in_its_third_call(_event: Any, _context: Any) -> None:
    global calls
    calls += 1
    if calls == 3:
        os._exit(7)


def kills_itself(_event: Any, _context: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crashes_in_c(_event: Any, _context: Any) -> None:
    import ctypes

    ctypes.string_at(0)


def kills_its_parent(_event: Any, _context: Any) -> None:
    if not os.fork():
        time.sleep(600)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)


def stops_itself(_event: Any, _context: Any) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


# --- taking more than it is given ---


def starts_two_thousand_processes(_event: Any, _context: Any) -> None:
    for _ in range(2000):
        if not os.fork():
            time.sleep(600)
    time.sleep(600)


def takes_two_gigabytes(_event: Any, _context: Any) -> int:
    return len(b"x" * (2 << 30))


def takes_a_gigabyte_in_children(_event: Any, _context: Any) -> None:
    for _ in range(4):
        if not os.fork():
            held = b"x" * (256 << 20)
            time.sleep(600)
            del held
    time.sleep(600)


def takes_a_gigabyte_in_a_daemon(_event: Any, _context: Any) -> None:
    child = os.fork()
    if not child:
        if not os.fork():
            held = b"x" * (1024 << 20)
            time.sleep(600)
            del held
        os._exit(0)
    os.waitpid(child, 0)
    time.sleep(600)


def writes_a_file_larger_than_tmp(_event: Any, _context: Any) -> None:
    with Path("large").open("wb") as stream:
        stream.truncate(600 << 20)


# --- never coming back ---


def spins(_event: Any, _context: Any) -> NoReturn:
    while True:
        pass


def deadlocks(_event: Any, _context: Any) -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def ignores_every_signal(_event: Any, _context: Any) -> NoReturn:
    for kind in signal.valid_signals():
        try:
            signal.signal(kind, signal.SIG_IGN)
        except OSError:
            pass
    while True:
        pass


def swallows_everything(_event: Any, _context: Any) -> NoReturn:
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            pass


def hangs_with_children(_event: Any, _context: Any) -> None:
    for _ in range(5):
        if not os.fork():
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
    time.sleep(600)


# --- disturbing the line ---


def closes_standard_streams(_event: Any, _context: Any) -> None:
    sys.stdout.close()
    sys.stderr.close()
    for fd in (0, 1, 2):
        try:
            os.close(fd)
        except OSError:
            pass


def closes_every_descriptor(_event: Any, _context: Any) -> None:
    os.closerange(0, 65536)


def writes_to_every_descriptor(_event: Any, _context: Any) -> None:
    for fd in range(1024):
        try:
            os.write(fd, b"\xff\xfe{garbage}\n" * 10)
        except OSError:
            pass


def prints_binary(_event: Any, _context: Any) -> None:
    sys.stdout.buffer.write(bytes(range(256)) * 4096)
    os.write(1, b"\x00\xff\x1b[2J" * 1000)
    print("\udcff")  # noqa: T201 - a lone surrogate


def reads_stdin(_event: Any, _context: Any) -> None:
    if sys.stdin.read():
        raise AssertionError("there is something on standard input")


# --- leaving things behind ---


def leaves_threads_behind(_event: Any, _context: Any) -> None:
    threading.Thread(target=time.sleep, args=(600,)).start()


def leaves_a_daemon_behind(_event: Any, _context: Any) -> None:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 65536)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(600)


def comes_back_twice(_event: Any, _context: Any) -> None:
    os.fork()


# --- changing the interpreter under it ---


def changes_time(_event: Any, _context: Any) -> None:
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, lambda: -1e9)


def takes_builtins_away(_event: Any, _context: Any) -> None:
    import builtins

    for name in ("open", "print", "input", "__import__"):
        setattr(builtins, name, None)


def empties_import_state(_event: Any, _context: Any) -> None:
    sys.path.clear()
    sys.meta_path.clear()
    sys.modules.clear()


def deletes_its_module(_event: Any, _context: Any) -> None:
    sys.modules.pop(__name__, None)
    Path(__file__).unlink(missing_ok=True)


def changes_folder(_event: Any, _context: Any) -> None:
    os.chdir("/")


# --- answering with what cannot be sent ---


class EndOfTheWorld(BaseException):
    pass


def raises_base_exception(_event: Any, _context: Any) -> NoReturn:
    raise EndOfTheWorld("now")


def returns_generator(_event: Any, _context: Any) -> Any:
    yield 1


def returns_seven_megabytes(_event: Any, _context: Any) -> str:
    return "x" * 7_000_000


def returns_a_lock(_event: Any, _context: Any) -> Any:
    return threading.Lock()


def recurses_for_ever(event: Any, context: Any) -> Any:
    return recurses_for_ever(event, context)
