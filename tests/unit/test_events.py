"""Which event each run gets: in what proportion, in what order, and what is said of events that are none."""

import io
import json
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from powertune.errors import BadInputError, UsageError
from powertune.sources import events as module
from powertune.sources.events import (
    Event,
    EventLines,
    Hand,
    OneEvent,
    WeightedEvents,
    named,
    proportions,
    read_events,
    weighted_events,
)

SECRET = "hunter2"  # noqa: S105 - stands for what must not be repeated
MIX = [Event('{"a": 1}', "a", 6), Event('{"b": 1}', "b", 3), Event('{"c": 1}', "c", 1)]


def dealt(hand: Hand, count: int) -> list[str]:
    return [event.name for event in (hand.deal() for _ in range(count)) if event]


# Proportions.


@pytest.mark.parametrize(
    ("weights", "total", "counts"),
    [
        ([1], 5, [5]),
        ([6, 3, 1], 10, [6, 3, 1]),
        ([1, 1, 1], 3, [1, 1, 1]),
        ([1, 1, 1], 5, [2, 2, 1]),
        ([1000, 1], 4, [3, 1]),
        ([1000, 1, 1], 3, [1, 1, 1]),
        ([1e9, 1e-9], 10, [9, 1]),
        ([0.5, 0.25, 0.25], 8, [4, 2, 2]),
    ],
)
def test_runs_are_shared_out_in_proportion_and_every_payload_gets_one(
    weights: list[float], total: int, counts: list[int]
) -> None:
    assert proportions(weights, total) == counts


def test_fewer_runs_than_payloads_are_no_proportions() -> None:
    with pytest.raises(ValueError, match="fewer runs"):
        proportions([1, 1], 1)


# A mix.


def test_a_size_gets_each_payload_of_a_mix_in_proportion_again_and_again() -> None:
    hand = WeightedEvents(MIX, seed=1).hand(512, 10)
    for _ in range(3):
        assert Counter(dealt(hand, 10)) == {"a": 6, "b": 3, "c": 1}


def test_the_order_of_a_mix_repeats_with_its_seed_and_differs_by_size() -> None:
    order = dealt(WeightedEvents(MIX, seed=1).hand(512, 10), 30)
    assert dealt(WeightedEvents(MIX, seed=1).hand(512, 10), 30) == order
    assert dealt(WeightedEvents(MIX, seed=2).hand(512, 10), 30) != order
    assert dealt(WeightedEvents(MIX, seed=1).hand(1024, 10), 30) != order


def test_a_mix_without_a_seed_has_another_order_each_time() -> None:
    orders = {tuple(dealt(WeightedEvents(MIX).hand(512, 10), 100)) for _ in range(3)}
    assert len(orders) == 3


def test_an_event_that_is_taken_back_is_dealt_again_within_its_round() -> None:
    hand = WeightedEvents(MIX, seed=1).hand(512, 10)
    events = [hand.deal() for _ in range(10)]
    lone = next(event for event in events if event and event.name == "c")
    hand.take_back(lone)
    assert hand.deal() == lone
    assert Counter(dealt(hand, 10)) == {"a": 6, "b": 3, "c": 1}


def test_what_is_taken_back_after_the_next_round_began_still_completes_the_first() -> None:
    hand = WeightedEvents(MIX, seed=1).hand(512, 10)
    opened = [hand.deal() for _ in range(14)]
    for event in opened:
        assert event is not None
        hand.take_back(event)
    assert Counter(dealt(hand, 10)) == {"a": 6, "b": 3, "c": 1}


def test_the_weights_of_a_mix_are_shares_of_one() -> None:
    assert WeightedEvents(MIX).weights == {"a": 0.6, "b": 0.3, "c": 0.1}


def test_a_mix_of_more_payloads_than_runs_is_refused() -> None:
    events = WeightedEvents(MIX)
    events.check(1, 3)
    with pytest.raises(UsageError, match="2 runs per size are fewer than the 3 payloads") as caught:
        events.check(100, 2)
    assert "--samples 3" in caught.value.hint


