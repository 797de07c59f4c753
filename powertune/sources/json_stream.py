"""JSON documents that come in pieces: what they hold is given out as soon as it is there, not when all of it is."""

import json
from collections.abc import Callable, Generator
from typing import Any

STREAMED = frozenset({"events", "results"})
"""Lists of a document that may be longer than memory: of `aws logs filter-log-events`, and of Logs Insights."""

_LONGEST_VALUE = 64_000_000
"""Characters of one value, which has to be held."""
_LONGEST_TOKEN = 12
"""Characters up to which something that is no JSON at the end of a piece may be the beginning of something that is."""
_SMALL = 16_384
"""Characters up to which a value is tried with each piece that comes."""
_DECODER = json.JSONDecoder()
_SPACE = " \t\n\r"

Emit = Callable[[str | None, Any, dict[str, Any]], None]
"""Takes the list that a value is an item of (`""` for a document that is a list), or None for a document as a whole
without its streamed lists; the value; and what came before the list in its document."""


class BrokenDocumentError(ValueError):
    """The text stops being JSON, or stops."""


class DocumentReader:
    """Takes the text of a JSON object or list in pieces, each a line or a part of one, from its first bracket on."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._text = ""
        self._place = 0
        self._is_closed = False
        self.emitted = 0
        """How many values were given out."""
        self.is_done = False
        self._parser = self._document()
        next(self._parser)

    def feed(self, piece: str) -> None:
        """Read a piece. Raises BrokenDocumentError."""
        try:
            self._parser.send(piece)
        except StopIteration:
            self.is_done = True
        except (ValueError, RecursionError) as error:
            raise BrokenDocumentError(str(error)) from error

    def close(self) -> None:
        """Tell that nothing comes any more. Raises BrokenDocumentError where something is missing."""
        if not self.is_done:
            self._is_closed = True
            self.feed("")
        if not self.is_done:
            raise BrokenDocumentError("it breaks off")

    @property
    def rest(self) -> str:
        """What was read and not given out yet: behind the document, where it is done."""
        return self._text[self._place :]

    # --- a parser that waits for more text where it runs out of it ---

    def _more(self) -> Generator[None, str, None]:
        """Wait for a piece."""
        if self._is_closed:
            raise BrokenDocumentError("it breaks off")
        piece = yield
        self._text = self._text[self._place :] + piece
        self._place = 0

    def _next_char(self) -> Generator[None, str, str]:
        """Return the next character that is no white space, without passing it."""
        while True:
            while self._place < len(self._text):
                char = self._text[self._place]
                if char not in _SPACE:
                    return char
                self._place += 1
            yield from self._more()

    def _expect(self, chars: str) -> Generator[None, str, str]:
        char = yield from self._next_char()
        if char not in chars:
            raise BrokenDocumentError(f"{char!r} where {' or '.join(chars)} should be")
        self._place += 1
        return char

    def _value(self) -> Generator[None, str, Any]:
        yield from self._next_char()
        enough = 0
        while True:
            length = len(self._text) - self._place
            if length >= enough or self._is_closed:
                try:
                    value, end = _DECODER.raw_decode(self._text, self._place)
                except json.JSONDecodeError as error:
                    if not self._may_go_on(error):
                        raise
                    # A long value is tried again when it has doubled: each time costs as much as it is long. For a
                    # long text it takes a quote, too.
                    is_text = self._text[self._place] == '"'
                    enough = 0 if length < _SMALL or is_text else 2 * length
                else:
                    if end < len(self._text) or self._is_closed or isinstance(value, str | dict | list):
                        self._place = end
                        return value
            yield from self._more()

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        if self._is_closed or len(self._text) - self._place > _LONGEST_VALUE:
            return False
        at_end = error.pos >= len(self._text.rstrip(_SPACE)) - _LONGEST_TOKEN
        return at_end or error.msg.startswith("Unterminated string")

    def _document(self) -> Generator[None, str, None]:
        yield from self._more()
        if (yield from self._expect("{[")) == "[":
            yield from self._list("", {}, None)
            self._give(None, [], {})
            return
        document: dict[str, Any] = {}
        while (yield from self._next_char()) != "}" or document:
            key = yield from self._value()
            if not isinstance(key, str):
                raise BrokenDocumentError("a key that is no text")
            yield from self._expect(":")
            if (yield from self._next_char()) == "[":
                self._place += 1
                items: list[Any] | None = None if key in STREAMED else []
                yield from self._list(key, document, items)
                document[key] = items or []
            else:
                document[key] = yield from self._value()
            if (yield from self._expect(",}")) == "}":
                break
        else:
            self._place += 1
        self._give(None, document, {})

    def _list(self, key: str, before: dict[str, Any], items: list[Any] | None) -> Generator[None, str, None]:
        """Read a list, and give out its items or add them to `items`."""
        if (yield from self._next_char()) == "]":
            self._place += 1
            return
        while True:
            value = yield from self._value()
            if items is None:
                self._give(key, value, before)
            else:
                items.append(value)
            if (yield from self._expect(",]")) == "]":
                return

    def _give(self, key: str | None, value: Any, before: dict[str, Any]) -> None:
        self._emit(key, value, before)
        self.emitted += 1
