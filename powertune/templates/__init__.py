"""What is configured, read from where people write it: templates of SAM, CloudFormation, CDK, Serverless, Terraform.

Reading and editing are told apart by content, not by the file's name alone; each format is a module of this room.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from powertune.errors import BadInputError, UsageError
from powertune.model.configured import ConfiguredFunction, Edit
from powertune.templates import cloudformation, serverless, terraform_hcl, terraform_plan
from powertune.templates.document import Document
from powertune.templates.inputs import Inputs
from powertune.text import count, nearest, printable

_NOTHING: Mapping[str, str] = MappingProxyType({})
_KNOWN = "a template of SAM, CloudFormation, CDK (cdk.out/*.template.json), Serverless or Terraform is what can be read"


class _Format(Protocol):
    """One way to write functions down: what a module of this room offers."""

    def recognises(self, document: Document) -> bool:
        """Say whether this is the format's. Raises BadInputError where the file cannot be read at all."""

    def read(self, document: Document, inputs: Inputs) -> tuple[ConfiguredFunction, ...]:
        """Return all functions in the order of the file."""

    def edit(self, document: Document, memory_mb: Mapping[str, int], inputs: Inputs) -> tuple[Edit, ...]:
        """Return what has to change for the named functions, all of which exist, to get these sizes."""


# In the order they are asked: those that need no look into the file first.
_FORMATS: tuple[_Format, ...] = (terraform_hcl, terraform_plan, serverless, cloudformation)


def read_template(
    path: str, *, parameters: Mapping[str, str] = _NOTHING, stage: str | None = None
) -> tuple[ConfiguredFunction, ...]:
    """Return all functions of a template in the order of the file; there may be none.

    `parameters` are values for the template's parameters or variables, before its defaults; `stage` is for formats
    that have stages. Raises BadInputError for what is no template, UsageError for parameters it does not have.
    """
    document = Document(path)
    return _format_of(document).read(document, Inputs(parameters, stage))


def function_named(functions: Sequence[ConfiguredFunction], name: str | None, *, path: str) -> ConfiguredFunction:
    """Return the function that the template, or AWS by it, calls `name`; without a name the only one.

    `path` is the template, for messages. Raises UsageError with the names there are.
    """
    if not functions:
        raise UsageError(
            f"there is no Lambda function in {printable(path)}",
            hint="name the template that holds it; nested stacks and modules elsewhere are not followed",
        )
    if name is None:
        if len(functions) == 1:
            return functions[0]
        raise UsageError(f"{printable(path)} holds {count(len(functions), 'function')}", hint=_choice(functions))
    for function in functions:
        if function.name == name:
            return function
    by_aws = [function for function in functions if function.function_name.value == name]
    if len(by_aws) == 1:
        return by_aws[0]
    known = [function.name for function in functions]
    raise UsageError(
        f"there is no function {printable(name, limit=80)} in {printable(path)}",
        hint=printable(nearest(name, known)) or _choice(functions),
    )


def edit_memory(
    path: str,
    memory_mb: Mapping[str, int],
    *,
    parameters: Mapping[str, str] = _NOTHING,
    stage: str | None = None,
) -> tuple[Edit, ...]:
    """Return the edits that give the functions, by the template's names for them, these sizes in MB. Writes nothing.

    A file appears once, and not at all where nothing in it changes. `Edit.changed` may name functions that were not
    asked for, which share a value with one that was. Raises BadInputError where a size is decided by what cannot be
    edited or would be wrong for another function, UsageError for names that the template does not have.
    """
    document, inputs = Document(path), Inputs(parameters, stage)
    kind = _format_of(document)
    functions = kind.read(document, inputs)
    wanted = {function_named(functions, name, path=path).name: memory for name, memory in memory_mb.items()}
    return kind.edit(document, wanted, inputs)


def _format_of(document: Document) -> _Format:
    for kind in _FORMATS:
        if kind.recognises(document):
            return kind
    raise BadInputError(f"{document.shown} is no template of functions", hint=_KNOWN)


def _choice(functions: Sequence[ConfiguredFunction], limit: int = 10) -> str:
    names = ", ".join(printable(function.name, limit=80) for function in functions[:limit])
    more = f" and {len(functions) - limit} more" if len(functions) > limit else ""
    return f"choose one with --function: {names}{more}"
