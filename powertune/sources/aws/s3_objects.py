"""Recordings kept in S3: the objects of a prefix, each read as a stream that goes on where a connection broke."""

import os
import re
from functools import lru_cache
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from powertune import text
from powertune.errors import BadInputError
from powertune.sources.aws.clients import Aws, explained, told

_URL = re.compile(r"s3://(?P<bucket>[^/\s]+)(?:/(?P<key>.*))?", re.DOTALL)
_MOST_BREAKS = 5
"""Times in a row that a connection may break before that is an error."""


def find_objects(url: str) -> list[tuple[str, int]]:
    """Return the URLs and sizes in bytes of the object that `url` names, or else of all that begin so, by name.

    Raises PowertuneError.
    """
    bucket, prefix = _parsed(url)
    shown = text.printable(url, limit=120)
    found: list[tuple[str, int]] = []
    with told(f"listing {shown}"):
        pages = _aws().s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Contents", ()):
                if item["Key"] == prefix:
                    return [(url, int(item["Size"]))]
                if item["Size"]:  # what stands for folders is empty
                    found.append((f"s3://{bucket}/{item['Key']}", int(item["Size"])))
    if not found:
        raise BadInputError(f"there are no objects at {shown}", hint="check bucket and prefix: aws s3 ls shows them")
    return found


def open_object(url: str) -> "S3Object":
    """Return an object in S3 to read from. Raises PowertuneError."""
    return S3Object(*_parsed(url), shown=text.printable(url, limit=120))


class S3Object:
    """Reads an object from its beginning to its end."""

    def __init__(self, bucket: str, key: str, *, shown: str) -> None:
        self._bucket = bucket
        self._key = key
        self._shown = shown
        self._tag: str | None = None
        self._place = 0
        self._end = 0
        self._body: Any = None
        self._open()

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer with some bytes and return how many; 0 at the end. Raises PowertuneError."""
        breaks = 0
        while self._place < self._end:
            try:
                data = self._body.read(len(buffer))
                if data:
                    buffer[: len(data)] = data
                    self._place += len(data)
                    return len(data)
                error: Exception = EOFError("it broke off")
            except (BotoCoreError, OSError) as caught:
                error = caught
            breaks += 1
            if breaks > _MOST_BREAKS:
                raise BadInputError(
                    f"{self._shown} cannot be read: {text.printable(error, limit=120)}", hint="try again"
                ) from error
            self._body.close()
            self._open()
        return 0

    def close(self) -> None:
        """Close the connection."""
        self._body.close()

    def _open(self) -> None:
        """Begin to read at the place that was reached: of the same object, and not of one that took its place."""
        same = {} if self._tag is None else {"Range": f"bytes={self._place}-", "IfMatch": self._tag}
        try:
            answer = _aws().s3.get_object(Bucket=self._bucket, Key=self._key, **same)
        except (ClientError, BotoCoreError) as error:
            raise explained(error, f"reading {self._shown}") from error
        self._body = answer["Body"]
        if self._tag is None:
            self._tag, self._end = answer["ETag"], int(answer["ContentLength"])


def _parsed(url: str) -> tuple[str, str]:
    parts = _URL.fullmatch(url)
    if parts is None:
        raise BadInputError(
            f"{text.printable(url, limit=120)} is no place in S3", hint="write s3://BUCKET/KEY or s3://BUCKET/PREFIX"
        )
    return parts["bucket"], parts["key"] or ""


def _aws() -> Aws:
    settings = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    return _connected(os.getpid(), settings)


@lru_cache(maxsize=4)
def _connected(_process: int, _settings: tuple[tuple[str, str], ...]) -> Aws:
    """Return clients of this process: connections cannot be shared with those that it was copied from."""
    # S3 sends on to the bucket's own region whoever asks in another.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return Aws(region)
