"""Variables of the Serverless Framework, as far as files, options and the environment decide them.

Source: serverless.com/framework/docs/guides/variables (version 3, which 4 kept), read 2026-11-26. What asks AWS or runs
code is unresolved, also where a fallback stands behind it: whether that is used is known at deployment only.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from powertune.errors import BadInputError
from powertune.model.configured import Place
from powertune.templates.document import Document
from powertune.templates.files import Files
from powertune.templates.inputs import Inputs
from powertune.templates.intrinsics import call_of, described
from powertune.templates.tree import ListNode, MapNode, Node, Scalar, Tagged
from powertune.text import printable

_DEEPEST = 40
"""Values that stand for values."""
_MOST_STEPS = 10_000
"""Of one value: a file of a few lines can ask for billions."""
_LONGEST = 65_536
"""Characters that a value may come to; all environment variables of a function have 4 kB."""
_MOST_FILES = 200
_READABLE = (".yml", ".yaml", ".json")
_SAMPLES = (".example", ".sample", ".template", ".dist")
"""Ends of names of files that show which variables there are."""
_MOST_DIGITS = 9
_DEFAULT_STAGE = "dev"
_SOURCE = re.compile(r"(?P<type>[A-Za-z]\w*)(?:\((?P<argument>.*)\))?(?::(?P<address>.*))?", re.DOTALL)
_LITERAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?|true|false|null")
_TRUTH = {"true": "true", "1": "true", "false": "false", "0": "false"}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a value comes to: a node of a file, or a text made of several; nothing; or unresolved."""

    document: Document
    node: Scalar | ListNode | MapNode | None = None
    origin: str = ""
    """What decided, in words, where that is not the value itself: `custom.memory.dev`."""
    unresolved: str | None = None
    made: bool = False
    """Of several parts, so that no literal of a file is it."""
    outside: bool = False
    """An option or the environment decided, not a file."""

    @property
    def is_nothing(self) -> bool:
        """Say whether nothing sets the value, or null."""
        return not self.unresolved and (self.node is None or (isinstance(self.node, Scalar) and self.node.is_null))

    @property
    def text(self) -> str | None:
        """The value as text, if it is a scalar."""
        return self.node.text if isinstance(self.node, Scalar) and not self.unresolved else None

    @property
    def place(self) -> Place | None:
        """Where the text is that decides, None where none does."""
        return None if self.outside or self.node is None else self.document.place(self.node.start)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a text, with the offset in the document where exactly it stands, if one can be told."""

    text: str
    at: int | None
    document: Document
    whole: Scalar

    def part(self, start: int, end: int) -> "_Piece":
        """Return what is between two offsets, without white space around it."""
        text = self.text[start:end]
        start += len(text) - len(text.lstrip())
        return replace(self, text=text.strip(), at=None if self.at is None else self.at + start)

    def literal(self, *, plain: bool) -> Meaning:
        """Return the text as a value of its own."""
        if self.at is None:
            return Meaning(self.document, Scalar(self.text, self.whole.start, self.whole.end, plain), made=True)
        return Meaning(self.document, Scalar(self.text, self.at, self.at + len(self.text), plain))


class Resolver:
    """Finds what values of one service come to."""

    def __init__(self, document: Document, root: MapNode, inputs: Inputs, files: Files) -> None:
        self._document, self._root, self._inputs, self._files = document, root, inputs, files
        self._folder = document.path.parent
        self._project = _project_of(self._folder)
        self._depth = 0
        self._steps = 0

    def meaning(self, node: Node | None, document: Document) -> Meaning:
        """Return what a value in a document comes to; None stands for a value that is not there."""
        self._steps = 0
        meaning = self._meaning(node, document)
        if node is None or not meaning.unresolved:
            return meaning
        # Of what leads nowhere, the beginning is the place that can be mended.
        return Meaning(document, Scalar("", node.start, node.end), unresolved=meaning.unresolved)

    def at(self, address: str) -> Meaning:
        """Return what stands in the service under a path of keys, `provider.memorySize` say."""
        self._steps = 0
        return self._addressed(self._root, self._document, address)

    def stage(self) -> Meaning:
        """Return the stage that the service is read for."""
        given = self._inputs.stage or self._inputs.parameters.get("stage")
        if given is not None:
            return self._made(given, "option stage", outside=True)
        written = self._addressed(self._root, self._document, "provider.stage")
        return self._made(_DEFAULT_STAGE, "default stage", outside=True) if written.is_nothing else written

    def _meaning(self, node: Node | None, document: Document) -> Meaning:
        self._steps += 1
        if node is None:
            return Meaning(document)
        if call := call_of(node):
            return Meaning(document, unresolved=f"{described(*call)} is known at deployment only")
        if not isinstance(node, Scalar) or "${" not in node.text:
            return Meaning(document, node if not isinstance(node, Tagged) else node.content)
        if self._depth >= _DEEPEST or self._steps > _MOST_STEPS or len(node.text) > _LONGEST:
            return Meaning(document, unresolved=f"{printable(node.text, limit=60)} leads too far, or back to itself")
        raw = document.text[node.start : node.end]
        at = node.start + raw.find(node.text) if raw in (node.text, f"'{node.text}'", f'"{node.text}"') else None
        return self._text(_Piece(node.text, at, document, node))

    def _text(self, piece: _Piece) -> Meaning:
        """Return what a text with variables in it comes to."""
        if self._depth >= _DEEPEST:
            return self._unresolved(piece, f"{piece.text} leads too far, or back to itself")
        self._depth += 1
        try:
            return self._filled_in(piece)
        finally:
            self._depth -= 1

    def _filled_in(self, piece: _Piece) -> Meaning:
        parts: list[str] = []
        end = 0
        for start, stop in _variables(piece.text):
            inner = piece.part(start + 2, stop - 1)
            meaning = self._variable(inner)
            if meaning.unresolved or (start, stop) == (0, len(piece.text)):
                return meaning
            if meaning.text is None:
                return self._unresolved(piece, f"${{{inner.text}}} is no text")
            parts += [piece.text[end:start], meaning.text]
            end = stop
        if not parts:
            return self._unresolved(piece, f"{piece.text} is not ended by a brace")
        text = "".join(parts) + piece.text[end:]
        if len(text) > _LONGEST:
            return self._unresolved(piece, f"{piece.text} becomes too long")
        return Meaning(piece.document, Scalar(text, piece.whole.start, piece.whole.end), made=True)

    def _variable(self, piece: _Piece) -> Meaning:
        """Return the first of a variable's sources that is there."""
        for start, end in _sources(piece.text):
            meaning = self._source(piece.part(start, end))
            if not meaning.is_nothing:
                return meaning
        if piece.text == "self:provider.stage":
            return self.stage()  # as in versions 1 and 2; later ones refuse it
        return self._unresolved(piece, f"nothing sets ${{{piece.text}}}")

    def _source(self, piece: _Piece) -> Meaning:
        self._steps += 1
        text = piece.text
        if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]:
            inside = piece.part(1, len(text) - 1)
            return self._text(inside) if "${" in inside.text else inside.literal(plain=False)
        if _LITERAL.fullmatch(text):
            return piece.literal(plain=True)
        if text.startswith("${"):
            return self._text(piece)
        found = _SOURCE.fullmatch(text)
        if not found:
            return self._unresolved(piece, f"${{{text}}} is not understood")
        argument, address = (self._filled(piece, *found.span(group)) for group in ("argument", "address"))
        for part in (argument, address):
            if part.unresolved:
                return part
        return self._of_type(found["type"], argument.text or "", address.text or "", piece)

    def _filled(self, piece: _Piece, start: int, end: int) -> Meaning:
        """Return an address or an argument with the variables in it filled in."""
        part = piece.part(max(start, 0), max(end, 0))
        return self._text(part) if "${" in part.text else part.literal(plain=False)

    def _of_type(self, kind: str, argument: str, address: str, piece: _Piece) -> Meaning:
        match kind:
            case "self":
                meaning = self._addressed(self._root, self._document, address)
            case "sls" if address == "stage":
                meaning = self.stage()
            case "opt":
                given = self._inputs.stage if address == "stage" else None
                text = given or self._inputs.parameters.get(address)
                meaning = self._made(text, f"option {address}", outside=True)
            case "env":
                meaning = self._environment_variable(address, piece)
            case "param":
                meaning = self._param(address)
            case "file":
                meaning = self._file(argument, address)
            case "strToBool":
                meaning = self._made(_TRUTH.get(argument.strip().lower()), "strToBool")
            case _:
                meaning = self._unresolved(piece, f"${{{piece.text}}} is known at deployment only")
        return meaning

    def _made(self, text: str | None, origin: str, *, outside: bool = False) -> Meaning:
        """Return a value that stands in no file, or in none as it is."""
        node = None if text is None else Scalar(text, self._root.start, self._root.start, plain=True)
        return Meaning(self._document, node, origin, made=True, outside=outside)

    def _unresolved(self, piece: _Piece, why: str) -> Meaning:
        return Meaning(piece.document, piece.whole, unresolved=printable(why, limit=120))

    def _addressed(self, node: Node, document: Document, address: str) -> Meaning:
        """Return what stands under a path of keys, each of which may be a variable itself."""
        here = self._meaning(node, document)
        for key in address.split(".") if address else ():
            match here.node:
                case MapNode() as entries:
                    here = self._meaning(entries.get(key), here.document)
                case ListNode(items=items) if key.isdecimal() and len(key) < _MOST_DIGITS and int(key) < len(items):
                    here = self._meaning(items[int(key)], here.document)
                case _:
                    return here if here.unresolved else Meaning(document)
        return here if here.origin else replace(here, origin=printable(address, limit=80))

    def _environment_variable(self, name: str, piece: _Piece) -> Meaning:
        """Return a variable of the process, as Serverless does: a gate runs where the pipeline deploys."""
        value = os.environ.get(name)
        file = self._env_file_with(name) if value is None else None
        if file:
            return self._unresolved(piece, f"env:{name} is set in {file}, which is not read")
        return self._made(value, f"environment variable {name}", outside=True)

    def _env_file_with(self, name: str) -> str | None:
        """Return the file that Serverless would take a variable from; version 4 does so without being told to."""
        version = re.search("[0-9]", self._plain("frameworkVersion"))
        if version and version[0] < "4" and self._plain("useDotenv") != "true":
            return None
        line = re.compile(rf"^[ \t]*(?:export[ \t]+)?{re.escape(name)}[ \t]*=", re.MULTILINE)
        for path in sorted(self._folder.glob(".env*")):
            with suppress(BadInputError):  # a folder, or encrypted
                if path.suffix not in _SAMPLES and line.search(Document(str(path)).text):
                    return path.name
        return None

    def _plain(self, key: str) -> str:
        """Return a text that stands in the service itself."""
        node = self._root.get(key)
        return node.text if isinstance(node, Scalar) else ""

    def _param(self, name: str) -> Meaning:
        """Return a parameter: given, or of the stage, or of all stages. Version 4 has them under `stages`."""
        if name in self._inputs.parameters:
            return self._made(self._inputs.parameters[name], f"parameter {name}", outside=True)
        stage = self.stage()
        if stage.unresolved:
            return stage
        for place in (f"params.{stage.text}", f"stages.{stage.text}.params", "params.default", "stages.default.params"):
            found = self._addressed(self._root, self._document, f"{place}.{name}")
            if not found.is_nothing:
                return found
        return Meaning(self._document)

    def _file(self, name: str, address: str) -> Meaning:
        """Return what a file of the project holds under a path of keys."""
        nothing, shown = Meaning(self._document), printable(f"file({name})", limit=80)
        path = self._folder / name.strip()
        if path.suffix.lower() not in _READABLE:
            return replace(nothing, unresolved=f"{shown} is neither YAML nor JSON")
        try:
            if not path.resolve().is_relative_to(self._project):
                return replace(nothing, unresolved=f"{shown} is outside of the project")
            if not path.is_file():
                return nothing
            if self._files.count > _MOST_FILES:
                return replace(nothing, unresolved=f"{shown} is one file too many")
            document = self._files.document(Path(os.path.normpath(path)))
            return self._addressed(document.tree, document, address)
        except (OSError, ValueError, RuntimeError, BadInputError) as error:
            return replace(nothing, unresolved=f"{shown} cannot be read: {printable(error, limit=80)}")


def _project_of(folder: Path) -> Path:
    """Return the folder that variables may not lead out of: the repository's, else where powertune runs, if above."""
    folder = folder.resolve()
    repository = next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), None)
    if repository:
        return repository
    here = Path.cwd()
    return here if here != here.parent and folder.is_relative_to(here) else folder


def _variables(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the outermost `${…}` of a text begin and end."""
    depth = start = 0
    for token in re.finditer(r"\$\{|\}", text):
        if token[0] == "${":
            start = start if depth else token.start()
            depth += 1
        elif depth:
            depth -= 1
            if not depth:
                yield start, token.end()


def _sources(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the sources of a variable begin and end: those between commas outside of quotes and brackets."""
    depth, start, quote = 0, 0, ""
    for found in re.finditer(r"['\"{}(),]", text):
        char = found[0]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "," and not depth:
            yield start, found.start()
            start = found.end()
        else:
            depth += (char in "{(") - (char in "})")
    yield start, len(text)
