"""A million records damaged in every way that comes to mind: no crash, no hang, and no figure that is not in the text.

By hand: `python -m pytest -m benchmark -s tests/benchmarks/test_recorded_fuzz.py`. POWERTUNE_FUZZ_RECORDS sets the
number, POWERTUNE_FUZZ_SEED what is damaged and how.
"""

import gzip
import json
import os
import random
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from powertune.model.invocation import Invocation
from powertune.sources.reading import Part, read_part

RECORDS = int(os.environ.get("POWERTUNE_FUZZ_RECORDS", "1000000"))
SEED = int(os.environ.get("POWERTUNE_FUZZ_SEED", "7"))
PER_FILE = 200
DATA = Path(__file__).parents[1] / "data" / "report_lines.txt"
HOSTILE = (
    b"NaN", b"Infinity", b"-1", b"1e999", b"9" * 40, b"0x10", b"1,5", b"\xd9\xa3", b"\xef\xbc\x91", b"\0", b"\x1b[2J",
    b"\xff\xfe", b"\xc3\x28", b"\xe2\x80\xa8", b"\r", b"\n", b"\t", b" ", b'"', b"\\t", b"\\n", b"{", b"}", b"[", b"]",
    b"REPORT RequestId: ", b"Duration: ", b" ms", b" MB", b"Status: timeout", b'"platform.report"', b"Billed ",
    b"XRAY TraceId: ", b'{"time":"', b"memory_mb,duration_ms\n", b'{"logEvents":[', b"[" * 500,
    b"lambda-power-tuning.show/#",
)  # fmt: skip
NUMBER = re.compile(r"[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?", re.IGNORECASE)
"""All that a person takes for a figure: `.5` in a table too, and `1e3`."""
WHOLE = re.compile(r"[0-9]+(?:\.[0-9]+)?")

pytestmark = pytest.mark.benchmark


def seeds() -> list[bytes]:
    """Return records of every kind, one each."""
    lines = [
        line for line in DATA.read_bytes().split(b"\n") if b"REPORT RequestId" in line or b"platform.report" in line
    ]
    prefixes = (b"", b"", b"2025-05-12T20:24:06.310Z ", b"2025-05-12T20:24:06.310000+00:00 2025/05/12/[$LATEST]5b11 ")
    prefixed = [prefix + line for line in lines for prefix in prefixes]
    events = [
        json.dumps(
            {"logStreamName": "s", "timestamp": 1747081446310, "message": line.decode("utf-8", "replace")}
        ).encode()
        for line in lines
    ]
    return prefixed + events + [b"memory_mb,duration_ms\n128,5.5\n256,4.5", b'{"memory_mb":128,"duration_ms":5.5}']


KNOWN = seeds()

Damage = Callable[[random.Random, bytes], bytes]


def place_in(rnd: random.Random, line: bytes) -> int:
    return rnd.randrange(len(line) + 1)


def cut_end(rnd: random.Random, line: bytes) -> bytes:
    return line[: place_in(rnd, line)]


def cut_start(rnd: random.Random, line: bytes) -> bytes:
    return line[place_in(rnd, line) :]


def cut_out(rnd: random.Random, line: bytes) -> bytes:
    place = place_in(rnd, line)
    return line[:place] + line[place + rnd.randint(1, 12) :]


def put_in_hostile_text(rnd: random.Random, line: bytes) -> bytes:
    place = place_in(rnd, line)
    return line[:place] + rnd.choice(HOSTILE) + line[place:]


def overwrite_a_byte(rnd: random.Random, line: bytes) -> bytes:
    place = place_in(rnd, line)
    return line[:place] + bytes([rnd.randrange(256)]) + line[place + 1 :]


def join(rnd: random.Random, line: bytes) -> bytes:
    return line + rnd.choice((b"", b" ", b"\t", b",")) + rnd.choice(KNOWN)


def reorder(rnd: random.Random, line: bytes) -> bytes:
    fields = line.split(b"\t")
    rnd.shuffle(fields)
    return b"\t".join(fields)


def swap_a_figure(rnd: random.Random, line: bytes) -> bytes:
    figures = list(re.finditer(rb"[0-9]+", line))
    if not figures:
        return line
    figure = rnd.choice(figures)
    return line[: figure.start()] + rnd.choice(HOSTILE) + line[figure.end() :]


def encode_otherwise(rnd: random.Random, line: bytes) -> bytes:
    return line.decode("latin-1").encode(rnd.choice(("utf-16-le", "utf-8", "utf-7", "cp500")))


ALONE: Mapping[str, Damage] = {
    "cut at the end": cut_end,
    "cut at the start": cut_start,
    "cut within": cut_out,
    "hostile text put in": put_in_hostile_text,
    "a byte overwritten": overwrite_a_byte,
    "joined with another": join,
    "fields in another order": reorder,
    "a figure swapped": swap_a_figure,
    "in another encoding": encode_otherwise,
}


