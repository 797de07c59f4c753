"""A buffer of bytes to look at in many places at once, eight bytes at a time.

Digits become numbers, and bytes are told apart, by the arithmetic of eight bytes in one 64-bit word: Langdale and
Lemire, "Parsing gigabytes of JSON per second", VLDB Journal 28, 2019, section 3; Warren, Hacker's Delight, 2012, 6-1.
"""

from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
_Words: TypeAlias = npt.NDArray[np.uint64]

REACH = 640
"""Bytes behind the end of the text that may be looked at."""


def _every(byte: int) -> np.uint64:
    """Return a word of eight times the same byte."""
    return np.uint64(byte * 0x0101010101010101)


_ONES, _HIGH, _LOW7 = _every(0x01), _every(0x80), _every(0x7F)
_ZEROES, _BEYOND_NINE = _every(ord("0")), _every(0x80 - 10)
_HYPHEN = _every(ord("-"))
_BYTE, _FULL, _POINT = np.uint64(0xFF), _every(0xFF), np.uint64(ord("."))
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)
_8, _16, _32, _56, _64 = (np.uint64(bits) for bits in (8, 16, 32, 56, 64))
_TENS, _PAIRS = np.uint64(10 << 8 | 1), np.uint64(0x000000FF_000000FF)
_FIRST_AND_THIRD, _SECOND_AND_FOURTH = np.uint64(1_000_000 << 32 | 100), np.uint64(10_000 << 32 | 1)
_SCALES = np.array([0, 100, 10, 1, 0, 0, 0, 0], np.int64)
"""Thousandths that the last digit stands for, by the number of decimals."""
_MAY_BE_DECIMALS = _SCALES > 0


