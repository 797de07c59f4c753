"""An event loop for code that is not asynchronous, which signals cannot break."""

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from powertune.errors import UsageError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_Result = TypeVar("_Result")


class EventLoop:
    """Runs coroutines to their end, one after the other; between them everything in the loop stands still.

    An exception raised by a signal in the middle of the loop's own work would lose what that work was about. So a
    signal that has a handler cancels the coroutine instead, and comes to its handler when the loop has stopped.
    """

    def __enter__(self) -> Self:
        """Make the loop. Raises UsageError where this thread is running one already."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._runner = asyncio.Runner()
            return self
        raise UsageError("this cannot be run from within an event loop", hint="use asyncio.to_thread")

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Cancel what is left and close the loop."""
        self._runner.close()

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Return what the coroutine returns. Raises what it raises, or KeyboardInterrupt after a signal."""
        came: list[int] = []
        loop = self._runner.get_loop()
        task = loop.create_task(coroutine)

        def note(number: int, _frame: FrameType | None) -> None:
            came.append(number)
            loop.call_soon_threadsafe(task.cancel)

        with _handled_by(note):
            try:
                loop.run_until_complete(task)
            except asyncio.CancelledError:
                if not came:
                    raise
        for number in came:
            signal.raise_signal(number)
        if task.cancelled():
            raise KeyboardInterrupt  # the handler did not
        return task.result()


@contextmanager
def _handled_by(note: Any) -> Iterator[None]:
    """Have `note` called for signals that have a handler, in the main thread; elsewhere none arrive."""
    in_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS if in_main}
    ours = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in ours:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
