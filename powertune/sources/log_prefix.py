"""What tools write before a log event on its line: when it was logged, and in which log stream.

Forms: `aws logs tail` (detailed, short), `sam logs`, exports to S3 (ISO 8601, or ms of Unix time), and a stream alone.
Names of streams: AWS Lambda developer guide, "Sending Lambda function logs to CloudWatch Logs", read 2026-11-25. In a
log group that functions share, a stream's name holds the function's.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

_TIME = (
    rb"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[T ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
    rb"(?:\.(?P<fraction>[0-9]{3})[0-9]{0,6})?(?:Z|\+00:00)?|(?P<epoch_ms>[0-9]{13})"
)
_STREAM = (
    rb"[0-9]{4}/[0-9]{2}/[0-9]{2}/(?P<function>[a-zA-Z0-9_-]{1,140})?"
    rb"\[(?:\$LATEST|[a-zA-Z0-9_-]{1,128})\][0-9a-f]{1,64}"
)
_PREFIX = re.compile(
    rb"(?:(?:" + _TIME + rb")[ \t])?(?P<stream>" + _STREAM + rb")?[ \t]?"
    rb"(?:(?<=[0-9a-f] )(?P<later>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,9})?(?:Z|\+00:00)?) )?"
)
_STREAM_NAME = re.compile(_STREAM)
_TIME_ALONE = re.compile(_TIME)
_LONGEST = 400
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Prefix:
    """What is known of a log event beside its text."""

    at_ms: int | None = None
    """When it was logged, in ms of Unix time; times without a zone are taken for UTC."""
    function: str | None = None
    stream: str | None = None


NOTHING = Prefix()


def read_prefix(prefix: bytes) -> Prefix | None:
    """Return what a prefix says, which ends where the event's text begins; None if it is none of the known forms."""
    if not prefix:
        return NOTHING
    matched = _PREFIX.fullmatch(prefix) if len(prefix) <= _LONGEST else None
    if matched is None:
        return None
    time = matched if matched["date"] or matched["epoch_ms"] else _TIME_ALONE.match(matched["later"] or b"")
    at_ms = None
    if time:
        at_ms = int(time["epoch_ms"]) if time["epoch_ms"] else _ms_of(time)
    stream = matched["stream"]
    if stream is None:
        return Prefix(at_ms)
    function = matched["function"]
    return Prefix(at_ms, function.decode() if function else None, stream.decode())


def read_time(text: str) -> int | None:
    """Return a time as ms of Unix time; None if it is in no known form."""
    matched = _TIME_ALONE.fullmatch(text.strip().encode("ascii", "replace"))
    if matched is None:
        return None
    return int(matched["epoch_ms"]) if matched["epoch_ms"] else _ms_of(matched)


def read_stream(name: str) -> Prefix:
    """Return what the name of a log stream says; nothing for streams that are not Lambda's."""
    matched = _STREAM_NAME.fullmatch(name.encode("ascii", "replace"))
    if matched is None:
        return NOTHING
    return Prefix(None, matched["function"].decode() if matched["function"] else None, name)


def _ms_of(time: re.Match[bytes]) -> int | None:
    day_ms = midnight_ms(time["date"])
    if day_ms is None:
        return None
    seconds = (int(time["hour"]) * 60 + int(time["minute"])) * 60 + int(time["second"])
    return day_ms + seconds * 1000 + int(time["fraction"] or 0)


@lru_cache(maxsize=1000)
def midnight_ms(day: bytes) -> int | None:
    """Return the beginning of a day, written `2026-11-25`, in ms of Unix time; None where there is no such day."""
    try:
        return (date.fromisoformat(day.decode("ascii")).toordinal() - _EPOCH) * _DAY_MS
    except ValueError:
        return None
