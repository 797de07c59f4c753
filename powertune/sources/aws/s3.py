"""Payloads kept in S3."""

import re

from powertune import text
from powertune.aws_lambda.memory import MAX_PAYLOAD_BYTES
from powertune.errors import BadInputError
from powertune.sources.aws.clients import Aws, told
from powertune.sources.payloads import check_size, json_problem

_URL = re.compile(r"s3://(?P<bucket>[^/\s]+)/(?P<key>.+)", re.DOTALL)


def is_s3_url(spec: str) -> bool:
    """Tell whether `spec` names an object in S3: `s3://bucket/key`."""
    return _URL.fullmatch(spec) is not None


def read_s3_text(aws: Aws, url: str) -> str:
    """Return the text of an object in S3, in UTF-8 and no larger than a payload. Raises PowertuneError."""
    parts = _URL.fullmatch(url)
    shown = text.printable(url, limit=120)
    if parts is None:
        raise BadInputError(f"{shown} is no object in S3", hint="write s3://BUCKET/KEY")
    with told(f"reading {shown}"):
        body: bytes = aws.s3.get_object(Bucket=parts["bucket"], Key=parts["key"])["Body"].read(MAX_PAYLOAD_BYTES + 1)
    try:
        content = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInputError(f"the payload {shown} is not UTF-8 text", hint="store it as JSON in UTF-8") from None
    check_size(content, "payload", shown)
    return content


def read_s3_payload(aws: Aws, url: str) -> str:
    """Return the JSON text of a payload in S3. Raises PowertuneError."""
    content = read_s3_text(aws, url)
    problem = json_problem(content)
    if problem is not None:
        raise BadInputError(
            f"the payload {text.printable(url, limit=120)} is not JSON{problem}", hint="store a whole JSON value"
        )
    return content
