"""What an expression of CloudFormation comes to, as far as the template and the parameters given decide it.

Source: AWS CloudFormation user guide, intrinsic and condition functions, read 2026-11-26. What depends on AWS, such as
attributes, imports, the region or secrets, is unresolved and says so.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from powertune.errors import UsageError
from powertune.templates.tree import ListNode, MapNode, Node, Scalar, Tagged
from powertune.text import nearest, printable

_MAX_DEPTH = 100
"""Of expressions in each other, those they refer to counted in."""
_MAX_TEXT = 65_536
"""Characters that an expression may come to; all environment variables of a function have 4 kB."""
_MAX_STEPS = 1_000_000
"""Items and characters that all expressions may take, as many as CloudFormation takes bytes; aliases repeat them."""
_TOO_MANY_STEPS = f"expressions take more than {_MAX_STEPS:,} items and characters"
_PLACEHOLDER = re.compile(r"\$\{(!?)([^${}]*)\}")
_DYNAMIC_REFERENCE = "{{resolve:"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an expression comes to: a text, list or map; nothing, as by AWS::NoValue; or unresolved."""

    node: Node | None = None
    how: str = ""
    """What decided, in words, where that is not the expression itself: `default of parameter Memory`."""
    unresolved: str | None = None
    computed: str | None = None
    """What made the value, where no literal of the template is it: `Fn::Join`."""
    from_outside: bool = False
    """A parameter that was given decides, not the template."""
    nothing: Node | None = None
    """The expression that comes to nothing."""
    parameter: str | None = None
    """Whose default is the literal."""

    @property
    def is_nothing(self) -> bool:
        """Say whether there is no value, as if nothing were written."""
        return self.node is None and self.unresolved is None

    @property
    def text(self) -> str | None:
        """The value as text, if it is a scalar."""
        return self.node.text if isinstance(self.node, Scalar) else None


def call_of(node: Node) -> tuple[str, Node] | None:
    """Return the name and the argument of an intrinsic function, short or long: `("Fn::Sub", ...)`, `("Ref", ...)`."""
    if isinstance(node, Tagged):
        name = node.tag.removeprefix("!")
        return (name if name in ("Ref", "Condition") else f"Fn::{name}"), node.content
    if isinstance(node, MapNode) and len(node.entries) == 1:
        [(name, entry)] = node.entries.items()
        if name == "Ref" or name.startswith("Fn::"):
            return name, entry.value
    return None


_NAMING = {"Ref", "Condition", "Fn::FindInMap", "Fn::GetAtt", "Fn::If", "Fn::ImportValue", "Fn::Transform"}
"""Functions whose arguments are names. Those of others are values, which may be secrets."""


def described(name: str, argument: Node) -> str:
    """Return a call in words for a person: `Fn::ImportValue shared-memory`."""
    if name not in _NAMING:
        words = ""
    elif isinstance(argument, ListNode) and all(isinstance(item, Scalar) for item in argument.items):
        words = ".".join(item.text for item in argument.items if isinstance(item, Scalar))
    else:
        words = argument.text if isinstance(argument, Scalar) else ""
    return printable(f"{name} {words}".strip(), limit=80)


