"""A buffer of bytes to look at in many places at once, eight bytes at a time.

Digits become numbers, and bytes are told apart, by the arithmetic of eight bytes in one 64-bit word: Langdale and
Lemire, "Parsing gigabytes of JSON per second", VLDB Journal 28, 2019, section 3; Warren, Hacker's Delight, 2012, 6-1.
"""

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
_HYPHEN, _BIT_6 = _every(ord("-")), _every(0x40)
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)
_8, _16, _32, _56, _64 = (np.uint64(bits) for bits in (8, 16, 32, 56, 64))
_TEN, _HUNDRED, _TEN_THOUSAND = np.uint64(10), np.uint64(100), np.uint64(10_000)
_LANES_16, _LANES_32, _LANE_64 = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF), np.uint64(0xFFFFFFFF)
_SCALES = np.array([0, 100, 10, 1], np.int64)
"""Thousandths that the last digit stands for, by the number of decimals."""


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
        return np.flatnonzero(self.bytes[begin:end] == byte[0]) + begin

    def has(self, places: Ints, literal: bytes) -> Flags:
        """Tell at which places this text of eight bytes or more stands."""
        last = len(literal) - 8
        found: Flags = self.words[places + last] == np.uint64(int.from_bytes(literal[last:], "little"))
        for offset in range(0, last, 8):
            word = np.uint64(int.from_bytes(literal[offset : offset + 8], "little"))
            found &= self.words[places + offset] == word
        return found

    def are_ids(self, places: Ints, length: int) -> Flags:
        """Tell where `length` bytes, eight or more, are digits, letters from a to f, hyphens or such.

        None of them is white space, a quote, a backslash or beyond ASCII: all lie from 0x2d to 0x4f or 0x60 to 0x6f.
        """
        last = length - 8
        low: _Words = np.zeros(len(places), np.uint64)
        high: _Words = np.zeros(len(places), np.uint64)
        for offset in (*range(0, last, 8), last):
            word = self.words[places + offset]
            low |= word | (word - _HYPHEN)  # the lowest byte below a hyphen borrows from its own highest bit
            high |= word & (word << _TWO)
        good: Flags = ((low & _HIGH) | (high & _BIT_6)) == 0
        return good

    def integers(self, places: Ints) -> tuple[Ints, Ints]:
        """Return the numbers of one to seven digits at places, and how long each is: 0 where there is none."""
        word = self.words[places] ^ _ZEROES
        other = (((word & _LOW7) + _BEYOND_NINE) | word) & _HIGH
        # From the lowest bit up to the byte of the first that is no digit: one byte more than there are digits.
        length = ((((other ^ (other - _ONE)) & _ONES) * _ONES) >> _56) - _ONE
        length *= other != 0
        number = word << (_64 - (length << _THREE))
        number = (number * _TEN + (number >> _8)) & _LANES_16
        number = (number * _HUNDRED + (number >> _16)) & _LANES_32
        number = (number * _TEN_THOUSAND + (number >> _32)) & _LANE_64
        return number.astype(np.int64), length.astype(np.int64)

    def decimals(self, places: Ints) -> tuple[Ints, Ints]:
        """Return the numbers at places in thousandths, and how long each is: 0 where there is none.

        A number has one to seven digits before the point, and one to three behind it or no point.
        """
        whole, length = self.integers(places)
        number = whole * 1000
        has_point = self.bytes[places + length] == ord(".")
        if has_point.any():
            fraction, digits = self.integers(places + length + 1)
            number += fraction * _SCALES[np.minimum(digits, 3)] * has_point
            good = ~has_point | ((digits > 0) & (digits <= 3))  # noqa: PLR2004 - thousandths
            length = (length + (digits + 1) * has_point) * (good & (length > 0))
        return number, length
