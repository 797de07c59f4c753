"""Memory sizes and the quotas around them. Source: AWS Lambda quotas page, read 2026-11-23."""

import re

from powertune.errors import UsageError
from powertune.text import printable

MIN_MEMORY_MB = 128
MAX_MEMORY_MB = 10_240
MAX_TIMEOUT_S = 900
MAX_LAYERS = 5
RUNTIME_SHARE_MB = 25.0
"""What Lambda's own runtime keeps in memory beside a bare interpreter: functions that do nothing log 36 to 40 MB used
(REPORT lines of 2021 to 2023), a bare Python 10 to 14 MB."""
MAX_CODE_BYTES = 250 * 1024 * 1024
"""Limit of code and layers together, unpacked."""
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
"""Limit of a synchronous request and of its response."""

MEMORY_HEADROOM = 0.10
"""Share of a size that has to stay free for it to be recommended: the next input may be a little larger."""

DEFAULT_SIZES_MB = (128, 256, 384, 512, 768, 1024, 1280, 1536, 1769, 2048, 3008)
"""The usual steps, the size that gets one whole vCPU (1769) and the ceiling of many accounts (3008)."""

_ALL_STEP_MB = 64
_RANGE = re.compile(r"(?P<first>[0-9]+)\.\.(?P<last>[0-9]+)(?::(?P<step>[0-9]+))?")
_FORMS = "write sizes like 128,256,1024, a range like 128..3008:64, or all"


def parse_sizes(text: str) -> tuple[int, ...]:
    """Return the memory sizes in MB that `text` names, ascending: `128,256`, `128..3008:64` or `all`.

    The step of a range is 64 if left out. `all` is every 64 MB from 128 to 10,240 and the one-vCPU size, 1769. Ranges
    may overlap with each other and with single sizes; a single size given twice is taken for a slip. Raises UsageError.
    """
    if text.strip().lower() == "all":
        return tuple(sorted({*range(MIN_MEMORY_MB, MAX_MEMORY_MB + 1, _ALL_STEP_MB), 1769}))
    singles: set[int] = set()
    sizes: set[int] = set()
    for part in (part.strip() for part in text.split(",")):
        if matched := _RANGE.fullmatch(part):
            sizes.update(_parse_range(part, matched))
        elif part.isascii() and part.isdigit():
            size = checked_size(int(part[:9]))
            if size in singles:
                raise UsageError(f"{size} MB is given twice", hint="leave one of them out")
            singles.add(size)
        elif not part:
            raise UsageError("there is no memory size between two commas or at an end of the list", hint=_FORMS)
        else:
            raise UsageError(f"{printable(part, limit=40)!r} is not a memory size in whole MB", hint=_FORMS)
    return tuple(sorted(sizes | singles))


def _parse_range(part: str, matched: re.Match[str]) -> range:
    first, last = checked_size(int(matched["first"][:9])), checked_size(int(matched["last"][:9]))
    step = int((matched["step"] or str(_ALL_STEP_MB))[:9])
    if step == 0:
        raise UsageError(f"the range {part} has step 0", hint=f"a step is 1 MB or more: {first}..{last}:64")
    if last < first:
        raise UsageError(f"the range {part} is empty", hint=f"put the smaller size first: {last}..{first}:{step}")
    return range(first, last + 1, step)


def checked_size(memory_mb: int) -> int:
    """Return `memory_mb` if a Lambda function can have that size. Raises UsageError."""
    if not MIN_MEMORY_MB <= memory_mb <= MAX_MEMORY_MB:
        raise UsageError(
            f"{memory_mb} MB is no Lambda memory size", hint=f"choose from {MIN_MEMORY_MB} to {MAX_MEMORY_MB} MB"
        )
    return memory_mb
