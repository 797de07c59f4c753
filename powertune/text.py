"""Text from outside made safe to show, and numbers made readable. Pure; used wherever something reaches a person."""

import re
import unicodedata
from collections.abc import Iterable

# Unicode categories that can move a cursor, hide text or reverse it: control, format, surrogate, private, separators.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_ELLIPSIS = "..."
# `::error::` at the start of a line (GitHub), `##[group]` and `##vso[...]` anywhere in one (GitHub, Azure).
_LOG_COMMAND = re.compile(r"(?m)^((?:[ \t]|\x1b\[[0-9;]*m)*:)(?=:)|(#)(?=#\w*\[)")


def printable(text: object, *, limit: int = 200) -> str:
    """Return `text` on one line with nothing in it that a terminal would obey, cut to `limit` characters.

    White space is folded; control, bidirectional and other invisible characters become their hexadecimal code.
    """
    raw = str(text)
    # Cut first: a megabyte of hostile text must not be walked character by character.
    folded = " ".join(raw[: 4 * limit].split())
    safe = visible(folded)
    if len(safe) > limit or len(raw) > 4 * limit:
        return safe[: limit - len(_ELLIPSIS)] + _ELLIPSIS
    return safe


def visible(text: str) -> str:
    """Return `text` with invisible and control characters, save the tab, as their hexadecimal code; spaces are kept."""
    return "".join(
        _escape(char) if unicodedata.category(char) in _UNSAFE_CATEGORIES and char != "\t" else char for char in text
    )


def _escape(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:  # noqa: PLR2004 - one byte
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - the basic plane


def inert(drawn: str) -> str:
    """Return lines for a screen with a space in all that the log of a CI job would obey as a command."""
    return _LOG_COMMAND.sub(r"\1\2 ", drawn)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `did you mean a, b?` for the names in `known` that are close to `word`, or an empty string."""
    import difflib  # noqa: PLC0415 - only slips of the pen need it

    names = {name.lower(): name for name in known}
    word = word[:100].lower()  # what is longer is near to nothing
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    close += [name for name in names if word and word in name and name not in close][: 3 - len(close)]
    return f"did you mean {', '.join(names[name] for name in close)}?" if close else ""


def count(number: int, noun: str) -> str:
    """Return `1 size`, `2 sizes`, `1,200 invocations`: a number and its noun, in agreement."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(milliseconds: float) -> str:
    """Return a duration with its unit and about four digits: `0.39 ms`, `17.3 ms`, `223 ms`, `1.465 s`, `742 s`."""
    if milliseconds < 0.995:  # noqa: PLR2004 - limits are where rounding would show the next unit's digits
        return f"{milliseconds:.2f} ms"
    if milliseconds < 99.95:  # noqa: PLR2004 - where a tenth stops to matter
        return f"{milliseconds:.1f} ms"
    if milliseconds < 999.5:  # noqa: PLR2004 - a second
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 9.9995:  # noqa: PLR2004 - where the third decimal stops to matter
        return f"{seconds:.3f} s"
    return f"{seconds:.2f} s" if seconds < 99.995 else f"{seconds:.0f} s"  # noqa: PLR2004 - likewise the second


def rough_duration(seconds: float) -> str:
    """Return a time to wait, no finer than a person cares for: `2 s`, `3 min`."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"  # noqa: PLR2004 - 1.5 min


_SYMBOLS = {"USD": "$", "CNY": "¥"}


def symbol(currency: str) -> str:
    """Return a currency's sign, or its code and a space."""
    return _SYMBOLS.get(currency, currency + " ")


def money(amount: float, currency: str = "USD") -> str:
    """Return an amount with its currency sign and at least two digits that are not zero: never `$0.00` for a cost."""
    sign = symbol(currency) if amount >= 0 else f"-{symbol(currency)}"
    if amount == 0:
        return f"{sign}0.00"
    magnitude = abs(amount)
    if magnitude >= 1000:  # noqa: PLR2004 - cents stop to matter
        return f"{sign}{magnitude:,.0f}"
    if magnitude >= 0.1:  # noqa: PLR2004 - two decimals carry two digits
        return f"{sign}{magnitude:.2f}"
    if magnitude < 1e-15:  # noqa: PLR2004 - more zeroes than anyone counts
        return f"{sign}{magnitude:.1e}"
    decimals = 2
    while round(magnitude, decimals) * 10**decimals < 10:  # noqa: PLR2004 - two digits that count
        decimals += 1
    return f"{sign}{magnitude:.{decimals}f}"


def percent(value: float) -> str:
    """Return a signed change in per cent with as many digits as it is worth: `+0.04 %`, `-8.3 %`, `-49 %`."""
    magnitude = abs(value)
    digits = 2 if round(magnitude, 2) < 1 else 1 if round(magnitude, 1) < 10 else 0  # noqa: PLR2004 - about two digits
    return f"{value:+.{digits}f} %"
