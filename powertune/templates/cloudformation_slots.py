"""Where the memory of functions is written in a CloudFormation template, or can be."""

import re
from contextlib import suppress

from powertune.aws_lambda.memory import MIN_MEMORY_MB
from powertune.errors import BadInputError
from powertune.templates import memory_slots
from powertune.templates.cloudformation_template import FunctionResource, Template
from powertune.templates.insertion import inserted_entry
from powertune.templates.intrinsics import Meaning
from powertune.templates.memory_slots import Refusal, Slot
from powertune.templates.patch import Replacement
from powertune.templates.tree import ListNode, MapNode, Node, Scalar, whole_number
from powertune.text import printable

_MEMORY = "MemorySize"
_BESIDE = ("Timeout", "Runtime", "Handler", "CodeUri", "Architectures", "Role", "FunctionName")
"""Properties that memory is written next to, the likeliest first."""


def slots(template: Template) -> dict[str, Slot | Refusal]:
    """Return where each function's memory is written, by name; of one without a size of its own, where to add it."""
    return {function.name: _slot(template, function) for function in template.functions}


def _slot(template: Template, function: FunctionResource) -> Slot | Refusal:
    node = function.own.get(_MEMORY) if function.own else None
    if node is None:
        elsewhere = function.generated or function.hidden
        if elsewhere:
            return _refusal(template, function.key.start, f"is decided by {elsewhere}")
        return memory_slots.unless_so(_new(template, function), _common_size(template, function))
    meaning = template.evaluator.meaning(node)
    if meaning.nothing:
        start, end = meaning.nothing.start, meaning.nothing.end
        return Slot(template.document, start, lambda size: Replacement(start, end, str(size)))
    if meaning.unresolved:
        return _refusal(template, node.start, f"is unresolved ({meaning.unresolved})")
    if meaning.computed or not isinstance(meaning.node, Scalar):
        return _refusal(template, node.start, f"is decided by {meaning.computed or 'what is no plain value'}")
    slot = memory_slots.number(template.document, meaning.node)
    return _checked(template, meaning.parameter, slot) if meaning.parameter else slot


def _refusal(template: Template, at: int, reason: str) -> Refusal:
    place = template.document.place(at)
    return Refusal(
        f"{reason}, at line {place.line} of {template.document.shown}",
        hint=f"edit what decides it by hand, or give the function a {_MEMORY} of its own",
    )


def _common_size(template: Template, function: FunctionResource) -> int | None:
    """Return the size of a function that writes none itself: that of all functions, or of Lambda."""
    common = function.properties.get(_MEMORY)
    meaning = template.evaluator.meaning(common) if common else Meaning()
    return MIN_MEMORY_MB if meaning.is_nothing else whole_number(meaning.text or "")


def _new(template: Template, function: FunctionResource) -> Slot | Refusal:
    document, resource = template.document, function.resource
    if function.own is not None:
        return memory_slots.new_entry(document, function.own, _MEMORY, _BESIDE)
    if "Properties" in resource.entries:
        return _refusal(template, function.key.start, "is not written, nor are properties it could be added to")
    quote = '"' if document.text[resource.entries["Type"].key.start] == '"' else ""

    def filled(size: int) -> Replacement:
        properties = f"{{{quote}{_MEMORY}{quote}: {size}}}"
        return inserted_entry(document, resource, "Properties", properties, beside=("Type",))

    return Slot(document, filled(MIN_MEMORY_MB).start, filled)


def _checked(template: Template, parameter: str, slot: Slot | Refusal) -> Slot | Refusal:
    """Return the slot of a parameter's default, which refuses sizes that the parameter does not allow."""
    declared = template.evaluator.parameter(parameter)
    if isinstance(slot, Refusal) or declared is None:
        return slot

    def filled(size: int) -> Replacement:
        _check_allowed(template, parameter, declared, size)
        return slot.filled(size)

    return Slot(slot.document, slot.start, filled)


def _check_allowed(template: Template, parameter: str, declared: MapNode, memory_mb: int) -> None:
    for constraint, entry in declared.entries.items():
        if not _allows(constraint, entry.value, memory_mb):
            place = template.document.place(entry.value.start)
            raise BadInputError(
                f"parameter {printable(parameter, limit=60)} decides memory and does not allow {memory_mb} MB: its "
                f"{constraint} at line {place.line} of {template.document.shown}",
                hint=f"widen its {constraint}, or give the function a {_MEMORY} of its own",
            )


def _allows(constraint: str, limit: Node, memory_mb: int) -> bool:
    match constraint, limit:
        case "AllowedValues", ListNode(items=items):
            return any(isinstance(item, Scalar) and whole_number(item.text) == memory_mb for item in items)
        case "MinValue", Scalar(text=text):
            return memory_mb >= (whole_number(text) or 0)
        case "MaxValue", Scalar(text=text):
            most = whole_number(text)
            return most is None or memory_mb <= most
        case "AllowedPattern", Scalar(text=text):
            with suppress(re.error):
                return re.fullmatch(text, str(memory_mb)) is not None
            return True  # patterns are Java's, and not all are Python's
        case _:
            return True
