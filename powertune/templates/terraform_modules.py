"""Terraform modules: folders of `.tf` files that call one another, and where what they configure is decided."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from powertune.errors import BadInputError
from powertune.model.configured import Place
from powertune.templates.document import Document
from powertune.templates.files import Files
from powertune.templates.hcl_blocks import Block, Expression, scan
from powertune.templates.tree import MapNode
from powertune.text import printable

if TYPE_CHECKING:
    from powertune.templates.hcl_expressions import Lazy

LAMBDA: Final = "aws_lambda_function"
_MOST_FILES = 500
"""Of one folder: far more than anyone writes by hand."""
_DEEPEST = 20
"""Calls of modules within modules, and references in a row."""
_REFERENCE = re.compile(r"(?P<scope>var|local)\.(?P<name>[^\W\d][\w-]*)")
_LITERAL = re.compile(r'(?P<number>-?[0-9]{1,9})|"(?P<text>[^"\\$%\n]*)"')


@dataclass(frozen=True)
class Binding:
    """What a name stands for in a module."""

    module: "Module"
    """Where the expression is to be read: the caller's, where it is an argument of a call."""
    expression: Expression
    origin: str
    """In words: `default of variable memory`."""

    @property
    def place(self) -> Place | None:
        """Return where it is written, None where the user gave it."""
        return self.expression.place if self.expression.document.path.name else None


@dataclass(frozen=True, slots=True)
class Each:
    """One instance of what `for_each` or `count` makes several of."""

    key: str
    value: "Lazy"


@dataclass
class Module:
    """The `.tf` files of one folder, as called from another module or as the root."""

    folder: Path
    address: str = ""
    """`module.api` for a module that the root calls as `api`; empty for the root."""
    caller: "Module | None" = None
    call: Block | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    """Variables of the root that the user gives, as `-var` does."""
    each: Each | None = None
    """The instance of the call that this is, if the call makes several."""
    files: Files = field(default_factory=Files, repr=False)
    scanned: dict[Path, list[Block]] = field(default_factory=dict, repr=False)
    """Files by folder, shared by all modules under one root: a folder is read once, however often it is called."""

    @cached_property
    def _top(self) -> list[Block]:
        """The files in Terraform's order: overrides come last and replace attributes. Raises BadInputError."""
        if self.folder not in self.scanned:
            names = sorted(_listed(self.folder, ".tf"), key=lambda name: (_is_override(name), name))
            self.scanned[self.folder] = [scan(self.files.document(self.folder / name)) for name in names]
        return self.scanned[self.folder]

    @cached_property
    def blocks(self) -> Mapping[tuple[str, ...], Block]:
        """Every block that has labels, under its kind and labels. Raises BadInputError."""
        known: dict[tuple[str, ...], Block] = {}
        for block in (block for top in self._top for block in top.blocks if block.labels):
            overridden = known.setdefault((block.kind, *block.labels), block)
            if overridden is not block and _is_override(block.document.path.name):
                overridden.attributes.update(block.attributes)
        return known

    def resources(self, kind: str) -> Iterator[Block]:
        """Yield the resources of a type in the order of the files."""
        return (block for key, block in self.blocks.items() if key[:2] == ("resource", kind))

    def calls(self) -> Iterator[Block]:
        """Yield the calls of other modules."""
        return (block for key, block in self.blocks.items() if key[0] == "module")

    def called(self, call: Block) -> "Module | None":
        """Return the module that a block calls, None where it is no folder at hand."""
        source = call.attributes.get("source")
        written = literal(source) if source else None
        path = written.text if written else ""
        if not path.startswith(("./", "../")) or self.depth >= _DEEPEST:
            return None
        folder = Path(os.path.normpath(self.folder / path))
        if not folder.is_dir() or folder in self.ancestry():
            return None
        return Module(
            folder, self.address_of(f"module.{call.labels[0]}"), self, call, files=self.files, scanned=self.scanned
        )

    def ancestry(self) -> Iterator[Path]:
        """Yield the folders of the module and of all that lead to it."""
        yield self.folder
        if self.caller:
            yield from self.caller.ancestry()

    def address_of(self, name: str) -> str:
        """Return the address of something in this module."""
        return f"{self.address}.{name}" if self.address else name

    @property
    def root(self) -> "Module":
        """Return the module that no other calls."""
        return self.caller.root if self.caller else self

    @property
    def depth(self) -> int:
        """Return how many calls lead here."""
        return self.caller.depth + 1 if self.caller else 0

    def variable(self, name: str) -> Binding | None:
        """Return what a variable is set to: by the caller; of the root by the user, a tfvars file or the environment.

        Else it is its default, if it has one.
        """
        if self.caller and self.call:
            if argument := self.call.attributes.get(name):
                return Binding(self.caller, argument, f"{name} of module {self.call.labels[0]}")
        elif name in self.given:
            return Binding(self, _written(self.given[name]), f"variable {name} as given")
        elif value := self._tfvars.get(name):
            return Binding(self, value, f"variable {name} in {value.document.path.name}")
        elif (text := os.environ.get(f"TF_VAR_{name}")) is not None:
            return Binding(self, _written(text), f"environment variable TF_VAR_{name}")
        declared = self.blocks.get(("variable", name))
        default = declared.attributes.get("default") if declared else None
        return Binding(self, default, f"default of variable {name}") if default else None

    def local(self, name: str) -> Binding | None:
        """Return what a local value is set to."""
        for block in (block for top in self._top for block in top.inner("locals")):
            if value := block.attributes.get(name):
                return Binding(self, value, f"local {name}")
        return None

    @cached_property
    def _tfvars(self) -> Mapping[str, Expression]:
        """What the files set that Terraform reads by itself; later ones win."""
        found: dict[str, Expression] = {}
        automatic = sorted(_listed(self.folder, ".auto.tfvars", ".auto.tfvars.json"))
        for name in ("terraform.tfvars", "terraform.tfvars.json", *automatic):
            document = self.files.document(self.folder / name)
            if document.path.is_file():
                found |= _json_variables(document) if name.endswith(".json") else scan(document).attributes
        return found