class Block:
    """A buffer of fixed size, and the text in it."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size + REACH)
        self.size = size
        self.end = 0
        """Where the text ends; only zeroes stand behind it."""
        self.is_last = False
        """Whether no text follows this one."""
        self.bytes = np.frombuffer(self.data, np.uint8)
        self.words: _Words = np.ndarray(size + REACH - 7, "<u8", self.data, 0, (1,))
        self.pairs: npt.NDArray[np.uint16] = np.ndarray(size + REACH - 1, "<u2", self.data, 0, (1,))
        self._rows: dict[int, npt.NDArray[np.void]] = {}
        """Views of the buffer in which each place holds so many words."""

    @classmethod
    def of(cls, text: bytes) -> "Block":
        """Return a block that holds a text."""
        block = cls(len(text))
        block.data[: len(text)] = text
        block.end = len(text)
        block.is_last = True
        return block

    def take(self, begin: int, end: int) -> bytes:
        """Return a part of the text."""
        return bytes(memoryview(self.data)[begin:end])

    def where(self, byte: bytes, begin: int, end: int) -> Ints:
        """Return all places of a byte from `begin` to before `end`."""
        is_there = self.bytes[begin : end + (begin - end) % 8] == byte[0]
        eights = is_there.view(np.uint64)
        some = np.flatnonzero(eights != 0)  # most hold none, and are passed over together
        found = np.flatnonzero(eights[some].view(np.bool_))
        places: Ints = some[found >> 3] * 8 + (found & 7) + begin
        return places[: np.searchsorted(places, end)]

    def has(self, places: Ints, literal: bytes) -> Flags:
        """Tell at which places this text stands."""
        return _are(self._words_at(places, -(-len(literal) // 8)), literal, 0)

    def numbers_behind(self, places: Ints, literal: bytes) -> tuple[Flags, Ints, Ints]:
        """Tell where this text and a number of one to seven digits stand; return the numbers, and where they end.

        The number has to be followed by something that is looked at, too: of a longer one the first seven digits count.
        No place may lie in the first seven bytes.
        """
        before = -len(literal) % 8
        words = self._words_at(places - before, (before + len(literal)) // 8 + 1)
        number, length = _number(words[:, -1])
        return _are(words, literal, before) & (length > 0), number, places + (len(literal) + length)

    def decimals_behind(self, places: Ints, literal: bytes) -> tuple[Flags, Ints, Ints]:
        """Do the same for numbers that may have one to three decimals; they are returned in thousandths."""
        before = -len(literal) % 8
        words = self._words_at(places - before, (before + len(literal)) // 8 + 2)
        first: _Words = words[:, -2]
        whole, length = _number(first)
        bits: _Words = (length.view(np.uint64) + _ONE) << _THREE
        behind: _Words = (first >> bits) | (words[:, -1] << (_64 - bits))
        fraction, digits = _number(behind)
        has_point = (first >> (bits - _8)) & _BYTE == _POINT
        good = _are(words, literal, before) & (length > 0) & (~has_point | _MAY_BE_DECIMALS[digits])
        number = whole * 1000 + fraction * (_SCALES[digits] * has_point)
        return good, number, places + (len(literal) + length + (digits + 1) * has_point)

    def _words_at(self, places: Ints, count: int) -> _Words:
        """Return the words at places, a row for each: to fetch many that lie together takes hardly longer than one."""
        rows = self._rows.get(count)
        if rows is None:
            length = 8 * count
            rows = self._rows[count] = np.ndarray(len(self.data) - length + 1, f"V{length}", self.data, 0, (1,))
        found: _Words = rows[places].view("<u8").reshape(len(places), count)
        return found

    def are_ids(self, places: Ints, length: int) -> Flags:
        """Tell where `length` bytes, eight or more, are digits, letters from a to f, hyphens or such.

        None of them is white space, a quote, a backslash or beyond ASCII: all lie from 0x2d to 0x4f or 0x60 to 0x6f.
        """
        words = self._words_at(places, -(-length // 8))
        if length % 8:
            words[:, -1] <<= np.uint64(8 * (8 - length % 8))
            words[:, -1] |= _HYPHEN >> np.uint64(8 * (length % 8))
        # A byte below a hyphen borrows from its highest bit.
        wrong = (words - _HYPHEN) | words | ((words & (words << _TWO)) << _ONE)
        every = wrong[:, 0]
        for number in range(1, words.shape[1]):
            every = every | wrong[:, number]
        good: Flags = every & _HIGH == 0
        return good


def _are(words: _Words, literal: bytes, begin: int) -> Flags:
    """Tell which rows of words hold this text from byte `begin` on."""
    good: Flags = np.ones(len(words), np.bool_)
    for number, (mask, wanted) in enumerate(_masks(literal, begin)):
        word = words[:, number]
        good &= (word if mask == _FULL else word & mask) == wanted
    return good


@lru_cache
def _masks(literal: bytes, begin: int) -> list[tuple[np.uint64, np.uint64]]:
    """Return for each word that a text lies in, from byte `begin` on, which bits of it are its, and what they are."""
    length = -(-(begin + len(literal)) // 8) * 8
    behind = length - begin - len(literal)
    masks = bytes(begin) + b"\xff" * len(literal) + bytes(behind)
    wanted = bytes(begin) + literal + bytes(behind)
    return list(zip(np.frombuffer(masks, "<u8"), np.frombuffer(wanted, "<u8"), strict=True))


def _number(text: _Words) -> tuple[Ints, Ints]:
    """Return the numbers of up to seven digits that words begin with, and how long each is: 0 where there is none."""
    word = text ^ _ZEROES
    other = (((word & _LOW7) + _BEYOND_NINE) | word) & _HIGH
    # From the lowest bit up to the byte of the first that is no digit: one byte more than there are digits.
    length = ((((other ^ (other - _ONE)) & _ONES) * _ONES) >> _56) - _ONE
    number = word << (_64 - (length << _THREE))
    number = (number * _TENS) >> _8
    number = ((number & _PAIRS) * _FIRST_AND_THIRD + ((number >> _16) & _PAIRS) * _SECOND_AND_FOURTH) >> _32
    return number.view(np.int64), length.view(np.int64)
