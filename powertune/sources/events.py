"""Which event each invocation gets: one for all, a weighted mix, or one line after the other."""

import hashlib
import json
import math
import random
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from powertune import text
from powertune.errors import BadInputError, UsageError
from powertune.sources.payloads import json_problem, read_text

UUID_TOKEN = "{{powertune.uuid}}"  # noqa: S105 - a placeholder, no secret
INDEX_TOKEN = "{{powertune.index}}"  # noqa: S105 - likewise
"""In a payload these stand for something else in each invocation: a random UUID, and a number that counts up."""

_HASH_DIGITS = 12
_LEAST_WEIGHT, _MOST_WEIGHT = 1e-9, 1e9


@dataclass(frozen=True, slots=True)
class Event:
    """What one invocation gets."""

    payload: str
    """JSON text."""
    name: str
    """What the run file calls it: the name it was given, else a hash. Never its text."""
    weight: float = 1.0
    """Its share of production's calls, against the others of its set."""


class Hand(Protocol):
    """The events of one memory size, dealt one by one. Asked by one thread at a time."""

    def deal(self) -> Event | None:
        """Return the next event, or None where there are no more."""

    def take_back(self, event: Event) -> None:
        """Deal `event` again: the run that it was dealt for told nothing about a warm run."""


class Events(Protocol):
    """Where the events of a whole run come from."""

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight by event name, where the runs are a mix to be weighed; else empty."""

    @property
    def fewest(self) -> int:
        """How many warm runs a size must have."""

    def hand(self, memory_mb: int, samples: int) -> Hand:
        """Return the events for `samples` warm runs at a memory size, which may be asked for more."""

    def check(self, runs: int, samples: int) -> None:
        """Raise PowertuneError if there are not enough events for `runs` in all and `samples` per size."""


def named(payload: str) -> str:
    """Return the name of a payload that was given none: a hash, so that runs can be told to have had the same."""
    return "sha256:" + hashlib.sha256(payload.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]


class Counter:
    """Fills the placeholders of payloads, each time with something new."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def filled(self, payload: str) -> str:
        """Return the payload with its placeholders replaced."""
        if UUID_TOKEN not in payload and INDEX_TOKEN not in payload:
            return payload
        with self._lock:
            self._count += 1
            index = self._count
        return payload.replace(UUID_TOKEN, str(uuid.uuid4())).replace(INDEX_TOKEN, str(index))


class OneEvent:
    """The same event for every run."""

    def __init__(self, payload: str) -> None:
        self._event = Event(payload, named(payload))

    @property
    def weights(self) -> Mapping[str, float]:
        """Nothing to weigh."""
        return {}

    @property
    def fewest(self) -> int:
        """One is enough."""
        return 1

    def hand(self, memory_mb: int, samples: int) -> Hand:  # noqa: ARG002 - alike for all
        """Return the same event for ever."""
        return self

    def check(self, runs: int, samples: int) -> None:
        """There are always enough."""

    def deal(self) -> Event:
        """Return the event."""
        return self._event

    def take_back(self, event: Event) -> None:
        """Nothing is used up."""


