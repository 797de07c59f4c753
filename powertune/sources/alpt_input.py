"""The input of AWS Lambda Power Tuning (ALPT), read into powertune's own words.

Keys, defaults and limits are those of ALPT 4.4.0, so that a file that worked there means the same here. Two things are
stricter: what would fail there after everything was paid for fails here before, and flags have to be `true` or `false`.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from powertune import text
from powertune.aws_lambda.function_name import checked_alias, parse_function
from powertune.aws_lambda.memory import checked_size
from powertune.errors import BadInputError, UsageError
from powertune.model.recommendation import STRATEGIES, Strategy
from powertune.sources.payloads import check_size, json_problem, read_text

KEYS = (
    "lambdaARN", "num", "powerValues", "payload", "payloadS3", "parallelInvocation", "strategy", "balancedWeight",
    "autoOptimize", "autoOptimizeAlias", "dryRun", "preProcessorARN", "postProcessorARN", "discardTopBottom",
    "sleepBetweenRunsMs", "onlyColdStarts", "allowedExceptions", "disablePayloadLogs", "includeOutputResults",
)  # fmt: skip
"""What ALPT takes. The last two need nothing: payloads are never shown here, and figures of all sizes always are."""

_ALL_SIZES_MB = tuple(range(128, 3008 + 1, 64))
_FEWEST_SAMPLES = 5
_USUAL_WEIGHT = 0.5
_USUAL_TRIM, _LARGEST_TRIM = 0.2, 0.4
_S3_URL = re.compile(r"s3://[^/\s]+/.+", re.DOTALL)
_DIGITS = re.compile(r"[0-9]{1,9}")
_NOUN, _FORMS = "ALPT input", "give a JSON file, - for standard input, or the JSON itself"
_EXAMPLE = '{"lambdaARN": "arn:aws:lambda:eu-west-1:123456789012:function:orders", "num": 10}'

WeightedPayload = tuple[float, str]
"""A weight above 0, relative to the others, and the JSON text it is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlptInput:
    """What an ALPT input asks for."""

    function_arn: str
    samples: int
    """Invocations for each memory size."""
    sizes: tuple[int, ...] | None = None
    """Memory sizes in MB, ascending; None for the usual ones."""
    payload: str | None = None
    """JSON text; None where the payload is in S3 or there are weighted ones."""
    payload_s3: str | None = None
    """`s3://bucket/key`; what is found there is for `payloads_in_text` to read."""
    weighted_payloads: tuple[WeightedPayload, ...] = ()
    parallel: bool = False
    strategy: Strategy = "cost"
    balanced_weight: float = _USUAL_WEIGHT
    """Weight of cost against speed, 0 to 1."""
    apply: bool = False
    alias: str | None = None
    """Alias to point at a version with the chosen size; only where `apply` is set."""
    dry_run: bool = False
    """One invocation for each size, and nothing is applied."""
    pre_processor: str | None = None
    post_processor: str | None = None
    trim: float = _USUAL_TRIM
    """Share of the durations to leave out at each end, 0 to 0.4."""
    pause_ms: int = 0
    """Pause between invocations that are not parallel."""
    only_cold_starts: bool = False
    allowed_errors: tuple[str, ...] = ()
    """Values of `errorType` that count as success."""
    ignored_keys: tuple[str, ...] = ()
    """Keys that ALPT does not know, as given: text from outside."""


def read_alpt_input(spec: str) -> AlptInput:
    """Return the input that `spec` stands for: a path, `-` for standard input, or the JSON itself.

    Raises BadInputError, naming the key that is wrong.
    """
    content = read_text(spec, noun=_NOUN, hint=_FORMS)
    problem = json_problem(content)
    if problem is not None:
        raise BadInputError(f"the {_NOUN} is not JSON{problem}", hint=_FORMS)
    return parse_alpt_input(json.loads(content))


