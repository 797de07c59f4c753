"""A small part of the query language of CloudWatch Logs Insights, after its documentation: parsed and really evaluated.

Commands: filter, parse with a regular expression, fields, stats. Anything else is refused, as are functions that are
not in the documentation. Where the documentation is silent this takes the reading that asks more of a client: `min` and
`max` compare text as text, what is missing leaves no field in a row. Nothing was checked against live AWS.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

Value = str | float | bool | None
Record = dict[str, Value]
Expression = Callable[[Mapping[str, Value]], Value]
Aggregation = Callable[[Sequence[Mapping[str, Value]]], Value]

Parsed = TypeVar("Parsed")

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<regex>/(?:\\.|[^/\\\n])+/)
    |(?P<text>"(?:\\.|[^"\\])*")
    |(?P<period>\d+(?:ms|mo|[smhdwqy])\b)
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<name>@?[A-Za-z_][\w.]*)
    |(?P<sign>!=|<=|>=|[=<>(),|*])
    )""",
    re.VERBOSE,
)
_PERIOD_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_AGGREGATES = ("avg", "count", "max", "min", "pct", "stddev", "sum")


class MalformedQueryError(ValueError):
    """The service would answer MalformedQueryException."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


class Query:
    """A parsed query."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._place = 0
        self._commands: list[Callable[[list[Record]], list[Record]]] = []
        while True:
            self._commands.append(self._command())
            if self._peek().kind == "end":
                break
            self._expect("|")

    def run(self, records: Iterable[Record]) -> list[Record]:
        """Return the rows of the answer. Fields of a row are in the order in which the query names them."""
        rows = list(records)
        for command in self._commands:
            rows = command(rows)
        return rows

    def _peek(self) -> _Token:
        return self._tokens[self._place]

    def _next(self) -> _Token:
        token = self._peek()
        self._place += 1
        return token

    def _took(self, *texts: str) -> bool:
        if self._peek().kind in ("name", "sign") and self._peek().text in texts:
            self._place += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._took(text):
            raise MalformedQueryError(f"mismatched input '{self._peek().text}' expecting '{text}'")

    def _of(self, kind: str) -> str:
        token = self._next()
        if token.kind != kind:
            raise MalformedQueryError(f"mismatched input '{token.text}' expecting a {kind}")
        return token.text

    def _command(self) -> Callable[[list[Record]], list[Record]]:
        name = self._of("name")
        if name == "filter":
            condition = self._condition()
            return lambda records: [record for record in records if condition(record)]
        if name == "parse":
            return self._parse()
        if name == "fields":
            return self._fields()
        if name == "stats":
            return self._stats()
        raise MalformedQueryError(f"unexpected command {name}")

    def _parse(self) -> Callable[[list[Record]], list[Record]]:
        field, pattern = self._of("name"), _pattern(self._of("regex"))
        if not pattern.groupindex:
            raise MalformedQueryError("parse needs a named group")

        def parse(records: list[Record]) -> list[Record]:
            for record in records:
                found = pattern.search(_as_text(record.get(field)) or "")
                record.update(found.groupdict() if found else {})
            return records

        return parse

    def _fields(self) -> Callable[[list[Record]], list[Record]]:
        named = self._named(self._expression)

        def fields(records: list[Record]) -> list[Record]:
            for record in records:
                for name, expression in named:
                    record[name] = expression(record)
            return records

        return fields

    def _stats(self) -> Callable[[list[Record]], list[Record]]:
        aggregations = self._named(self._aggregation)
        keys: list[tuple[str, Expression]] = self._named(self._expression) if self._took("by") else []

        def stats(records: list[Record]) -> list[Record]:
            groups: dict[tuple[Value, ...], list[Record]] = defaultdict(list)
            for record in records:
                groups[tuple(key(record) for _, key in keys)].append(record)
            return [
                dict(zip((name for name, _ in keys), values, strict=True))
                | {name: aggregate(found) for name, aggregate in aggregations}
                for values, found in groups.items()
            ]

        return stats

    def _named(self, parse: Callable[[], Parsed]) -> list[tuple[str, Parsed]]:
        found = []
        while True:
            first = self._place
            parsed = parse()
            default = "".join(token.text for token in self._tokens[first : self._place])
            found.append((self._of("name") if self._took("as") else default, parsed))
            if not self._took(","):
                return found

    def _condition(self) -> Expression:
        left = self._both()
        while self._took("or"):
            left = _either(left, self._both())
        return left

    def _both(self) -> Expression:
        left = self._comparison()
        while self._took("and"):
            left = _both(left, self._comparison())
        return left

    def _comparison(self) -> Expression:
        left = self._expression()
        if self._took("like"):
            pattern = _pattern(self._of("regex"))
            return lambda record: bool(pattern.search(_as_text(left(record)) or ""))
        if self._took("="):
            right = self._expression()
            return lambda record: left(record) is not None and _as_text(left(record)) == _as_text(right(record))
        return left

    def _expression(self) -> Expression:
        token = self._next()
        if token.kind == "text":
            return lambda _: token.text[1:-1]
        if token.kind == "number":
            return lambda _: float(token.text)
        if token.kind != "name":
            raise MalformedQueryError(f"mismatched input '{token.text}'")
        if not self._took("("):
            return lambda record: record.get(token.text)
        if token.text == "bin":
            period = self._of("period")
            self._expect(")")
            return lambda record: _binned(record["@timestamp"], period)
        arguments = self._arguments(self._expression)
        if token.text == "coalesce":
            return lambda record: next((value for of in arguments if (value := of(record)) is not None), None)
        if token.text == "ispresent" and len(arguments) == 1:
            return lambda record: arguments[0](record) is not None
        raise MalformedQueryError(f"unknown function {token.text}")

    def _arguments(self, parse: Callable[[], Expression]) -> list[Expression]:
        found = [parse()]
        while self._took(","):
            found.append(parse())
        self._expect(")")
        return found

    def _aggregation(self) -> Aggregation:
        name = self._of("name")
        if name not in _AGGREGATES:
            raise MalformedQueryError(f"unknown aggregation {name}")
        self._expect("(")
        if name == "count" and self._took("*"):
            self._expect(")")
            return lambda records: float(len(records))
        of = self._expression()
        rank = 0.0
        if name == "pct":
            self._expect(",")
            rank = float(self._of("number"))
        self._expect(")")
        return lambda records: _aggregated(name, [of(record) for record in records], rank)


