"""A million records damaged in every way that comes to mind: no crash, no hang, and no figure that is not in the text.

By hand: `python -m pytest -m benchmark -s tests/benchmarks/test_recorded_fuzz.py`. POWERTUNE_FUZZ_RECORDS sets the
number.
"""

import gzip
import json
import os
import random
import re
import time
import zlib
from pathlib import Path

import pytest

from powertune.sources.reading import Part, read_part
from powertune.sources.recording import Run

RECORDS = int(os.environ.get("POWERTUNE_FUZZ_RECORDS", "1000000"))
PER_FILE = 200
DATA = Path(__file__).parents[1] / "data" / "report_lines.txt"
HOSTILE = (
    b"NaN", b"Infinity", b"-1", b"1e999", b"9" * 40, b"0x10", b"1,5", b"\xd9\xa3", b"\xef\xbc\x91", b"\0", b"\x1b[2J",
    b"\xff\xfe", b"\xc3\x28", b"\xe2\x80\xa8", b"\r", b"\n", b"\t", b" ", b'"', b"\\t", b"\\n", b"{", b"}", b"[", b"]",
    b"REPORT RequestId: ", b"Duration: ", b" ms", b" MB", b"Status: timeout", b'"platform.report"', b"Billed ",
    b"XRAY TraceId: ", b'{"time":"', b"memory_mb,duration_ms\n", b'{"logEvents":[', b"[" * 500,
    b"lambda-power-tuning.show/#",
)  # fmt: skip
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")

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


def damaged(rnd: random.Random, line: bytes, others: list[bytes]) -> bytes:
    """Return a record cut, joined, reordered, overwritten, or in another encoding."""
    for _ in range(rnd.randint(1, 3)):
        place = rnd.randrange(len(line) + 1)
        match rnd.randrange(9):
            case 0:
                line = line[:place]
            case 1:
                line = line[place:]
            case 2:
                line = line[:place] + line[place + rnd.randint(1, 12) :]
            case 3:
                line = line[:place] + rnd.choice(HOSTILE) + line[place:]
            case 4:
                line = line[:place] + bytes([rnd.randrange(256)]) + line[place + 1 :]
            case 5:
                line = line + rnd.choice((b"", b" ", b"\t", b",")) + rnd.choice(others)
            case 6:
                fields = line.split(b"\t")
                rnd.shuffle(fields)
                line = b"\t".join(fields)
            case 7:
                line = re.sub(rb"[0-9]+", lambda _found: rnd.choice(HOSTILE), line, count=1)
            case _:
                line = line.decode("latin-1").encode(rnd.choice(("utf-16-le", "utf-8", "utf-7", "cp500")))
    return line


def figures_in(text: str) -> set[float]:
    return {float(figure) for figure in NUMBER.findall(text) if len(figure) < 25}


def assert_literal(run: Run, lines: list[str], everywhere: set[float]) -> None:
    """Assert that the figures of a run stand in the lines that hold its request id, and are such as Lambda prints."""
    invocation = run.invocation
    near = everywhere
    if invocation.request_id:
        begins = invocation.request_id.split("\n")[0]  # a quoted cell of a table may go on in the next line
        places = [number for number, line in enumerate(lines) if begins in line]
        assert places, invocation
        # A record may be wrapped over lines, and an object is printed over many.
        near = figures_in("\n".join("\n".join(lines[max(0, place - 20) : place + 20]) for place in places))
    assert 128 <= invocation.memory_mb <= 10_240
    is_restored = invocation.cold and any("Restore" in line or "restore" in line for line in lines)
    for figure in (invocation.duration_ms, invocation.billed_ms, invocation.max_memory_used_mb, invocation.memory_mb):
        assert figure is None or (figure in near and 0 <= figure <= 1e9), (figure, invocation)
    # Of a restore that is not billed apart, what is billed beyond the handler is taken: a difference of two figures.
    assert invocation.init_ms is None or invocation.init_ms in near or is_restored, invocation


def test_no_damage_makes_up_a_figure(tmp_path: Path) -> None:
    rnd = random.Random(7)  # noqa: S311 - no secret hangs on it
    known = seeds()
    path = tmp_path / "fuzzed"
    runs = marked = refused = 0
    slowest_s = 0.0
    for number in range(RECORDS // PER_FILE):
        lines = [damaged(rnd, rnd.choice(known), known) for _ in range(PER_FILE)]
        data = b"\n".join(lines)
        if number % 20:  # else it is a binary file at once
            data = data.replace(b"\0", b"")
        path.write_bytes(data)
        began = time.perf_counter()
        reading = read_part(Part(str(path)), skip_invalid=True)
        slowest_s = max(slowest_s, time.perf_counter() - began)
        refused += reading.refused is not None
        found = reading.recording
        text = re.sub(r"\r\n?", "\n", data.decode("utf-8", "backslashreplace")).replace("\\\\", "\\")
        lines_of_text = text.replace("\\t", "\t").split("\n")
        everywhere = figures_in(text.replace("\\t", "\t").replace("\\n", "\n"))
        for run in found.kept_runs():
            assert_literal(run, lines_of_text, everywhere)
            runs += 1
        marked += found.damaged + found.invalid
        if number % 1000 == 999:
            print(f"\n{(number + 1) * PER_FILE:,} records, {runs:,} runs, {marked:,} damaged", end="", flush=True)
    print(
        f"\n\n{RECORDS // PER_FILE * PER_FILE:,} damaged records in files of {PER_FILE}: {runs:,} read, {marked:,}"
        f" counted as damaged, {refused:,} files refused; slowest file {slowest_s:.2f} s"
    )
    assert runs > RECORDS // 20
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
