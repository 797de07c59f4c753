"""On which line of a TOML document each key stands: `tomllib` does not tell, and an error should."""

import re
import tomllib
from collections.abc import Iterator

KeyPath = tuple[str | int, ...]
"""Where a value is: keys of tables, and positions in arrays counted from 0."""

_TOKEN = re.compile(
    r'''
      (?P<skip>    [ \t\r]+ | \#[^\n]* )
    | (?P<newline> \n )
    | (?P<text>    """ (?: [^\\] | \\. )*? """ "{0,2} | \'{3} .*? \'{3} \'{0,2}
                   | " (?: [^"\\\n] | \\. )* " | ' [^'\n]* ' )
    | (?P<sign>    [][{}=,.] )
    | (?P<bare>    [^][{}=,.\s\#"']+ )
    ''',
    re.VERBOSE | re.DOTALL,
)


def lines_of_keys(document: str) -> dict[KeyPath, int]:
    """Return the line, from 1, of each key, table header and array element of a document that `tomllib` has parsed."""
    return _Scan(document).lines


class _Scan:
    """One walk through a document that is known to be valid, which is why so little is asked of it."""

    def __init__(self, document: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._arrays: dict[KeyPath, int] = {}  # of tables: how many elements each has so far
        self._tokens = _tokens(document)
        self._advance()
        table: KeyPath = ()
        while self._kind:
            if self._kind == "newline":
                self._advance()
            elif self._text == "[":
                table = self._header()
            else:
                self._pair(table)

    def _advance(self) -> None:
        self._kind, self._text, self._line = next(self._tokens, ("", "", 0))

    def _header(self) -> KeyPath:
        self._advance()
        is_array = self._text == "["
        if is_array:
            self._advance()
        line, keys = self._line, self._key()
        path: KeyPath = ()
        for position, key in enumerate(keys, 1):
            path = (*path, key)
            if is_array and position == len(keys):
                self._arrays[path] = self._arrays.get(path, 0) + 1
            if path in self._arrays:  # a table inside it belongs to the element that was begun last
                self.lines.setdefault(path, line)
                path = (*path, self._arrays[path] - 1)
            self.lines.setdefault(path, line)
        while self._text == "]":
            self._advance()
        return path

    def _pair(self, table: KeyPath) -> None:
        line, path = self._line, table
        for key in self._key():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._advance()  # over the =
        self._value(path)

    def _key(self) -> list[str]:
        keys = []
        while self._kind in ("bare", "text"):
            keys.append(self._text if self._kind == "bare" else str(tomllib.loads(f"key = {self._text}")["key"]))
            self._advance()
            if self._text == ".":
                self._advance()
        return keys

    def _value(self, path: KeyPath) -> None:
        if self._text == "[":
            self._array(path)
        elif self._text == "{":
            self._inline_table(path)
        else:
            while self._kind in ("bare", "text") or self._text == ".":  # 1.5 is three tokens, a date with a time two
                self._advance()

    def _array(self, path: KeyPath) -> None:
        self._advance()
        position = 0
        while self._text != "]":
            if self._kind == "newline" or self._text == ",":
                self._advance()
                continue
            self.lines[(*path, position)] = self._line
            self._value((*path, position))
            position += 1
        self._advance()

    def _inline_table(self, path: KeyPath) -> None:
        self._advance()
        while self._text != "}":
            if self._kind == "newline" or self._text == ",":
                self._advance()
            else:
                self._pair(path)
        self._advance()


def _tokens(document: str) -> Iterator[tuple[str, str, int]]:
    """Yield kind, text and line of each token that is not white space or a comment."""
    line = 1
    for found in _TOKEN.finditer(document):
        kind, token = str(found.lastgroup), found.group()
        if kind != "skip":
            yield kind, token, line
        line += token.count("\n")