class Evaluator:
    """Finds what expressions of one template come to. No expression is gone through twice."""

    def __init__(self, template: MapNode, given: Mapping[str, str]) -> None:
        """Take a template and values for its parameters. Raises UsageError for parameters that it does not have."""
        self._parameters = _section(template, "Parameters")
        self._mappings = _section(template, "Mappings")
        self._conditions = _section(template, "Conditions")
        self._given = given
        # The nodes are kept with what they mean, so that no other can take their identity.
        self._known: dict[int, tuple[Node, Meaning]] = {}
        self._known_conditions: dict[str, bool | str] = {}
        self._held: dict[int, tuple[Node, bool | str]] = {}
        self._depth = 0
        self._steps = 0
        # Each returns None for a call that is not as it should be.
        self._functions: dict[str, Callable[[Node], Meaning | None]] = {
            "Ref": self._ref,
            "Fn::If": self._if,
            "Fn::FindInMap": self._find_in_map,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._sub,
        }
        for name in given:
            if name not in self._parameters.entries and not name.startswith("AWS::"):
                raise UsageError(
                    f"the template has no parameter {printable(name, limit=60)}",
                    hint=printable(nearest(name, self._parameters.entries)) or "leave it out",
                )

    def parameter(self, name: str) -> MapNode | None:
        """Return the declaration of a parameter."""
        declared = self._parameters.get(name)
        return declared if isinstance(declared, MapNode) else None

    def meaning(self, node: Node) -> Meaning:
        """Return what an expression, or a literal, comes to; what is in a list or map is left as it is."""
        known = self._known.get(id(node))
        if known is not None:
            return known[1]
        if self._depth >= _MAX_DEPTH:
            return Meaning(unresolved=f"expressions nest deeper than {_MAX_DEPTH} levels")
        self._depth += 1
        try:
            meaning = self._evaluate(node)
        finally:
            self._depth -= 1
        self._known[id(node)] = node, meaning
        return meaning

    def condition(self, name: str) -> bool | str:
        """Return whether a condition holds, or in words why that is not known."""
        if name not in self._known_conditions:
            declared = self._conditions.get(name)
            # Until it is known it must not need itself.
            self._known_conditions[name] = f"condition {printable(name, limit=60)} needs itself"
            self._known_conditions[name] = (
                f"there is no condition {printable(name, limit=60)}" if declared is None else self._holds(declared)
            )
        return self._known_conditions[name]

    def _evaluate(self, node: Node) -> Meaning:
        call = call_of(node)
        if call is not None:
            name, argument = call
            function = self._functions.get(name)  # others need AWS, Fn::Transform and Fn::ImportValue say
            meaning = (function(argument) if function else None) or Meaning(unresolved=described(name, argument))
            return replace(meaning, nothing=node) if meaning.is_nothing and not meaning.nothing else meaning
        return self._literal(node) if isinstance(node, Scalar) else Meaning(node)

    def _literal(self, scalar: Scalar) -> Meaning:
        if len(scalar.text) > _MAX_TEXT:
            return Meaning(unresolved=f"a text of more than {_MAX_TEXT:,} characters")
        _, reference, name = scalar.text.partition(_DYNAMIC_REFERENCE)
        if reference:
            return Meaning(unresolved=printable(f"dynamic reference {name.partition('}}')[0]}", limit=80))
        return Meaning(scalar)

    def _affords(self, steps: int) -> bool:
        self._steps += steps
        return self._steps <= _MAX_STEPS

    def _items(self, node: Node) -> list[Meaning] | str:
        """Return what the items of a list come to, without those that are nothing, or why it is not known."""
        meaning = self.meaning(node)
        if not isinstance(meaning.node, ListNode):
            return meaning.unresolved or "what should be a list is none"
        if not self._affords(len(meaning.node.items)):
            return _TOO_MANY_STEPS
        items = [self.meaning(item) for item in meaning.node.items]
        if meaning.computed:
            items = [replace(meaning, node=item.node, unresolved=item.unresolved) for item in items]
        return [item for item in items if not item.is_nothing]

    def _ref(self, argument: Node) -> Meaning | None:
        if not isinstance(argument, Scalar):
            return None
        if argument.text == "AWS::NoValue":
            return Meaning(how="AWS::NoValue")
        declared = self.parameter(argument.text)
        kind = declared.get("Type") if declared else None
        words = kind.text if isinstance(kind, Scalar) else ""
        if words.startswith("AWS::SSM::"):
            why = f"parameter {argument.text}, which Systems Manager holds"
            return Meaning(unresolved=printable(why, limit=80))
        is_list = words == "CommaDelimitedList" or words.startswith("List<")
        if argument.text in self._given:
            return self._given_value(argument, is_list=is_list)
        return self._default(argument.text, declared, is_list=is_list) if declared else None

    def _given_value(self, name: Scalar, *, is_list: bool) -> Meaning:
        scalar = Scalar(self._given[name.text], name.start, name.end)
        how = f"the value given for {printable(name.text, limit=60)}"
        return Meaning(_comma_list(scalar) if is_list else scalar, how, computed=how, from_outside=True)

    def _default(self, name: str, declared: MapNode, *, is_list: bool) -> Meaning:
        default, shown = declared.get("Default"), printable(name, limit=60)
        if not isinstance(default, Scalar):
            return Meaning(unresolved=f"parameter {shown} has no default")
        how, meaning = f"default of parameter {shown}", self.meaning(default)
        if is_list and meaning.node:
            return Meaning(_comma_list(default), how, computed=f"the list that is the {how}")
        return replace(meaning, how=how, parameter=name)

    def _if(self, argument: Node) -> Meaning | None:
        match argument:
            case ListNode(items=[Scalar(text=name), first, second]):
                holds = self.condition(name)
                if isinstance(holds, str):
                    return Meaning(unresolved=f"Fn::If {printable(name, limit=60)}: {holds}")
                chosen = self.meaning(first if holds else second)
                how = f"Fn::If {printable(name, limit=60)} is {str(holds).lower()}"
                return chosen if chosen.how else replace(chosen, how=how)
            case _:
                return None

    def _find_in_map(self, argument: Node) -> Meaning | None:
        if not isinstance(argument, ListNode) or len(argument.items) not in (3, 4):
            return None
        keys = [self.meaning(item) for item in argument.items[:3]]
        for key in keys:
            if key.unresolved:
                return Meaning(unresolved=f"Fn::FindInMap with {key.unresolved}")
        at: Node | None = self._mappings
        for key in keys:
            at = at.get(key.text or "") if isinstance(at, MapNode) else None
        if at is not None:
            how = "Mappings." + ".".join(printable(key.text, limit=60) for key in keys)
            return replace(self.meaning(at), how=how)
        options = argument.items[3] if len(argument.items) > 3 else None  # noqa: PLR2004 - the three keys
        default = options.get("DefaultValue") if isinstance(options, MapNode) else None
        return replace(self.meaning(default), how="default of Fn::FindInMap") if default else None

    def _join(self, argument: Node) -> Meaning | None:
        match argument:
            case ListNode(items=[Scalar(text=separator), items]):
                return self._joined(self._items(items), separator, argument, "Fn::Join")
            case _:
                return None

    def _joined(self, parts: list[Meaning] | str, separator: str, node: Node, name: str) -> Meaning:
        if isinstance(parts, str):
            return Meaning(unresolved=f"{name} of {parts}")
        texts: list[str] = []
        for part in parts:
            if part.text is None:
                return Meaning(unresolved=f"{name} of {part.unresolved or 'what is no text'}")
            texts.append(part.text)
        if sum(map(len, texts)) + len(separator) * len(texts) > _MAX_TEXT:
            return Meaning(unresolved=f"{name} comes to more than {_MAX_TEXT:,} characters")
        return Meaning(Scalar(separator.join(texts), node.start, node.end), how=name, computed=name)

    def _split(self, argument: Node) -> Meaning | None:
        match argument:
            case ListNode(items=[Scalar(text=separator), source]) if separator:
                meaning = self.meaning(source)
                if not isinstance(meaning.node, Scalar):
                    return Meaning(unresolved=f"Fn::Split of {meaning.unresolved or 'what is no text'}")
                parts = _list_of(meaning.node.text.split(separator), meaning.node)
                return Meaning(parts, how="Fn::Split", computed="Fn::Split")
            case _:
                return None

    def _select(self, argument: Node) -> Meaning | None:
        match argument:
            case ListNode(items=[index, source]):
                at, items = self.meaning(index), self._items(source)
                if isinstance(items, str) or at.unresolved:
                    return Meaning(unresolved=f"Fn::Select of {at.unresolved or items}")
                number = at.text or ""
                if number.isascii() and number.isdigit() and int(number[:9]) < len(items):
                    chosen = items[int(number[:9])]
                    return chosen if chosen.how else replace(chosen, how="Fn::Select")
                return None
            case _:
                return None

    def _sub(self, argument: Node) -> Meaning | None:
        own: Mapping[str, Node] = {}
        match argument:
            case Scalar():
                template = argument
            case ListNode(items=[Scalar() as template, MapNode(entries=entries)]):
                own = {name: entry.value for name, entry in entries.items()}
            case _:
                return None
        if len(template.text) > _MAX_TEXT:
            return self._literal(template)
        if not self._affords(len(template.text)):
            return Meaning(unresolved=_TOO_MANY_STEPS)
        parts, at = [], 0
        for found in _PLACEHOLDER.finditer(template.text):
            parts.append(Meaning(Scalar(template.text[at : found.start()], template.start, template.end)))
            parts.append(self._placeholder(found, own, template))
            at = found.end()
        parts.append(Meaning(Scalar(template.text[at:], template.start, template.end)))
        filled = [part for part in parts if part.text != ""]
        if len(filled) == 1 and at and filled[0].how:  # "${Memory}" is what it names, and edited there
            return filled[0]
        return self._joined(parts, "", argument, "Fn::Sub")

    def _placeholder(self, found: re.Match[str], own: Mapping[str, Node], template: Scalar) -> Meaning:
        literal, name = found.groups()
        if literal:
            return Meaning(Scalar(f"${{{name}}}", template.start, template.end))
        name = name.strip()
        if name in own:
            return self.meaning(own[name])
        meaning = self._ref(Scalar(name, template.start, template.end))
        return meaning or Meaning(unresolved=printable(f"${{{name}}}", limit=80))

    def _holds(self, node: Node) -> bool | str:
        """Return whether an expression of conditions holds, or why that is not known."""
        known = self._held.get(id(node))
        if known is not None:
            return known[1]
        if self._depth >= _MAX_DEPTH:
            return f"conditions nest deeper than {_MAX_DEPTH} levels"
        self._depth += 1
        try:
            holds = self._holds_here(node)
        finally:
            self._depth -= 1
        self._held[id(node)] = node, holds
        return holds

    def _holds_here(self, node: Node) -> bool | str:
        match condition_of(node):
            case ("Condition", Scalar(text=name)):
                return self.condition(name)
            case ("Fn::Equals", ListNode(items=[first, second])):
                return self._equal(self.meaning(first), self.meaning(second))
            case ("Fn::Not", ListNode(items=[inner])):
                holds = self._holds(inner)
                return holds if isinstance(holds, str) else not holds
            case (("Fn::And" | "Fn::Or") as name, ListNode(items=items)):
                deciding = name == "Fn::Or"
                each = [self._holds(item) for item in items]
                unknown = next((holds for holds in each if isinstance(holds, str)), None)
                return deciding if deciding in each else unknown or not deciding
            case (name, argument):
                return described(name, argument)
            case _:
                return "it is no condition"

    def _equal(self, first: Meaning, second: Meaning) -> bool | str:
        for side in (first, second):
            if side.text is None:
                return side.unresolved or "it compares what is no text"
        return first.text == second.text


def condition_of(node: Node) -> tuple[str, Node] | None:
    """Return the name and the argument of a condition function; in conditions also `Condition: Name` is one."""
    match node:
        case MapNode(entries={"Condition": entry}) if len(node.entries) == 1:
            return "Condition", entry.value
        case _:
            return call_of(node)


def _section(template: MapNode, name: str) -> MapNode:
    section = template.get(name)
    return section if isinstance(section, MapNode) else MapNode({}, 0, 0, flow=False)


def _list_of(texts: Iterable[str], source: Scalar) -> ListNode:
    items: list[Node] = [Scalar(text, source.start, source.end) for text in texts]
    return ListNode(items, source.start, source.end, flow=True)


def _comma_list(source: Scalar) -> ListNode:
    return _list_of((text.strip() for text in source.text.split(",")), source)