def parse_alpt_input(document: object) -> AlptInput:
    """Return what an input, given as the JSON value it is, asks for. Raises BadInputError, naming the wrong key."""
    if not isinstance(document, dict):
        raise BadInputError(f"the {_NOUN} is not a JSON object", hint=f"it looks like {_EXAMPLE}")
    try:
        return _read(document)
    except RecursionError:
        raise BadInputError(f"the {_NOUN} is nested too deeply", hint="give a payload that Lambda can take") from None


def _read(given: Mapping[str, Any]) -> AlptInput:
    ignored_keys = tuple(key for key in given if key not in KEYS)
    if not given.get("lambdaARN"):
        misspelt = any("lambdaARN" in text.nearest(key, KEYS) for key in ignored_keys)
        raise BadInputError(
            "lambdaARN, the function to tune, is missing",
            hint="did you mean lambdaARN? Capitals matter" if misspelt else f"it looks like {_EXAMPLE}",
        )
    dry_run, only_cold_starts = _flag(given, "dryRun"), _flag(given, "onlyColdStarts")
    apply = _flag(given, "autoOptimize") and not dry_run
    payload_s3 = _named(given, "payloadS3", _s3_url)
    payload, weighted_payloads = (None, ()) if payload_s3 else payloads_in(given.get("payload"))
    for key in ("disablePayloadLogs", "includeOutputResults"):
        _flag(given, key)
    return AlptInput(
        function_arn=str(_named(given, "lambdaARN", _function)),
        samples=1 if dry_run else _samples(given.get("num")),
        sizes=_sizes(given.get("powerValues")),
        payload=payload,
        payload_s3=payload_s3,
        weighted_payloads=weighted_payloads,
        parallel=_flag(given, "parallelInvocation"),
        strategy=_strategy(given.get("strategy")),
        balanced_weight=_balanced_weight(given),
        apply=apply,
        alias=_named(given, "autoOptimizeAlias", checked_alias) if apply else None,
        dry_run=dry_run,
        pre_processor=_named(given, "preProcessorARN", _function),
        post_processor=_named(given, "postProcessorARN", _function),
        trim=0.0 if only_cold_starts else _trim(given.get("discardTopBottom")),
        pause_ms=_pause_ms(given.get("sleepBetweenRunsMs")),
        only_cold_starts=only_cold_starts,
        allowed_errors=_error_types(given.get("allowedExceptions")),
        ignored_keys=ignored_keys,
    )


def payloads_in(value: object) -> tuple[str | None, tuple[WeightedPayload, ...]]:
    """Return the JSON text that ALPT sends for a payload, or None and the weighted payloads that it takes it for.

    It takes a list for weighted payloads if each item has a weight and a payload that are truthy in JavaScript. It
    sends what is not truthy as `null`, a string that is JSON as it is, and any other string quoted. Raises
    BadInputError for a weight that is no number above 0, and for a payload larger than Lambda takes.
    """
    if not isinstance(value, list) or not value or not all(_is_weighted(item) for item in value):
        return _as_sent(value, "payload"), ()
    weighted: list[WeightedPayload] = []
    for index, item in enumerate(value):
        weight = item["weight"]
        if not _is_number(weight) or not weight > 0:
            raise BadInputError(
                f"payload[{index}].weight is {_shown(weight)}, which is no weight", hint="give a number above 0"
            )
        weighted.append((weight, _as_sent(item["payload"], f"payload[{index}].payload")))
    return None, tuple(weighted)


def payloads_in_text(content: str) -> tuple[str | None, tuple[WeightedPayload, ...]]:
    """Return the same as `payloads_in` for text found in S3, which is a value if it is JSON and a string if not."""
    return payloads_in(json.loads(content) if json_problem(content) is None else content)


def _is_weighted(item: object) -> bool:
    return isinstance(item, dict) and _is_truthy(item.get("weight")) and _is_truthy(item.get("payload"))


def _is_truthy(value: object) -> bool:
    """Return whether JavaScript takes a JSON value for true: empty lists and objects, too."""
    return isinstance(value, list | dict) or bool(value)


