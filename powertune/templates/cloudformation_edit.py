"""Where memory of functions is decided in a CloudFormation template, and what to write there."""

import re
from collections.abc import Mapping
from contextlib import suppress

from powertune.aws_lambda.memory import MIN_MEMORY_MB
from powertune.errors import BadInputError
from powertune.templates.cloudformation_template import FunctionResource, Template
from powertune.templates.insertion import inserted_entry
from powertune.templates.intrinsics import Meaning
from powertune.templates.patch import Replacement
from powertune.templates.tree import ListNode, Node, Scalar, whole_number
from powertune.text import printable

_MEMORY = "MemorySize"
_BESIDE = ("Timeout", "Runtime", "Handler", "CodeUri", "Architectures", "Role", "FunctionName")
"""Properties that memory is written next to, the likeliest first."""


def replacements(template: Template, memory_mb: Mapping[str, int]) -> list[Replacement]:
    """Return what to write so that these functions have these sizes in MB.

    Raises BadInputError where what decides a size cannot be edited, forbids the size, or decides that of another
    function too that is to have another size.
    """
    changes: list[Replacement] = []
    decided: dict[int, tuple[str, int]] = {}
    for function in template.functions:
        memory = memory_mb.get(function.name)
        if memory is None:
            continue
        where, change = _change(template, function, memory)
        other, size = decided.setdefault(where, (function.name, memory))
        if size != memory:
            names = f"{printable(other, limit=80)} ({size} MB) and {printable(function.name, limit=80)} ({memory} MB)"
            place = template.document.place(where)
            raise BadInputError(
                f"{names} share one memory size, at line {place.line} of {template.document.shown}",
                hint="give each a MemorySize of its own, or choose one size for both",
            )
        if change:
            changes.append(change)
    return changes


def _change(template: Template, function: FunctionResource, memory: int) -> tuple[int, Replacement | None]:
    """Return the offset at which a function's memory is decided, and what to write there if it is to be changed."""
    node = function.own.get(_MEMORY) if function.own else None
    if node is None and (function.generated or function.hidden):
        raise _refused(template, function, function.key.start, f"decided by {function.generated or function.hidden}")
    if node is None:
        change = _insertion(template, function, memory)
        common = function.properties.get(_MEMORY)
        now = template.evaluator.meaning(common) if common else Meaning()
        is_so = _is_number(now, memory) or (now.is_nothing and memory == MIN_MEMORY_MB)
        return change.start, None if is_so else change
    meaning = template.evaluator.meaning(node)
    if meaning.nothing:
        start, end = meaning.nothing.start, meaning.nothing.end
        return start, Replacement(start, end, str(memory))
    literal = _literal(template, function, node, meaning)
    if _is_number(meaning, memory):
        return literal.start, None
    if meaning.parameter:
        _check_allowed(template, function, meaning.parameter, memory)
    return literal.start, _replaced(template, function, literal, memory)


def _is_number(meaning: Meaning, memory: int) -> bool:
    return whole_number(meaning.text or "") == memory


def _refused(template: Template, function: FunctionResource, at: int, why: str) -> BadInputError:
    place = template.document.place(at)
    return BadInputError(
        f"the memory of {printable(function.name, limit=80)} is {why}, at line {place.line} of "
        f"{template.document.shown}",
        hint="edit what decides it by hand, or give the function a MemorySize of its own",
    )


def _insertion(template: Template, function: FunctionResource, memory: int) -> Replacement:
    document = template.document
    if function.own is not None:
        return inserted_entry(document, function.own, _MEMORY, str(memory), beside=_BESIDE)
    if "Properties" in function.resource.entries:
        raise _refused(template, function, function.key.start, "not written, nor are properties it could be added to")
    quote = '"' if document.text[function.resource.entries["Type"].key.start] == '"' else ""
    properties = f"{{{quote}{_MEMORY}{quote}: {memory}}}"
    return inserted_entry(document, function.resource, "Properties", properties, beside=("Type",))


def _literal(template: Template, function: FunctionResource, node: Node, meaning: Meaning) -> Scalar:
    """Return the text that decides the memory. Raises BadInputError where no text of the template does."""
    if meaning.unresolved:
        raise _refused(template, function, node.start, f"unresolved ({meaning.unresolved})")
    if meaning.computed:
        raise _refused(template, function, node.start, f"decided by {meaning.computed}")
    if not isinstance(meaning.node, Scalar) or whole_number(meaning.node.text) is None:
        raise _refused(template, function, node.start, "no whole number")
    return meaning.node


def _replaced(template: Template, function: FunctionResource, literal: Scalar, memory: int) -> Replacement:
    raw, number = template.document.text[literal.start : literal.end], literal.text.strip()
    if raw.count(number) != 1:
        raise _refused(template, function, literal.start, "written in an unusual way")
    start = literal.start + raw.index(number)
    return Replacement(start, start + len(number), str(memory))


def _check_allowed(template: Template, function: FunctionResource, name: str, memory: int) -> None:
    """Raise BadInputError if a parameter does not allow a size."""
    declared = template.evaluator.parameter(name)
    if declared is None:
        return
    for constraint, entry in declared.entries.items():
        if not _allows(constraint, entry.value, memory):
            place = template.document.place(entry.value.start)
            parameter = printable(name, limit=60)
            raise BadInputError(
                f"parameter {parameter}, which decides the memory of {printable(function.name, limit=80)}, does not "
                f"allow {memory} MB: its {constraint} at line {place.line} of {template.document.shown}",
                hint=f"widen its {constraint}, or give the function a MemorySize of its own",
            )


def _allows(constraint: str, limit: Node, memory: int) -> bool:
    match constraint, limit:
        case "AllowedValues", ListNode(items=items):
            return any(isinstance(item, Scalar) and whole_number(item.text) == memory for item in items)
        case "MinValue", Scalar(text=text):
            return memory >= (whole_number(text) or 0)
        case "MaxValue", Scalar(text=text):
            most = whole_number(text)
            return most is None or memory <= most
        case "AllowedPattern", Scalar(text=text):
            with suppress(re.error):
                return re.fullmatch(text, str(memory)) is not None
            return True  # patterns are Java's, and not all are Python's
        case _:
            return True
