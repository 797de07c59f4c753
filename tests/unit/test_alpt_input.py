"""The input of AWS Lambda Power Tuning (ALPT): what worked there means the same here, what could not is said before."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from powertune.errors import BadInputError
from powertune.sources.alpt_input import (
    KEYS,
    AlptInput,
    parse_alpt_input,
    payloads_in,
    payloads_in_text,
    read_alpt_input,
)

CASES = Path(__file__).parents[3] / "shared" / "data" / "alpt_cases.json"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="the shared cases of ALPT are not beside this checkout")

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:orders"
MINIMAL = {"lambdaARN": ARN, "num": 10}


def read(**keys: Any) -> AlptInput:
    return parse_alpt_input({**MINIMAL, **keys})


def cases(group: str) -> list[dict[str, Any]]:
    """Return inputs with expected figures of ALPT 4.4.0, by the name of their group."""
    found = [case for case in json.loads(CASES.read_text(encoding="utf-8"))["cases"] if case["group"] == group]
    assert found
    return found


def test_an_input_with_the_needed_keys_alone_has_the_defaults_of_alpt() -> None:
    assert parse_alpt_input(MINIMAL) == AlptInput(
        function_arn=ARN,
        samples=10,
        sizes=None,
        payload="null",
        payload_s3=None,
        weighted_payloads=(),
        parallel=False,
        strategy="cost",
        balanced_weight=0.5,
        apply=False,
        alias=None,
        dry_run=False,
        pre_processor=None,
        post_processor=None,
        trim=0.2,
        pause_ms=0,
        only_cold_starts=False,
        allowed_errors=(),
        ignored_keys=(),
    )


def test_every_key_that_alpt_takes_is_understood() -> None:
    full = {
        "lambdaARN": ARN,
        "num": 50,
        "powerValues": [1024, "512", 512, 128],
        "payload": {"order": 1},
        "payloadS3": None,
        "parallelInvocation": True,
        "strategy": "balanced",
        "balancedWeight": 0.7,
        "autoOptimize": True,
        "autoOptimizeAlias": "prod",
        "dryRun": False,
        "preProcessorARN": f"{ARN}-before",
        "postProcessorARN": f"{ARN}-after:live",
        "discardTopBottom": 0.1,
        "sleepBetweenRunsMs": 250,
        "onlyColdStarts": False,
        "allowedExceptions": ["OrderError"],
        "disablePayloadLogs": True,
        "includeOutputResults": True,
    }
    assert set(full) == set(KEYS)
    assert parse_alpt_input(full) == AlptInput(
        function_arn=ARN,
        samples=50,
        sizes=(128, 512, 1024),
        payload='{"order":1}',
        parallel=True,
        strategy="balanced",
        balanced_weight=0.7,
        apply=True,
        alias="prod",
        pre_processor=f"{ARN}-before",
        post_processor=f"{ARN}-after:live",
        trim=0.1,
        pause_ms=250,
        allowed_errors=("OrderError",),
    )


@pytest.mark.parametrize(
    ("keys", "field", "expected"),
    [
        ({"num": 5}, "samples", 5),
        ({"num": 10.0}, "samples", 10),
        ({"num": "20"}, "samples", 20),
        ({"dryRun": True}, "samples", 1),
        ({"dryRun": True, "num": 1}, "samples", 1),
        ({"powerValues": []}, "sizes", None),
        ({"powerValues": None}, "sizes", None),
        ({"powerValues": ["3008", 128]}, "sizes", (128, 3008)),
        ({"powerValues": [10240]}, "sizes", (10240,)),
        ({"strategy": None}, "strategy", "cost"),
        ({"strategy": "speed"}, "strategy", "speed"),
        ({"balancedWeight": None}, "balanced_weight", 0.0),
        ({"balancedWeight": 0}, "balanced_weight", 0.0),
        ({"balancedWeight": -3}, "balanced_weight", 0.0),
        ({"balancedWeight": 10**400}, "balanced_weight", 1.0),
        ({"autoOptimize": None}, "apply", False),
        ({"autoOptimize": True}, "alias", None),
        ({"autoOptimize": True, "autoOptimizeAlias": ""}, "alias", None),
        ({"autoOptimizeAlias": "prod"}, "alias", None),
        ({"autoOptimize": True, "autoOptimizeAlias": "prod", "dryRun": True}, "alias", None),
        ({"autoOptimize": True, "dryRun": True}, "apply", False),
        ({"discardTopBottom": 0}, "trim", 0.0),
        ({"discardTopBottom": -1}, "trim", 0.0),
        ({"discardTopBottom": 0.3, "onlyColdStarts": True}, "trim", 0.0),
        ({"sleepBetweenRunsMs": "100"}, "pause_ms", 100),
        ({"sleepBetweenRunsMs": 1.9}, "pause_ms", 1),
        ({"sleepBetweenRunsMs": -5}, "pause_ms", 0),
        ({"sleepBetweenRunsMs": "soon"}, "pause_ms", 0),
        ({"sleepBetweenRunsMs": None}, "pause_ms", 0),
        ({"sleepBetweenRunsMs": True}, "pause_ms", 0),
        ({"allowedExceptions": None}, "allowed_errors", ()),
        ({"allowedExceptions": []}, "allowed_errors", ()),
        ({"preProcessorARN": ""}, "pre_processor", None),
        ({"payloadS3": "s3://bucket/a%20key.json"}, "payload_s3", "s3://bucket/a%20key.json"),
        ({"payloadS3": "s3://bucket/key", "payload": {"a": 1}}, "payload", None),
        ({"payloadS3": "", "payload": {"a": 1}}, "payload", '{"a":1}'),
        ({"Comment": 1, "powervalues": [128]}, "ignored_keys", ("Comment", "powervalues")),
    ],
)
def test_a_key_means_what_it_means_to_alpt(keys: dict[str, Any], field: str, expected: object) -> None:
    assert getattr(read(**keys), field) == expected


@pytest.mark.parametrize(
    ("keys", "message", "hint"),
    [
        ({"lambdaARN": None}, "lambdaARN", "num"),
        ({"lambdaARN": None, "lambdaArn": ARN}, "lambdaARN", "did you mean lambdaARN"),
        ({"lambdaARN": 7}, "lambdaARN is 7", "quotes"),
        ({"lambdaARN": "arn:aws:s3:::bucket"}, "lambdaARN: 'arn:aws:s3:::bucket'", "function"),
        ({"num": None}, "num.* is missing", "5 or more"),
        ({"num": 4}, "num.* is 4", "5 or more"),
        ({"num": 7.5}, "num.* is 7.5", "whole"),
        ({"num": True}, "num.* is true", "whole"),
        ({"num": "ten"}, 'num.* is "ten"', "whole"),
        ({"num": "1" * 10}, "num.* is", "whole"),
        ({"powerValues": "all"}, 'powerValues is "all"', '"ALL"'),
        ({"powerValues": 512}, "powerValues is 512", "128, 512"),
        ({"powerValues": [64]}, "powerValues: 64 MB", "128 to 10240"),
        ({"powerValues": ["10241"]}, "powerValues: 10241 MB", "128 to 10240"),
        ({"powerValues": [512.5]}, "powerValues holds 512.5", "whole"),
        ({"powerValues": [True]}, "powerValues holds true", "whole"),
        ({"powerValues": [[128]]}, r"powerValues holds \[128\]", "whole"),
        ({"strategy": "Speed"}, 'strategy is "Speed"', "did you mean speed"),
        ({"strategy": "foobar"}, 'strategy is "foobar"', "cost, speed, balanced"),
        ({"strategy": " "}, 'strategy is " "', "cost, speed, balanced"),
        ({"strategy": ["cost"]}, "strategy is", "cost"),
        ({"balancedWeight": "0.5"}, 'balancedWeight is "0.5"', "0 to 1"),
        ({"balancedWeight": True}, "balancedWeight is true", "0 to 1"),
        ({"discardTopBottom": []}, r"discardTopBottom is \[\]", "0 to 0.4"),
        ({"dryRun": "false"}, 'dryRun is "false"', "without quotes"),
        ({"parallelInvocation": 1}, "parallelInvocation is 1", "without quotes"),
        ({"includeOutputResults": "yes"}, "includeOutputResults", "without quotes"),
        ({"autoOptimize": True, "autoOptimizeAlias": "12"}, "autoOptimizeAlias: '12'", "versions"),
        ({"autoOptimize": True, "autoOptimizeAlias": ["a"]}, "autoOptimizeAlias is", "quotes"),
        ({"preProcessorARN": "not a name"}, "preProcessorARN", "ARN"),
        ({"postProcessorARN": {"a": 1}}, "postProcessorARN", "quotes"),
        ({"payloadS3": "https://bucket/key"}, "payloadS3", "s3://bucket/key"),
        ({"payloadS3": "s3://bucket"}, "payloadS3", "s3://bucket/key"),
        ({"payloadS3": "s3://bucket/"}, "payloadS3", "s3://bucket/key"),
        ({"allowedExceptions": "MyError"}, "allowedExceptions", '["MyError"'),
        ({"allowedExceptions": [1]}, "allowedExceptions", '["MyError"'),
        ({"payload": [{"payload": 1, "weight": "5"}]}, r"payload\[0\].weight", "above 0"),
        ({"payload": [{"payload": 1, "weight": 1}, {"payload": 1, "weight": -1}]}, r"payload\[1\].weight", "above 0"),
        ({"payload": [{"payload": 1, "weight": True}]}, r"payload\[0\].weight", "above 0"),
    ],
)
def test_what_cannot_work_names_its_key_and_a_way_out(keys: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        read(**keys)
    assert hint in caught.value.hint


@pytest.mark.parametrize("document", [None, [], "text", 7, [MINIMAL]])
def test_an_input_that_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(BadInputError, match="object"):
        parse_alpt_input(document)


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        (None, "null"),
        (False, "null"),
        (0, "null"),
        (0.0, "null"),
        ("", "null"),
        ({}, "{}"),
        ([], "[]"),
        ("test", '"test"'),
        (" ", '" "'),
        ("[]", "[]"),
        ("null", "null"),
        ('{"a": 1}', '{"a": 1}'),
        ("NaN", '"NaN"'),
        ("{'a': 1}", "\"{'a': 1}\""),
        (["ok", {}], '["ok",{}]'),
        ({"name": "Zoë"}, '{"name":"Zoë"}'),
        ({"half": "\ud83d"}, '{"half":"\\ud83d"}'),
        (True, "true"),
        (7, "7"),
    ],
)
def test_a_payload_is_sent_as_alpt_sends_it(payload: object, sent: str) -> None:
    assert payloads_in(payload) == (sent, ())
    assert read(payload=payload).payload == sent


@pytest.mark.parametrize(
    "payload",
    [
        [{"weight": 5}, {"payload": {"data": "bar"}, "weight": 10}],
        [{"payload": 1, "weight": 0}, {"payload": 1, "weight": 1}],
        [{"payload": 0, "weight": 1}],
        [{"payload": 1, "weight": 1}, None],
        [["payload", "weight"]],
        {"payload": {"data": "foo"}, "weight": 5},
    ],
)
def test_a_list_that_lacks_a_weight_or_a_payload_is_itself_the_payload(payload: object) -> None:
    sent, weighted = payloads_in(payload)
    assert sent is not None
    assert json.loads(sent) == payload
    assert weighted == ()


def test_weighted_payloads_keep_their_order_and_their_weights() -> None:
    asked = read(payload=[{"payload": {}, "weight": 5}, {"payload": "text", "weight": 0.5, "name": "ignored"}])
    assert asked.payload is None
    assert asked.weighted_payloads == ((5, "{}"), (0.5, '"text"'))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a": 1}', ('{"a":1}', ())),
        ("plain text", ('"plain text"', ())),
        ('[{"payload": {"a": 1}, "weight": 2}]', (None, ((2, '{"a":1}'),))),
        ("", ("null", ())),
    ],
)
def test_a_payload_from_s3_is_json_or_else_text(content: str, expected: object) -> None:
    assert payloads_in_text(content) == expected


@needs_cases
def test_payloads_and_sizes_agree_with_the_recorded_cases_of_alpt() -> None:
    for case in cases("convert_payload"):
        assert payloads_in(case["input"]["payload"]) == (case["expected"]["sent"], ())
    for case in cases("is_weighted"):
        assert bool(payloads_in(case["input"]["payload"])[1]) == case["expected"]["weighted"]
    for case in cases("discard_clamp"):
        assert read(discardTopBottom=case["input"]["discard_top_bottom"]).trim == case["expected"]["effective"]
    for case in cases("all_power_values"):
        sizes = read(powerValues="ALL").sizes or ()
        expected = case["expected"]
        assert sizes == tuple(range(expected["first"], expected["last"] + 1, expected["step"]))
        assert len(sizes) == expected["count"]


def test_the_input_is_read_from_a_file_standard_input_or_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = json.dumps(MINIMAL)
    file = tmp_path / "input.json"
    file.write_text("\ufeff" + content, encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    assert read_alpt_input(str(file)) == read_alpt_input("-") == read_alpt_input(content) == parse_alpt_input(MINIMAL)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON at line 1"),
        (b'{"num": 5,}', "not JSON at line 1"),
        (b'{"num": NaN}', "not JSON"),
        (b'{"num": 1e400}', "not JSON"),
        (b"\xff\xfe\x00", "ALPT input .* is not UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b" " * (6 * 1024 * 1024 + 1), "ALPT input .* is larger than"),
    ],
    ids=["empty", "a-comma-too-many", "nan", "infinite", "not-utf-8", "nested", "large"],
)
def test_a_file_that_is_no_input_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "input.json"
    file.write_bytes(content)
    with pytest.raises(BadInputError, match=message):
        read_alpt_input(str(file))


def test_a_file_that_is_not_there_is_refused_in_the_words_of_the_input() -> None:
    with pytest.raises(BadInputError, match="there is no ALPT input file") as caught:
        read_alpt_input("no-such-file.json")
    assert "JSON" in caught.value.hint


def test_a_payload_that_grows_beyond_what_lambda_takes_is_refused() -> None:
    with pytest.raises(BadInputError, match="larger than the 6 MB"):
        payloads_in('"' * (4 * 1024 * 1024))


def test_text_from_the_input_cannot_reach_a_terminal_as_it_is() -> None:
    with pytest.raises(BadInputError) as caught:
        read(strategy="\x1b[31m\u202e")
    assert "\x1b" not in caught.value.message
    assert "\u202e" not in caught.value.message