def damage_often(rnd: random.Random, line: bytes) -> bytes:
    for _ in range(rnd.randint(1, 3)):
        line = rnd.choice(list(ALONE.values()))(rnd, line)
    return line


DAMAGES: Mapping[str, Damage] = {**ALONE, "one to three of these": damage_often}


class Text:
    """What a person sees in a file."""

    def __init__(self, data: bytes) -> None:
        text = (
            re.sub(r"\r\n?", "\n", data.decode("utf-8", "backslashreplace")).replace("\\\\", "\\").replace("\\t", "\t")
        )
        self._lines = text.split("\n")
        self._figures = [figures_in(line) for line in self._lines]
        self._near: dict[str | None, set[float]] = {None: figures_in(text.replace("\\n", "\n"))}
        self.has_restores = "Restore" in text or "restore" in text

    def near(self, request_id: str | None) -> set[float]:
        """Return the figures around all places of a request id: a record may be wrapped over lines."""
        if request_id is not None and request_id not in self._near:
            # It may stand there over two lines, or with the escapes of JSON in it.
            part = max(re.split(r"[^0-9A-Za-z-]", request_id), key=len)
            places = [number for number, line in enumerate(self._lines) if part in line]
            assert places, request_id
            around = {line for place in places for line in range(max(0, place - 20), place + 20)}
            self._near[request_id] = set().union(*(self._figures[line] for line in around if line < len(self._lines)))
        return self._near[request_id]


def figures_in(text: str) -> set[float]:
    return {float(figure) for pattern in (NUMBER, WHOLE) for figure in pattern.findall(text)}


def assert_literal(invocation: Invocation, text: Text) -> None:
    """Assert that the figures of a run stand in the lines that hold its request id, and are such as Lambda prints."""
    near = text.near(invocation.request_id or None)
    assert 128 <= invocation.memory_mb <= 10_240
    for figure in (invocation.duration_ms, invocation.billed_ms, invocation.max_memory_used_mb, invocation.memory_mb):
        assert figure is None or (figure in near and 0 <= figure <= 1e9), (figure, invocation)
    # Of a restore that is not billed apart, what is billed beyond the handler is taken: a difference of two figures.
    is_restored = invocation.cold and text.has_restores
    assert invocation.init_ms is None or invocation.init_ms in near or is_restored, invocation


def test_no_damage_makes_up_a_figure(tmp_path: Path) -> None:
    rnd = random.Random(SEED)  # noqa: S311 - no secret hangs on it
    path = tmp_path / "fuzzed"
    counts = {name: Counter[str]() for name in DAMAGES}
    slowest_s = 0.0
    for number in range(RECORDS // PER_FILE):
        name, damage = list(DAMAGES.items())[number % len(DAMAGES)]
        data = b"\n".join(damage(rnd, rnd.choice(KNOWN)) for _ in range(PER_FILE))
        if number % 19:  # else it is a binary file at once
            data = data.replace(b"\0", b"")
        path.write_bytes(data)
        began = time.perf_counter()
        reading = read_part(Part(str(path)), skip_invalid=True)
        slowest_s = max(slowest_s, time.perf_counter() - began)
        found = reading.recording
        text = Text(data)
        runs = list(found.kept_runs())
        for run in runs:
            assert_literal(run.invocation, text)
        counts[name].update(
            records=PER_FILE, runs=len(runs), damaged=found.damaged, invalid=found.invalid,
            refused=reading.refused is not None, binary=reading.nothing == "is a binary file",
        )  # fmt: skip
    print(
        f"\n\n{RECORDS // PER_FILE * PER_FILE:,} records in files of {PER_FILE}, seed {SEED}; slowest file"
        f" {slowest_s:.2f} s"
    )
    kinds = ("records", "runs", "damaged", "invalid", "refused", "binary")
    print(f"{'':24}" + "".join(f"{kind:>10}" for kind in kinds))
    for name, of in {**counts, "all": sum(counts.values(), Counter[str]())}.items():
        print(f"{name:24}" + "".join(f"{of[kind]:>10,}" for kind in kinds))
    assert sum(of["runs"] for of in counts.values()) > RECORDS // 20
    assert slowest_s < 10


def test_no_damage_to_packed_files_ends_in_a_crash(tmp_path: Path) -> None:
    rnd = random.Random(8)  # noqa: S311 - no secret hangs on it
    packed = gzip.compress(b"\n".join(seeds()))
    path = tmp_path / "fuzzed.gz"
    count = max(100, RECORDS // 500)
    whole = 0
    for _ in range(count):
        data = bytearray(packed)
        for _ in range(rnd.randint(1, 4)):
            place = rnd.randrange(len(data))
            data[place : place + rnd.randint(0, 9)] = rnd.choice(
                [b"", b"\0", b"\xff" * 5, packed[:20], zlib.compress(b"x")]
            )
        path.write_bytes(data)
        for skip in (False, True):
            reading = read_part(Part(str(path)), skip_invalid=skip)
            whole += reading.refused is None
    print(f"\n\n{count:,} damaged packed files, each read twice; {whole:,} readings gave something")
