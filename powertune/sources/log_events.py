"""Log events that came wrapped in JSON, put together to text again and read as any log is."""

from collections import defaultdict

from powertune.sources.bulk.block import Block
from powertune.sources.bulk.log_reader import LogReader
from powertune.sources.line_reader import LineReader
from powertune.sources.log_prefix import Prefix
from powertune.sources.recording import Origin, Recording

_ENOUGH = 1 << 20
"""Characters of waiting events with which it is time to read them."""


class LogEvents:
    """Gathers log events, and reads many at once: that is far quicker than one by one."""

    def __init__(self, recording: Recording, shown: str) -> None:
        self._recording = recording
        self._shown = shown
        self._waiting: dict[Origin, list[str]] = defaultdict(list)
        self._size = 0

    def add(self, origin: Origin, prefix: Prefix, message: str) -> None:
        """Take an event: which function it is of, when and in which stream it was logged, and its text."""
        stream = "" if prefix.stream is None else f"{prefix.stream} "
        # Without a prefix a blank line parts it from the event before.
        before = "\n" if prefix.at_ms is None and not stream else ""
        time = "" if prefix.at_ms is None else f"{prefix.at_ms:013} "
        self._waiting[origin].append(f"{before}{time}{stream}{message.rstrip()}\n")
        self._size += len(message)
        if self._size >= _ENOUGH:
            self.flush()

    def flush(self) -> None:
        """Read what was gathered. Raises BadInputError."""
        waiting, self._waiting, self._size = self._waiting, defaultdict(list), 0
        for origin, events in waiting.items():
            block = Block.of("".join(events).encode("utf-8", "backslashreplace"))
            lines = LineReader(self._recording, self._shown, skip_invalid=True, add_event=self._ignore, origin=origin)
            lines.interrupt()
            LogReader(self._recording, lines).read(block, block.end)
            lines.close()

    def _ignore(self, origin: Origin, prefix: Prefix, message: str) -> None:
        """Leave alone what is wrapped twice: the log of a function that reads logs."""