def _as_sent(value: object, key: str) -> str:
    if not _is_truthy(value):
        return "null"
    if isinstance(value, str) and json_problem(value) is None:
        sent = value
    else:
        sent = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if not _is_unicode(sent):  # half a surrogate pair can only be sent as its escape
            sent = json.dumps(value, separators=(",", ":"))
    check_size(sent, "JSON text of", key)
    return sent


def _is_unicode(content: str) -> bool:
    try:
        content.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _flag(given: Mapping[str, Any], key: str) -> bool:
    value = given.get(key)
    if value is not None and not isinstance(value, bool):
        raise BadInputError(f"{key} is {_shown(value)}, not true or false", hint="write it without quotes")
    return bool(value)


def _named(given: Mapping[str, Any], key: str, check: Callable[[str], str]) -> str | None:
    """Return the text under a key, None where there is none or it is empty. `check` raises UsageError."""
    value = given.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise BadInputError(f"{key} is {_shown(value)}, not text", hint="give it in quotes, or leave it out")
    try:
        return check(value)
    except UsageError as error:
        raise BadInputError(f"{key}: {error.message}", hint=error.hint) from None


def _function(spec: str) -> str:
    parse_function(spec)
    return spec


def _s3_url(url: str) -> str:
    if not _S3_URL.fullmatch(url):
        raise UsageError(
            f"{text.printable(url, limit=80)!r} is not the place of an object in S3", hint="write it s3://bucket/key"
        )
    return url


def _samples(value: object) -> int:
    samples = _whole(value)
    if samples is None or samples < _FEWEST_SAMPLES:
        what = "missing" if value is None else _shown(value)
        raise BadInputError(
            f"num, the invocations for each memory size, is {what}",
            hint=f"give a whole number of {_FEWEST_SAMPLES} or more",
        )
    return samples


def _sizes(value: object) -> tuple[int, ...] | None:
    if value is None or value in ("", []):
        return None
    if value == "ALL":
        return _ALL_SIZES_MB
    if not isinstance(value, list):
        raise BadInputError(
            f"powerValues is {_shown(value)}, not a list of memory sizes", hint='write [128, 512, 1024] or "ALL"'
        )
    sizes = set()
    for item in value:
        size = _whole(item)
        if size is None:
            raise BadInputError(f"powerValues holds {_shown(item)}, which is no size", hint="give whole numbers, in MB")
        try:
            sizes.add(checked_size(size))
        except UsageError as error:
            raise BadInputError(f"powerValues: {error.message}", hint=error.hint) from None
    return tuple(sorted(sizes))


def _strategy(value: object) -> Strategy:
    if not _is_truthy(value):
        return "cost"
    for strategy in STRATEGIES:
        if value == strategy:
            return strategy
    raise BadInputError(
        f"strategy is {_shown(value)}, which there is none of",
        hint=text.nearest(str(value), STRATEGIES) or f"choose from {', '.join(STRATEGIES)}",
    )


def _balanced_weight(given: Mapping[str, Any]) -> float:
    if "balancedWeight" not in given:
        return _USUAL_WEIGHT
    value = given["balancedWeight"]
    return 0.0 if value is None else _clamped("balancedWeight", value, 1.0)


def _trim(value: object) -> float:
    return _USUAL_TRIM if value is None else _clamped("discardTopBottom", value, _LARGEST_TRIM)


def _clamped(key: str, value: Any, largest: float) -> float:
    if not _is_number(value):
        raise BadInputError(f"{key} is {_shown(value)}, not a number", hint=f"give one from 0 to {largest:g}")
    return float(min(max(value, 0.0), largest))


def _pause_ms(value: Any) -> int:
    """Return a pause in whole milliseconds, and none for what is no number: ALPT ignores that, too."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return max(0, int(value)) if _is_number(value) else 0


def _error_types(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadInputError(
            f"allowedExceptions is {_shown(value)}, not a list of error types", hint='write ["MyError", "OtherError"]'
        )
    return tuple(value)


def _whole(value: object) -> int | None:
    """Return a whole number that is given as one, or as text as ALPT also takes it."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    return text.printable(json.dumps(value, ensure_ascii=False), limit=60)
