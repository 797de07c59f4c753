"""What expressions of Terraform source mean, where the source alone decides it: literals, variables, local values.

python-hcl2 parses them. Maps and lists are evaluated when something in them is asked for, so that one part that is
unknown leaves the others known.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from powertune.errors import UsageError
from powertune.model.configured import Place
from powertune.templates.hcl_blocks import Expression
from powertune.templates.terraform_modules import Binding, Each, literal
from powertune.text import printable

if TYPE_CHECKING:
    from lark import Token, Tree

    Node = Tree[Token]

_DEEPEST = 60
"""Expressions in each other, and names that stand for names."""
_MOST_STEPS = 20_000
"""Of one value: a file of a few lines can ask for billions."""
_LONGEST = 50_000
"""Characters of an expression, which take two seconds to parse then."""
_MOST_DIGITS = 15
_PREFIX = "x = "
"""The parser takes attributes, not bare expressions."""
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([nrt"\\]))')
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_WRAPPED = ("expr_term", "get_attr_expr_term", "index_expr_term")
_CONSTANTS = {"true": True, "false": False, "null": None}


class UnresolvedError(Exception):
    """The source alone does not say what an expression is; the text names the expression."""

    def __init__(self, why: str, reference: str = "") -> None:
        super().__init__(why)
        self.reference = reference
        """What is decided elsewhere, as written: `aws_sqs_queue.orders.url`."""


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression is, and the text that decides it."""

    data: "Data"
    expression: Expression
    origin: str

    @property
    def place(self) -> Place | None:
        """Return where it is written, None where the user gave it."""
        return self.expression.place if self.expression.document.path.name else None


