"""Things done in another thread while other processes are waited for."""

import os
import sys
import threading

import pytest

from powertune.sources.aside import aside


def test_tasks_run_in_order_in_another_thread_while_the_block_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    done = threading.Event()
    ran: list[threading.Thread | None] = []

    def second() -> None:
        ran.append(threading.current_thread())
        done.set()

    with aside(lambda: ran.append(None), second):
        assert done.wait(30)
    assert ran[0] is None
    assert ran[1] is not threading.current_thread()


def test_on_one_core_tasks_come_after_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    order = []
    with aside(lambda: order.append("task")):
        order.append("block")
    assert order == ["block", "task"]


def test_what_a_task_raises_is_raised_behind_the_block() -> None:
    reached = False
    with pytest.raises(ZeroDivisionError), aside(lambda: 1 // 0):
        reached = True
    assert reached


def test_a_block_that_fails_does_not_wait_for_its_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    usual, let_go = sys.getswitchinterval(), threading.Event()
    with pytest.raises(KeyError), aside(lambda: let_go.wait(30)):
        raise KeyError
    assert sys.getswitchinterval() == usual
    let_go.set()