def test_pairs_of_weight_and_payload_are_a_mix() -> None:
    events = weighted_events([(3, "1"), (1, "2"), (1, "2")], seed=0)
    assert events.weights == {f"1-{named('1')}": 0.6, f"2-{named('2')}": 0.2, f"3-{named('2')}": 0.2}
    hand = events.hand(512, 5)
    assert Counter(event.payload for event in (hand.deal() for _ in range(5)) if event) == {"1": 3, "2": 2}


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), 1e300, 10**400, True])
def test_a_pair_without_a_sensible_weight_is_refused(weight: float) -> None:
    with pytest.raises(BadInputError, match="payload 2"):
        weighted_events([(1, "1"), (weight, "2")])


# One event, and a sequence.


def test_one_event_is_dealt_for_ever_and_has_no_weights() -> None:
    events = OneEvent("{}")
    events.check(10**9, 10**9)
    hand = events.hand(512, 1)
    first = hand.deal()
    assert first == Event("{}", named("{}"))
    hand.take_back(first)
    assert hand.deal() is first
    assert events.weights == {}


def test_no_line_of_a_sequence_is_used_twice_whatever_sizes_and_threads_ask() -> None:
    events = EventLines([str(number) for number in range(400)])
    taken: list[str] = []

    def work(hand: Hand) -> None:
        while (event := hand.deal()) is not None:
            taken.append(event.payload)
            hand.take_back(event)  # its run has been sent

    threads = [threading.Thread(target=work, args=(events.hand(size, 10),)) for size in (128, 256, 512, 1024)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken, key=int) == [str(number) for number in range(400)]
    assert events.hand(128, 10).deal() is None
    assert events.weights == {}


def test_the_lines_of_a_sequence_are_named_by_their_number() -> None:
    assert dealt(EventLines(["{}", "{}"]).hand(128, 1), 2) == ["line-1", "line-2"]


def test_a_sequence_has_to_have_a_line_for_each_run() -> None:
    events = EventLines(["1", "2", "3"])
    events.check(3, 99)
    with pytest.raises(BadInputError, match="the sequence has 3 lines, and this run may take 1,234") as caught:
        events.check(1234, 1)
    assert "--samples" in caught.value.hint
    with pytest.raises(BadInputError, match="has 1 line,"):
        EventLines(["1"]).check(2, 1)


# Names and placeholders.


def test_a_payload_without_a_name_is_named_by_a_hash_and_never_by_its_text() -> None:
    # The first digits of `printf '{}' | sha256sum`.
    assert named("{}") == "sha256:44136fa355b3"
    assert named("\ud800").startswith("sha256:")
    assert SECRET not in named(SECRET)


def test_placeholders_stand_for_something_new_in_each_run() -> None:
    counter = module.Counter()
    payload = f'{{"id": "{module.UUID_TOKEN}", "n": {json.dumps(module.INDEX_TOKEN)}}}'
    filled: list[str] = []

    def work() -> None:
        filled.extend(counter.filled(payload) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    documents = [json.loads(one) for one in filled]
    assert len({document["id"] for document in documents}) == 200
    assert sorted(int(document["n"]) for document in documents) == list(range(1, 201))


def test_a_placeholder_is_the_same_throughout_one_payload() -> None:
    first, second = module.Counter().filled(f"{module.UUID_TOKEN} {module.UUID_TOKEN}").split()
    assert first == second


def test_a_payload_without_placeholders_is_left_alone_and_counts_nothing() -> None:
    counter = module.Counter()
    assert counter.filled('{"powertune.index": "{{other}}"}') == '{"powertune.index": "{{other}}"}'
    assert counter.filled(module.INDEX_TOKEN) == "1"


# Files.


def write(folder: Path, content: str | bytes) -> str:
    path = folder / "payloads.json"
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return str(path)


def test_an_array_is_a_mix(tmp_path: Path) -> None:
    items = [{"payload": {"a": [1, "é"]}, "weight": 3, "name": "usual"}, {"payload": None}]
    events = read_events(write(tmp_path, json.dumps(items, ensure_ascii=False)), seed=4)
    assert events.weights == {"usual": 0.75, f"2-{named('null')}": 0.25}
    hand = events.hand(512, 4)
    payloads = [event.payload for event in (hand.deal() for _ in range(4)) if event]
    assert sorted(payloads) == ["null", *['{"a": [1, "\\u00e9"]}'] * 3]


def test_lines_are_a_sequence(tmp_path: Path) -> None:
    events = read_events(write(tmp_path, '\ufeff{"a": 1}\r\n\n  [2]  \n"three"'))
    hand = events.hand(512, 1)
    assert [event.payload for event in (hand.deal() for _ in range(3)) if event] == ['{"a": 1}', "[2]", '"three"']
    assert hand.deal() is None


def test_characters_that_python_takes_for_line_ends_do_not_end_a_payload(tmp_path: Path) -> None:
    line = '"one\u2028line\u0085and\u2029no more"'
    events = read_events(write(tmp_path, f"{line}\n{line}\n"))
    hand = events.hand(512, 1)
    assert [event.payload for event in (hand.deal() for _ in range(2)) if event] == [line, line]


def test_payloads_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'[{"payload": 1}]')))
    assert list(read_events("-").weights) == [f"1-{named('1')}"]