@dataclass(frozen=True)
class Literal:
    """A number or a text without templates, as written from `start` to `end` without quotes."""

    text: str
    start: int
    end: int
    quoted: bool


def literal(expression: Expression) -> Literal | None:
    """Return the literal that an expression is, None where it is anything else."""
    found = _LITERAL.fullmatch(expression.text)
    if not found:
        return None
    group = "text" if found["number"] is None else "number"
    return Literal(
        found[group], expression.start + found.start(group), expression.start + found.end(group), group == "text"
    )


def follow(start: Binding) -> Binding:
    """Return what decides a value: where references `var.x` and `local.x` lead to, as far as they do so plainly."""
    here = start
    for _ in range(_DEEPEST):
        found = _REFERENCE.fullmatch(here.expression.text)
        if not found:
            break
        bound = here.module.variable(found["name"]) if found["scope"] == "var" else here.module.local(found["name"])
        if not bound:
            break
        here = bound
    return here


def _listed(folder: Path, *suffixes: str) -> list[str]:
    """Return the names of a folder's files. Raises BadInputError where it cannot be listed or holds too many."""
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(suffixes) and entry.is_file()]
    except OSError as error:
        raise BadInputError(
            f"{printable(folder, limit=120)} cannot be read: {error.strerror}", hint="name a folder of .tf files"
        ) from error
    if len(names) > _MOST_FILES:
        raise BadInputError(
            f"{printable(folder, limit=120)} holds more than {_MOST_FILES} files", hint="name the folder of one module"
        )
    return names


def _is_override(name: str) -> bool:
    return name == "override.tf" or name.endswith("_override.tf")


def _written(value: str) -> Expression:
    """Return a value that the user gives as Terraform reads it."""
    text = value if value.lstrip("-").isdecimal() or value in ("true", "false", "null") else json.dumps(value)
    return Expression(Document("", text.encode()), 0, len(text))


def _json_variables(document: Document) -> dict[str, Expression]:
    """Return the variables that a JSON file sets; a JSON value is an expression of Terraform's language as well."""
    tree = document.tree
    entries = tree.entries if isinstance(tree, MapNode) else {}
    return {name: Expression(document, entry.value.start, entry.value.end) for name, entry in entries.items()}