Lazy = Callable[[], Value]
Data = None | bool | int | float | str | list[Lazy] | dict[str, Lazy]
"""Of lists and maps what evaluates their parts."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """What an expression is evaluated in."""

    binding: Binding
    each: Each | None
    depth: int = 0

    def text(self, node: "Node") -> str:
        """Return a part of the expression as written."""
        return self.written(node).text

    def written(self, node: "Node") -> Expression:
        """Return where a part of the expression stands."""
        whole = self.binding.expression
        start, end = (whole.start + position - len(_PREFIX) for position in (node.meta.start_pos, node.meta.end_pos))
        return Expression(whole.document, start, end)

    def made(self, node: "Node", data: "Data") -> Value:
        """Return a value that a part of the expression is."""
        return Value(data, self.written(node), self.binding.origin)


class Evaluator:
    """Evaluates expressions of the modules under one root."""

    def __init__(self) -> None:
        """Load the parser. Raises UsageError where it is not installed."""
        try:
            from hcl2.api import parses_to_tree  # noqa: PLC0415 - an extra, and slow to load
        except ModuleNotFoundError as error:
            raise UsageError(
                "reading .tf files needs python-hcl2",
                hint="pip install 'powertune[terraform]', or name a plan: terraform show -json PLAN > plan.json",
            ) from error
        self._parse: Callable[[str], Node] = cache(parses_to_tree)
        self._steps = 0

    def value(self, binding: Binding, each: Each | None = None) -> Value:
        """Return what an expression is; `each` is the instance that it is evaluated for. Raises UnresolvedError."""
        self._steps = 0
        return self._value(binding, _Scope(binding, each))

    def _value(self, binding: Binding, scope: _Scope) -> Value:
        if found := literal(binding.expression):
            return Value(found.text if found.quoted else int(found.text), binding.expression, binding.origin)
        if len(binding.expression.text) > _LONGEST:
            raise UnresolvedError(f"{_shown(binding.expression.text)} is too long")
        from lark.exceptions import LarkError  # noqa: PLC0415 - comes with the parser

        try:
            tree = self._parse(_PREFIX + binding.expression.text)
        except LarkError as error:
            raise UnresolvedError(f"{_shown(binding.expression.text)} is not understood") from error
        name_and_value = _parts(next(tree.find_data("attribute")))
        return self._node(name_and_value[-1], scope)

    def _node(self, node: "Node", scope: _Scope) -> Value:
        """Return what a part of a parsed expression is."""
        parts, scope = _parts(node), replace(scope, depth=scope.depth + 1)
        self._steps += 1 + len(parts)
        if scope.depth > _DEEPEST or self._steps > _MOST_STEPS:
            raise UnresolvedError(f"{_shown(scope.text(node))} leads too far, or back to itself")
        data: Data = None
        match str(node.data), parts:
            case "expr_term", [only]:
                return self._node(only, scope)
            case "string", [only] if inner := _interpolated(only):
                return self._node(inner[0], scope)
            case (("get_attr_expr_term" | "index_expr_term"), _):
                return self._reference(node, scope)
            case "function_call", [name, *arguments]:
                return self._call(scope.text(name), _parts(arguments[0]) if arguments else [], node, scope)
            case "conditional", [condition, yes, no]:
                return self._node(yes if self._holds(condition, scope) else no, scope)
            case (("int_lit" | "float_lit"), _):
                data = _number(scope.text(node))
            case "literal_value", _:
                data = _CONSTANTS[scope.text(node)]
            case "string", _:
                data = "".join(self._text(part, scope) for part in parts)
            case "tuple", _:
                data = [partial(self._node, part, scope) for part in parts]
            case "object", _:
                data = dict(self._element(part, scope) for part in parts)
            case _:
                raise UnresolvedError(f"{_shown(scope.text(node))} is not decided by the source alone")
        return scope.made(node, data)

    def _reference(self, node: "Node", scope: _Scope) -> Value:
        """Return what `var.sizes["small"].memory` is: a name, then attributes and indices of what it stands for."""
        base, steps = node, list["Node"]()
        while base.data in _WRAPPED:
            inner = _parts(base)
            base, steps = inner[0], inner[1:] + steps
        if base.data == "identifier":
            value = self._named(scope.text(base), _name_of(steps.pop(0)), node, scope)
        else:
            value = self._node(base, scope)
        for step in steps:
            value = self._part(value, step, node, scope)
        return value

    def _named(self, family: str, name: str, node: "Node", scope: _Scope) -> Value:
        """Return what `var.NAME`, `local.NAME`, `each.NAME` or `path.NAME` is."""
        module = scope.binding.module
        bound: Binding | None = None
        match family, name:
            case "each", "key" if scope.each:
                return scope.made(node, scope.each.key)
            case "each", "value" if scope.each:
                return scope.each.value()
            case "path", "module":
                return scope.made(node, os.path.relpath(module.folder, module.root.folder))
            case "path", "root" | "cwd":
                return scope.made(node, ".")
            case "var", _:
                bound = module.variable(name)
            case "local", _:
                bound = module.local(name)
            case _:
                pass
        if not bound and family == "var":
            raise UnresolvedError(f"variable {_shown(name)} has no default, and no value is given")
        if not bound:
            reference = scope.text(node)
            raise UnresolvedError(f"{_shown(reference)} is not decided by the source alone", reference)
        # Arguments of a call are the caller's expressions, in the instance that the call is made for.
        each = None if bound.module is module else module.each
        return self._value(bound, replace(scope, binding=bound, each=each))

    def _part(self, value: Value, step: "Node", node: "Node", scope: _Scope) -> Value:
        """Return an attribute of a map, or an item of a list."""
        key = self._node(_parts(step)[0], scope).data if step.data == "braces_index" else _name_of(step)
        parts = value.data
        if isinstance(parts, dict) and str(key) in parts:
            return parts[str(key)]()
        if (
            isinstance(parts, list)
            and str(key).isdecimal()
            and len(str(key)) < _MOST_DIGITS
            and int(str(key)) < len(parts)
        ):
            return parts[int(str(key))]()
        raise UnresolvedError(f"{_shown(scope.text(node))} is not in the source")

    def _element(self, node: "Node", scope: _Scope) -> tuple[str, Lazy]:
        """Return key and value of an element of a map."""
        head, value = _parts(node)
        key = _parts(head)[0] if _parts(head) else head  # a keyword is a key like any other
        bare = key.data == "object_elem_key" or [part.data for part in _parts(key)] == ["identifier"]
        name = scope.text(key) if bare and not scope.text(key).startswith("(") else as_text(self._node(key, scope))
        return name, partial(self._node, value, scope)

    def _call(self, name: str, arguments: Sequence["Node"], node: "Node", scope: _Scope) -> Value:
        """Return what a function gives, of those that only hand on what the source holds."""
        values = [self._node(argument, scope) for argument in arguments]
        if name in ("toset", "tolist", "tomap") and len(values) == 1:
            return values[0]
        maps = [value.data for value in values if isinstance(value.data, dict)]
        if name == "merge" and len(maps) == len(values):
            return scope.made(node, {key: lazy for entries in maps for key, lazy in entries.items()})
        raise UnresolvedError(f"{_shown(scope.text(node))} is not worked out")

    def _holds(self, node: "Node", scope: _Scope) -> bool:
        """Return whether a condition holds: a truth value, or a comparison of two scalars."""
        if node.data == "binary_op" and len(_parts(node)) == 2:  # noqa: PLR2004 - one side, and sign with the other
            left, term = _parts(node)
            sign, right = _parts(term)
            if scope.text(sign) in ("==", "!="):
                equal = as_text(self._node(left, scope)) == as_text(self._node(right, scope))
                return equal is (scope.text(sign) == "==")
        data = self._node(node, scope).data
        if not isinstance(data, bool):
            raise UnresolvedError(f"{_shown(scope.text(node))} is neither true nor false")
        return data

    def _text(self, node: "Node", scope: _Scope) -> str:
        """Return what a piece of a string comes to."""
        if inner := _interpolated(node):
            return as_text(self._node(inner[0], scope))
        if _parts(node):
            raise UnresolvedError(f"{_shown(scope.text(node))} is a directive of a template")
        written = scope.text(node)
        return written[1:] if written.startswith(("$${", "%%{")) else _ESCAPE.sub(_unescaped, written)


def as_text(value: Value) -> str:
    """Return a scalar as Terraform writes it into a text. Raises UnresolvedError for what is none."""
    if isinstance(value.data, bool):
        return "true" if value.data else "false"
    if isinstance(value.data, str | int | float):
        return str(value.data)
    raise UnresolvedError(f"{_shown(value.expression.text)} is no text")


def entries(value: Value) -> Iterator[Each]:
    """Yield the instances that `for_each` makes, in Terraform's order. Raises UnresolvedError."""
    if isinstance(value.data, dict):
        parts = dict(value.data)
    elif isinstance(value.data, list):
        parts = {as_text(lazy()): lazy for lazy in value.data}
    else:
        raise UnresolvedError(f"{_shown(value.expression.text)} is neither a map nor a set")
    return (Each(key, parts[key]) for key in sorted(parts))


def _parts(node: "Node") -> list["Node"]:
    """Return what a node is made of, without signs and comments."""
    return [part for part in node.children if not isinstance(part, str) and part.data != "new_line_or_comment"]


def _interpolated(node: "Node") -> list["Node"]:
    """Return the expression in `${…}`, nothing for other pieces of a string."""
    return [inner for part in _parts(node) if part.data == "interpolation" for inner in _parts(part)]


def _name_of(step: "Node") -> str:
    """Return the name behind a dot, or the number."""
    tokens = [str(token) for token in step.scan_values(lambda token: str(token) != ".")]
    return tokens[0] if len(tokens) == 1 else ""


def _number(text: str) -> int | float:
    if len(text) > _MOST_DIGITS:
        raise UnresolvedError(f"{_shown(text)} is too long a number")
    return int(text) if text.isdecimal() else float(text)


def _unescaped(found: re.Match[str]) -> str:
    short, long, char = found.groups()
    code = int(short or long or "0", 16)
    return _ESCAPED[char] if char else chr(code) if code <= sys.maxunicode else found[0]


def _shown(text: str) -> str:
    return printable(text, limit=60)
