"""Functions that a log says were started: JSON logs name the function where an invocation starts, not where it ends."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from powertune.aws_lambda.function_name import parse_function
from powertune.errors import UsageError
from powertune.sources.recording import Origin, Recording

_MOST_RUNNING = 100_000
"""Invocations that may be under way at once; the oldest are forgotten beyond that."""


class Started:
    """Knows which function a request belongs to.

    While one function was named, all records of the file are its own. From the second on, records belong to the
    function that was started with their request id.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._by_arn: dict[str, Origin] = {}
        self._running: dict[str, Origin] = {}

    @property
    def are_several(self) -> bool:
        """Whether more than one function was named."""
        return len(self._recording.named) > 1

    def note(self, document: Mapping[str, Any]) -> None:
        """Note what a `platform.start` object says."""
        record = document.get("record")
        if not isinstance(record, dict):
            return
        arn, request_id = record.get("functionArn"), record.get("requestId")
        if isinstance(arn, str) and (origin := self.name(arn)) and isinstance(request_id, str):
            self._running[request_id] = origin
            if len(self._running) > _MOST_RUNNING:
                del self._running[next(iter(self._running))]

    def name(self, arn: str) -> Origin | None:
        """Note that a function was named, and return it; None for what names none."""
        known = self._by_arn.get(arn)
        if known is None:
            try:
                function = parse_function(arn)
            except UsageError:
                return None
            known = Origin(function.name, region=function.region)
            # Versions and aliases of a function are one function.
            if f"{known.region}:{known.function}" not in self._recording.named:
                self._recording.name_all()  # what came before is the one function's
                self._recording.named[f"{known.region}:{known.function}"] = known
            if len(self._by_arn) < _MOST_RUNNING:
                self._by_arn[arn] = known
        return known

    def origin_of(self, request_id: str, origin: Origin) -> Origin:
        """Return the origin of a record, with the function that was started for its request where that is needed."""
        started = self._running.pop(request_id, None)
        if started is None or origin.function is not None or not self.are_several:
            return origin
        return replace(origin, function=started.function, region=origin.region or started.region)
