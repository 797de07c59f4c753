"""Where a memory size can be written in Terraform source."""

from powertune.templates.document import Document
from powertune.templates.hcl_blocks import Block
from powertune.templates.memory_slots import Refusal, Slot
from powertune.templates.patch import Replacement
from powertune.templates.terraform_modules import Binding, literal
from powertune.text import printable

_NEIGHBOURS = ("timeout", "runtime", "handler", "function_name", "source")


def written(binding: Binding, memory_mb: object) -> Slot | Refusal:
    """Return the slot of the literal that decides a memory size, refused where it is not the size there is."""
    found, text = literal(binding.expression), printable(binding.expression.text, limit=60)
    if not binding.place:
        return Refusal(f"is {binding.origin}", hint="change it where it is given")
    where = f"{binding.place.file}:{binding.place.line}"
    if not found or not found.text.isdecimal():
        return Refusal(f"is decided by an expression, {text}", hint=f"change it by hand: {where}")
    if found.text != str(memory_mb):
        return Refusal(f"is {memory_mb} MB, not the {text} that {where} says", hint="make the plan anew, then apply")
    return _slot(binding.expression.document, found.start, found.end)


def inserted(block: Block, argument: str) -> Slot | Refusal:
    """Return the slot of a new line in a block, below what it belongs to and indented as that is."""
    text = block.document.text
    for neighbour in (name for name in _NEIGHBOURS if name in block.attributes):
        start, end = block.attribute_starts[neighbour], block.attributes[neighbour].end
        if block.attributes[neighbour].document is not block.document:
            continue  # an override of it, in a file of its own
        line_start, line_end = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        indent, line = text[line_start:start], text[line_start:line_end]
        if indent.strip() or line_end < 0 or line_end > block.body_end or "\n" in line:
            continue
        # Terraform's own formatter puts the signs of equality of neighbouring lines below each other.
        name = argument.ljust(text.index("=", start) - start - 1)
        newline = "\r\n" if line.endswith("\r") else "\n"
        return _slot(block.document, line_end + 1, line_end + 1, f"{indent}{name} = ", newline)
    return Refusal("is written nowhere", hint=f"write {argument} = … into {block.place.file}:{block.place.line}")


def _slot(document: Document, start: int, end: int, before: str = "", after: str = "") -> Slot:
    return Slot(document, start, lambda size: Replacement(start, end, f"{before}{size}{after}"))
