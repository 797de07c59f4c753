"""What can be done while other processes are at work: loading libraries, scaling calls."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SWITCH_S = 0.0005
"""How long a thread may keep the interpreter from the other, which has processes to look after."""


def nothing() -> None:
    """Do nothing, where there is nothing to do aside."""


@contextmanager
def aside(*tasks: Callable[[], object]) -> Iterator[None]:
    """Do the tasks in another thread while the block waits for processes; raise then what they raised.

    On a machine with one core they would only slow down what the block waits for, so they come after it. Where the
    block fails nobody waits for them.
    """
    problems: list[BaseException] = []

    def work() -> None:
        try:
            for task in tasks:
                task()
        except BaseException as error:  # noqa: BLE001 - raised below
            problems.append(error)

    thread = threading.Thread(target=work, daemon=True)
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        has_room = (os.cpu_count() or 1) > 1
        if has_room:
            thread.start()
        yield
        if not has_room:
            thread.start()
        thread.join()
    finally:
        sys.setswitchinterval(usual_s)
    if problems:
        raise problems[0]