def _tokens(text: str) -> Iterable[_Token]:
    place, text = 0, text.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise MalformedQueryError(f"unexpected symbol near '{text[place : place + 20]}'")
        place = found.end()
        yield _Token(found.lastgroup, found[found.lastgroup])
    yield _Token("end", "<EOF>")


def _pattern(literal: str) -> re.Pattern[str]:
    try:
        return re.compile(literal[1:-1].replace("(?<", "(?P<").replace(r"\/", "/"))
    except re.error as error:
        raise MalformedQueryError(f"invalid regular expression: {error}") from None


def _either(left: Expression, right: Expression) -> Expression:
    return lambda record: bool(left(record)) or bool(right(record))


def _both(left: Expression, right: Expression) -> Expression:
    return lambda record: bool(left(record)) and bool(right(record))


def _binned(timestamp_ms: Value, period: str) -> str:
    matched = re.fullmatch(r"(\d+)(\D+)", period)
    assert matched is not None
    step_s = int(matched[1]) * _PERIOD_S[matched[2]]
    assert isinstance(timestamp_ms, float)
    first = datetime.fromtimestamp(timestamp_ms / 1000 // step_s * step_s, UTC)
    return first.strftime("%Y-%m-%d %H:%M:%S.000")


def _aggregated(name: str, values: Sequence[Value], rank: float) -> Value:
    present = [value for value in values if value is not None]
    if name == "count":
        return float(len(present))
    if name in ("min", "max") and present and all(isinstance(value, str) for value in present):
        return (min if name == "min" else max)(map(str, present))
    numbers = sorted(number for value in present if (number := _as_number(value)) is not None)
    if not numbers:
        return None
    mean = math.fsum(numbers) / len(numbers)
    results: dict[str, Callable[[], float]] = {
        "avg": lambda: mean,
        "sum": lambda: math.fsum(numbers),
        "min": lambda: numbers[0],
        "max": lambda: numbers[-1],
        "stddev": lambda: math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / max(1, len(numbers) - 1)),
        "pct": lambda: _percentile(numbers, rank),
    }
    return results[name]()


def _percentile(numbers: Sequence[float], rank: float) -> float:
    place = rank / 100 * (len(numbers) - 1)
    low = math.floor(place)
    high = min(low + 1, len(numbers) - 1)
    return numbers[low] + (numbers[high] - numbers[low]) * (place - low)


def _as_number(value: Value) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _as_text(value: Value) -> str | None:
    """Return a value as GetQueryResults writes it: everything is text, large numbers as Java prints them."""
    if value is None or isinstance(value, str):
        return value
    number = round(float(value), 4)
    if abs(number) >= 1e7:
        mantissa, _, exponent = f"{number:.15e}".partition("e")
        mantissa = mantissa.rstrip("0")
        return f"{mantissa}{'0' if mantissa.endswith('.') else ''}E{int(exponent)}"
    return str(int(number)) if number == int(number) else str(number)


def written(row: Record) -> list[dict[str, str]]:
    """Return a row as GetQueryResults has it."""
    return [{"field": name, "value": text} for name, value in row.items() if (text := _as_text(value)) is not None]


_REPORT = re.compile(r"^REPORT RequestId: (?P<id>\S+)")
_REPORT_FIELDS = {
    "@duration": (r"\tDuration: ([0-9.]+) ms", 1),
    "@billedDuration": (r"\tBilled Duration: ([0-9.]+) ms", 1),
    "@initDuration": (r"\tInit Duration: ([0-9.]+) ms", 1),
    "@memorySize": (r"\tMemory Size: ([0-9]+) MB", 1_000_000),
    "@maxMemoryUsed": (r"\tMax Memory Used: ([0-9]+) MB", 1_000_000),
}


def discovered(message: str) -> Record:
    """Return the fields that the service finds in an event of a Standard log group: of Lambda's text records, or JSON.

    Memory is in bytes, of which it takes 10^6 to the MB.
    """
    found: Record = {}
    first_word = message.split(" ", 1)[0]
    if first_word in ("START", "END", "REPORT"):
        found["@type"] = first_word
    report = _REPORT.match(message)
    if report:
        found["@requestId"] = report["id"]
        for name, (pattern, factor) in _REPORT_FIELDS.items():
            figure = re.search(pattern, message)
            if figure:
                found[name] = float(figure[1]) * factor
    try:
        document = json.loads(message) if message.lstrip().startswith("{") else {}
    except ValueError:
        document = {}
    found.update(_flattened(document, ""))
    return found


def _flattened(value: Any, name: str) -> Record:
    if isinstance(value, dict):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return {name: float(value) if isinstance(value, int | float) else value}
    found: Record = {}
    for key, inner in items:
        found.update(_flattened(inner, f"{name}.{key}" if name else str(key)))
    return found