MALFORMED = {
    "nothing": "",
    "blank lines": "\n \n",
    "one object": f'{{"password": "{SECRET}"}}',
    "one word": f'"{SECRET}"',
    "an empty array": "[]",
    "no JSON": f"password={SECRET}",
    "a line that is no JSON": f'{{"a": 1}}\n{{"password": {SECRET}}}',
    "an array that breaks off": f'[{{"payload": "{SECRET}"}},',
    "bare payloads": f'[{{"password": "{SECRET}"}}]',
    "an item that is no object": f'["{SECRET}"]',
    "a key that is unknown": f'[{{"payload": "{SECRET}", "wieght": 2}}]',
    "a weight of 0": f'[{{"payload": "{SECRET}", "weight": 0}}]',
    "a weight below 0": f'[{{"payload": "{SECRET}", "weight": -3}}]',
    "a weight that is text": f'[{{"payload": "{SECRET}", "weight": "{SECRET}"}}]',
    "a weight that is true": f'[{{"payload": "{SECRET}", "weight": true}}]',
    "a weight that is null": f'[{{"payload": "{SECRET}", "weight": null}}]',
    "a weight beyond all floats": f'[{{"payload": "{SECRET}", "weight": 1{"0" * 400}}}]',
    "weights whose sum is beyond all floats": f'[{{"payload": "{SECRET}", "weight": 1e308}}, {{"payload": 1, '
    '"weight": 1e308}]',
    "a weight that is next to nothing": f'[{{"payload": "{SECRET}", "weight": 5e-324}}]',
    "NaN in an array": f'[{{"payload": ["{SECRET}", NaN]}}]',
    "a number beyond all floats in an array": f'[{{"payload": ["{SECRET}", 1e999]}}]',
    "NaN in a line": f'1\n["{SECRET}", NaN]',
    "an integer of thousands of digits": f'[{{"payload": ["{SECRET}", 1{"0" * 9999}]}}]',
    "a name that is no text": f'[{{"payload": "{SECRET}", "name": 3}}]',
    "a name twice": f'[{{"payload": "{SECRET}", "name": "x"}}, {{"payload": 2, "name": "x"}}]',
    "nesting beyond all bounds": f'[{{"payload": "{SECRET}"}}, ' + "[" * 200_000,
    "no UTF-8": b"\xff\xfe\x00",
    "too much": " " * (6 * 1024 * 1024) + f'"{SECRET}"',
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_malformed_payloads_are_refused_with_a_way_out_and_without_their_text(
    content: str | bytes, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError) as caught:
        read_events(write(tmp_path, content))
    assert caught.value.hint
    assert "payloads" in caught.value.message
    assert SECRET not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "content", [content for content in MALFORMED.values() if content and content[:1] in ("{", "[", '"')]
)
def test_malformed_payloads_given_inline_are_not_repeated_either(content: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read_events(content)
    assert caught.value.hint
    assert SECRET not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("depth", range(970, 1000, 3))
def test_deep_payloads_are_taken_or_refused_and_never_crash(depth: int) -> None:
    with suppress(BadInputError):
        read_events(f'[{{"payload": {"[" * depth}{"]" * depth}}}]')


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="there is no payloads file") as caught:
        read_events(str(tmp_path / "nowhere.json"))
    assert caught.value.hint


def test_a_key_that_is_nearly_right_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="'wieght'") as caught:
        read_events(write(tmp_path, '[{"payload": 1, "wieght": 2}]'))
    assert caught.value.hint == "did you mean weight?"