class WeightedEvents:
    """A mix: each size gets every event in proportion to its weight, at least once, in an order shuffled by `seed`."""

    def __init__(self, events: Sequence[Event], seed: int | None = None) -> None:
        self._events = events
        self._seed = random.SystemRandom().getrandbits(32) if seed is None else seed

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight of each event, summing to 1."""
        total = math.fsum(event.weight for event in self._events)
        return {event.name: event.weight / total for event in self._events}

    @property
    def fewest(self) -> int:
        """One for each event."""
        return len(self._events)

    def hand(self, memory_mb: int, samples: int) -> Hand:
        """Return `samples` events in their proportions, and then as many again."""
        # Each size has an order of its own, so that no event always meets the same environment.
        order = random.Random(f"{self._seed} {memory_mb}")  # noqa: S311 - an order, no secret
        return _Deck(self._events, proportions([event.weight for event in self._events], samples), order)

    def check(self, runs: int, samples: int) -> None:  # noqa: ARG002 - the number per size decides
        """Raise UsageError where a size has fewer runs than there are events."""
        if samples < self.fewest:
            raise UsageError(
                f"{samples} runs per size are fewer than the {len(self._events)} payloads",
                hint=f"give each payload a run: --samples {len(self._events)} or more",
            )


class _Deck:
    """Deals rounds of `counts` of each event: a round is over when so many are out for good, not taken back."""

    def __init__(self, events: Sequence[Event], counts: Sequence[int], order: random.Random) -> None:
        self._events = events
        self._counts = counts
        self._order = order
        self._out = [0] * len(events)

    def deal(self) -> Event:
        wanted = 1 + min(out // count for out, count in zip(self._out, self._counts, strict=True))
        left = [max(0, wanted * count - out) for out, count in zip(self._out, self._counts, strict=True)]
        place = self._order.choices(range(len(left)), left)[0]
        self._out[place] += 1
        return self._events[place]

    def take_back(self, event: Event) -> None:
        self._out[self._events.index(event)] -= 1


class EventLines:
    """A sequence: each run takes the next line, and no line is used twice."""

    def __init__(self, payloads: Sequence[str]) -> None:
        self._payloads = payloads
        self._next = 0
        self._lock = threading.Lock()

    @property
    def weights(self) -> Mapping[str, float]:
        """Nothing to weigh: the lines are the mix."""
        return {}

    @property
    def fewest(self) -> int:
        """One is enough."""
        return 1

    def hand(self, memory_mb: int, samples: int) -> Hand:  # noqa: ARG002 - all sizes draw from the same lines
        """Return the lines that are left."""
        return self

    def check(self, runs: int, samples: int) -> None:  # noqa: ARG002 - the number in all decides
        """Raise BadInputError where there are fewer lines than runs."""
        if len(self._payloads) < runs:
            raise BadInputError(
                f"the sequence has {text.count(len(self._payloads), 'line')}, and this run may take {runs:,}",
                hint="add lines, or take fewer sizes (--memory) or runs (--samples, --parallel)",
            )

    def deal(self) -> Event | None:
        """Return the next line."""
        with self._lock:
            if self._next >= len(self._payloads):
                return None
            payload = self._payloads[self._next]
            self._next += 1
            return Event(payload, f"line-{self._next}")

    def take_back(self, event: Event) -> None:
        """Its run has been sent: it is used up."""


def proportions(weights: Sequence[float], total: int) -> list[int]:
    """Return whole counts in proportion to `weights` that add up to `total`, each at least 1 (largest remainder).

    Raises ValueError where `total` is less than the number of weights.
    """
    if total < len(weights):
        raise ValueError("fewer runs than payloads")
    whole = math.fsum(weights)
    exact = [weight / whole * total for weight in weights]
    counts = [max(1, math.floor(share)) for share in exact]
    while sum(counts) < total:
        neediest = max(range(len(counts)), key=lambda index: exact[index] - counts[index])
        counts[neediest] += 1
    while sum(counts) > total:
        richest = max(
            (index for index in range(len(counts)) if counts[index] > 1), key=lambda index: counts[index] - exact[index]
        )
        counts[richest] -= 1
    return counts


def read_events(spec: str, seed: int | None = None) -> Events:
    """Return the events in a file (or `-`): a JSON array of {"payload", "weight", "name"}, or JSON lines.

    In an array every item is one event of a mix; its weight is 1 where it has none. In JSON lines each line is the
    payload of one run. Raises BadInputError.
    """
    content = read_text(spec, noun="payloads", hint="name a file of payloads, or - for standard input")
    shown = _shown(spec)
    if json_problem(content) is not None:
        return _lines(content, shown)
    document = json.loads(content)
    if isinstance(document, list) and document:
        return WeightedEvents(_weighted(document, shown), seed)
    raise BadInputError(
        f"{shown} is no set of payloads",
        hint='write [{"payload": ..., "weight": 3, "name": "usual"}, ...], or one payload a line',
    )


def weighted_events(payloads: Sequence[tuple[float, str]], seed: int | None = None) -> Events:
    """Return a mix of (weight, JSON text) pairs. Raises BadInputError for a weight that is none."""
    return WeightedEvents(
        [
            Event(payload, f"{number}-{named(payload)}", _weight(weight, f"payload {number}"))
            for number, (weight, payload) in enumerate(payloads, 1)
        ],
        seed,
    )


def _shown(spec: str) -> str:
    """Return what messages call the source of events: never the payloads themselves, which may be given inline."""
    if spec == "-":
        return "standard input"
    return "what is given inline" if spec.lstrip()[:1] in ("{", "[", '"') else text.printable(spec, limit=120)


def _weight(weight: object, place: str) -> float:
    # The bounds keep sums and shares of weights within what floats hold.
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not _LEAST_WEIGHT <= weight <= _MOST_WEIGHT:
        raise BadInputError(
            f"{place} has no weight above 0 (or one beyond {_LEAST_WEIGHT:g} to {_MOST_WEIGHT:g})",
            hint="leave the payload out, or give it a weight",
        )
    return float(weight)


def _weighted(items: Sequence[Any], shown: str) -> list[Event]:
    events = []
    for number, item in enumerate(items, 1):
        place = f"{shown}, payload {number}"
        if not isinstance(item, dict) or "payload" not in item:
            raise BadInputError(f'{place} has no "payload"', hint='write {"payload": ..., "weight": 3}')
        unknown = sorted(set(item) - {"payload", "weight", "name"})
        if unknown:
            raise BadInputError(
                f"{place} has a key {text.printable(unknown[0], limit=40)!r}",
                hint=text.nearest(unknown[0], ("payload", "weight", "name")) or "there are payload, weight and name",
            )
        weight = _weight(item.get("weight", 1), place)
        payload = json.dumps(item["payload"])
        name = item.get("name")
        if name is not None and not isinstance(name, str):
            raise BadInputError(f"{place} has a name that is no text", hint='write "name": "usual"')
        events.append(Event(payload, name or f"{number}-{named(payload)}", weight))
    names = [event.name for event in events]
    if len(set(names)) < len(names):
        raise BadInputError(f"two payloads of {shown} have the same name", hint="give each its own")
    return events


def _lines(content: str, shown: str) -> EventLines:
    payloads = []
    for number, line in enumerate(content.split("\n"), 1):  # what else Python takes for line ends, JSON text may hold
        if not line.strip():
            continue
        if json_problem(line) is not None:
            raise BadInputError(
                f"line {number} of {shown} is not JSON", hint="one payload a line, each a whole JSON value"
            )
        payloads.append(line.strip())
    if not payloads:
        raise BadInputError(f"{shown} holds no payload", hint="one payload a line, each a whole JSON value")
    return EventLines(payloads)
