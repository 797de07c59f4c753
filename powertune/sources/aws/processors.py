"""What a user has called before and after each invocation: a Lambda function, or a Python function on this machine."""

import json
from collections.abc import Callable
from typing import Any

from powertune import text
from powertune.aws_lambda.function_name import parse_function
from powertune.errors import AwsError, BadInputError
from powertune.sources.aws.clients import Aws, told
from powertune.sources.aws.measuring import Processors
from powertune.sources.handler import load_handler, split_handler

_LONGEST_S = 900
_CONNECTIONS = 24


def processors(pre: str | None, post: str | None, *, profile: str | None = None) -> Processors:
    """Return the processors named by an ARN of a Lambda function, or as `module:function`. Raises PowertuneError."""
    before = _callable(pre, profile) if pre else None
    after = _callable(post, profile) if post else None
    return Processors(
        pre=None if before is None else _guarded_pre(before, str(pre)),
        post=None if after is None else _guarded_post(after, str(post)),
    )


def _callable(spec: str, profile: str | None) -> Callable[[Any], Any]:
    if not spec.startswith("arn:"):
        return load_handler(*split_handler(spec))  # type: ignore[return-value] # called with one argument
    client = Aws(parse_function(spec).region, profile=profile).invoking(_LONGEST_S, _CONNECTIONS)

    def invoke(value: Any) -> Any:
        with told(f"invoking the processor {text.printable(spec)}"):
            answer = client.invoke(FunctionName=spec, Payload=json.dumps(value).encode())
            body = answer["Payload"].read()
        if answer.get("FunctionError"):
            raise AwsError(f"the processor {text.printable(spec)} failed", hint="see its logs")
        return json.loads(body) if body else None

    return invoke


def _guarded_pre(call: Callable[[Any], Any], spec: str) -> Callable[[str], str | None]:
    def pre(payload: str) -> str | None:
        found = _called(call, json.loads(payload), spec)
        return None if found is None else json.dumps(found)

    return pre


def _guarded_post(call: Callable[[Any], Any], spec: str) -> Callable[[bytes], None]:
    def post(response: bytes) -> None:
        try:
            value = json.loads(response)
        except ValueError:
            value = response.decode("utf-8", "replace")
        _called(call, value, spec)

    return post


def _called(call: Callable[[Any], Any], value: Any, spec: str) -> Any:
    try:
        return call(value)
    except AwsError:
        raise
    except Exception as error:
        raise BadInputError(
            f"the processor {text.printable(spec, limit=80)} failed: {type(error).__name__}: {text.printable(error)}",
            hint="mend it; the invocations so far are kept",
        ) from error
