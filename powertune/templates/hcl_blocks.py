"""Where blocks and attributes stand in Terraform document. What an expression means is not decided here.

The scan knows comments, strings with templates inside, here-documents and brackets, as the HCL specification has them
(hclsyntax/spec.md of hashicorp/hcl), and is linear in the length of the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from powertune.errors import BadInputError
from powertune.model.configured import Place
from powertune.templates.document import Document

_SKIPPED = re.compile(r"(?:[\s\ufeff]+|#[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_NAME = re.compile(r"[^\W\d][\w-]*")
_PLAIN = re.compile(r"[^\"{}()\[\]#/<\n\\$%]+")
_COMMENT = re.compile(r"#[^\n]*|//[^\n]*|/\*.*?\*/", re.DOTALL)
_HEREDOC = re.compile(r"<<-?(?P<mark>[^\W\d][\w.-]*)\r?\n")
_LABEL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_OPEN, _CLOSE = frozenset("{(["), frozenset("})]")
_DEEPEST = 40
"""Blocks within blocks: more than any provider's schema has."""


@dataclass(frozen=True)
class Expression:
    """The right-hand side of an attribute, without the comment behind it."""

    document: Document
    start: int
    end: int

    @property
    def text(self) -> str:
        """Return it as written."""
        return self.document.text[self.start : self.end]

    @property
    def place(self) -> Place:
        """Return where it starts."""
        return self.document.place(self.start)


@dataclass(frozen=True)
class Block:
    """A block such as `resource "aws_lambda_function" "checkout" { … }`."""

    kind: str
    labels: tuple[str, ...]
    document: Document
    start: int
    body_start: int
    """Just behind the opening brace."""
    body_end: int = 0
    """At the closing brace."""
    attributes: dict[str, Expression] = field(default_factory=dict)
    attribute_starts: dict[str, int] = field(default_factory=dict)
    """Where the name of each attribute stands."""
    blocks: list["Block"] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """Return where it starts."""
        return self.document.place(self.start)

    def inner(self, *kinds: str) -> Iterator["Block"]:
        """Yield the blocks of these kinds that stand directly in it."""
        return (block for block in self.blocks if block.kind in kinds)


def scan(document: Document) -> Block:
    """Return a file as one block, with its attributes and its blocks in it. Raises BadInputError."""
    top = Block("", (), document, 0, 0)
    position = _scan_body(document, 0, top, depth=0)
    if position < len(document.text):
        raise _error(document, position, "a brace is closed that was not opened")
    return top


def _scan_body(document: Document, position: int, into: Block, *, depth: int) -> int:
    """Read attributes and blocks up to the closing brace or the end; return where that is."""
    text = document.text
    while True:
        position = _skip(document, position)
        if position >= len(text) or text[position] == "}":
            return position
        name = _NAME.match(text, position)
        if not name:
            raise _error(document, position, "a name of a block or an attribute should stand")
        after = _spaces(text, name.end())
        if text.startswith("=", after):
            start = _spaces(text, after + 1)
            end, position = _expression_end(document, start)
            if end == start:
                raise _error(document, start, f"{name[0]} has no value")
            into.attributes[name[0]] = Expression(document, start, end)
            into.attribute_starts[name[0]] = name.start()
        else:
            block = _block_head(document, name, after)
            if depth == _DEEPEST:
                raise _error(document, position, f"blocks are nested more than {_DEEPEST} deep")
            position = _scan_body(document, block.body_start, block, depth=depth + 1)
            if position >= len(text):
                raise _error(document, block.start, f"the brace of {name[0]} is never closed")
            into.blocks.append(replace(block, body_end=position))
            position += 1


def _block_head(document: Document, name: re.Match[str], position: int) -> Block:
    text, labels = document.text, []
    while label := _LABEL.match(text, position) or _NAME.match(text, position):
        labels.append(label[1] if label.re is _LABEL else label[0])
        position = _spaces(text, label.end())
    if not text.startswith("{", position):
        raise _error(document, name.start(), f"{name[0]} is followed by neither = nor a block")
    return Block(name[0], tuple(labels), document, name.start(), position + 1)


def _expression_end(document: Document, position: int) -> tuple[int, int]:
    """Return where the expression ends, and where what follows begins: behind a comment, or at the closing brace."""
    text, end, depth = document.text, position, 0
    while position < len(text):
        if comment := _COMMENT.match(text, position):
            position = comment.end()
            continue
        if text.startswith("/*", position):
            raise _error(document, position, "a comment is never closed")
        char = text[position]
        if not depth and (char == "\n" or char in _CLOSE):
            return end, position
        if char == '"':
            position = end = _string_end(document, position)
        elif heredoc := _HEREDOC.match(text, position):
            position = end = _heredoc_end(document, heredoc)
        elif plain := _PLAIN.match(text, position):
            position = plain.end()
            end = position - len(plain[0]) + len(plain[0].rstrip()) if plain[0].strip() else end
        else:
            depth += (char in _OPEN) - (char in _CLOSE)
            position += 1
            end = end if char.isspace() else position
    if depth:
        raise _error(document, position, "a bracket is never closed")
    return end, position


_STRING_PIECE = re.compile(r'[^"\\$%\n{}]+|\\.|\$\$\{|%%\{')


def _string_end(document: Document, start: int) -> int:
    """Return where a string ends, counting the braces of the templates in it, which may hold strings again."""
    text, position, templates = document.text, start + 1, [0]
    # One number a level: 0 for a string's own characters, else how many braces are open in its template.
    while position < len(text):
        if not templates[-1] and (piece := _STRING_PIECE.match(text, position)):
            position = piece.end()
        elif not templates[-1] and text.startswith(("${", "%{"), position):
            templates[-1] = 1
            position += 2
        elif text[position] == '"':
            if templates[-1]:
                templates.append(0)
            else:
                templates.pop()
                if not templates:
                    return position + 1
            position += 1
        elif text[position] == "\n" and not templates[-1]:
            break
        else:
            if templates[-1]:
                templates[-1] += (text[position] == "{") - (text[position] == "}")
            position += 1
    raise _error(document, start, "a string is never closed")


def _heredoc_end(document: Document, opening: re.Match[str]) -> int:
    closing = re.compile(rf"^[ \t]*{re.escape(opening['mark'])}(?=\r?$)", re.MULTILINE).search(
        document.text, opening.end()
    )
    if not closing:
        raise _error(document, opening.start(), f"the here-document {opening['mark']} is never closed")
    return closing.end()


def _skip(document: Document, position: int) -> int:
    found = _SKIPPED.match(document.text, position)
    return found.end() if found else position


def _spaces(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r":
        position += 1
    return position


def _error(document: Document, position: int, words: str) -> BadInputError:
    return document.bad(f"is no Terraform source: {words}", hint="terraform validate says more", offset=position)
