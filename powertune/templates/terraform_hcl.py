"""Functions in Terraform source: a folder of `.tf` files, or one of them, with the modules it calls from folders.

Defaults are those of the aws provider's aws_lambda_function, and of the module terraform-aws-modules/lambda/aws, which
is known by name because it is how many functions are made (registry.terraform.io, both read 2026-11-26).
"""

import json
import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from powertune.errors import UsageError
from powertune.model.configured import Configured, ConfiguredFunction, Edit
from powertune.templates import checks, memory_slots, terraform_slots
from powertune.templates.document import Document
from powertune.templates.files import Files
from powertune.templates.hcl_blocks import Block, Expression
from powertune.templates.hcl_expressions import Evaluator, Lazy, UnresolvedError, Value, as_text, entries
from powertune.templates.inputs import Inputs
from powertune.templates.memory_slots import Refusal, Slot
from powertune.templates.terraform_modules import LAMBDA, Binding, Each, Module, literal
from powertune.text import nearest, printable

_MOST_INSTANCES = 1000
"""Functions, and calls of modules, under one root; AWS accounts hold fewer."""
_DEFAULT_MEMORY_MB, _DEFAULT_TIMEOUT_S = 128, 3.0
_ARCHIVE = re.compile(r"(?:data\.)?archive_file\.(?P<name>[^\W\d][\w-]*)(?:\[[^\]]*\])?\.output_path")
_LAYERS = "aws_lambda_layer_version"
_LAYER = re.compile(rf"{_LAYERS}\.(?P<name>[^\W\d][\w-]*)(?:\[[^\]]*\])?\.arn")
_COMMUNITY_MODULE = "terraform-aws-modules/lambda/aws"
_COMMUNITY_NAMES = {
    "filename": "local_existing_package",
    "size": "ephemeral_storage_size",
    "variables": "environment_variables",
}

T = TypeVar("T")


def recognises(document: Document) -> bool:
    """Say whether this is a `.tf` file, or a folder that holds one."""
    return document.path.suffix == ".tf" or (document.path.is_dir() and any(document.path.glob("*.tf")))


def read(document: Document, inputs: Inputs) -> tuple[ConfiguredFunction, ...]:
    """Return the functions by their addresses, in the order of the files. `inputs.parameters` are variables.

    Raises BadInputError for what is no Terraform source, UsageError for unknown variables or without python-hcl2.
    """
    return _read(document, inputs, Files())


def edit(document: Document, memory_mb: Mapping[str, int], inputs: Inputs) -> tuple[Edit, ...]:
    """Return the edits that give the named functions these sizes. Raises as `read` does, and where no text decides."""
    slots = {maker.address: maker.slot() for maker in _Walk(document, inputs, Files()).makers()}
    return memory_slots.checked_edits(slots, memory_mb, document, lambda main, files: _read(main, inputs, files))


def _read(document: Document, inputs: Inputs, files: Files) -> tuple[ConfiguredFunction, ...]:
    return tuple(maker.function() for maker in _Walk(document, inputs, files).makers())


class _Walk:
    """Finds what makes functions, in a root module and those below."""

    def __init__(self, document: Document, inputs: Inputs, files: Files) -> None:
        """Take a file or folder. Raises BadInputError, and UsageError for variables that it does not have."""
        self._document = document
        self._evaluator = Evaluator()
        self._only = None if document.path.is_dir() else document.path
        folder = document.path.parent if self._only else document.path
        self._root = Module(folder, given=inputs.parameters, files=files)
        self._instances_left = _MOST_INSTANCES
        declared = [labels[0] for kind, *labels in self._root.blocks if kind == "variable"]
        for name in (name for name in inputs.parameters if name not in declared):
            raise UsageError(
                f"{document.shown} has no variable {printable(name, limit=80)}",
                hint=printable(nearest(name, declared) or f"it has: {', '.join(declared[:10]) or 'none'}"),
            )

    def makers(self, module: Module | None = None) -> "Iterator[_Maker]":
        """Yield what makes a function, each instance on its own."""
        module = module or self._root
        for block in self._in_scope(module, module.resources(LAMBDA)):
            for index, each in self._instances(module, block):
                address = module.address_of(f"{LAMBDA}.{block.labels[1]}{index}")
                yield _Maker(self._evaluator, address, module, block, each)
        for call in self._in_scope(module, module.calls()):
            for index, each in self._instances(module, call):
                below = module.called(call)
                if below:
                    yield from self.makers(replace(below, address=below.address + index, each=each))
                elif _is_community(call) and not self._is_switched_off(module, call, each):
                    address = module.address_of(f"module.{call.labels[0]}{index}.{LAMBDA}.this[0]")
                    yield _Maker(self._evaluator, address, module, call, each, _COMMUNITY_NAMES)

    def _in_scope(self, module: Module, blocks: Iterator[Block]) -> Iterator[Block]:
        """Yield the blocks of the file that the user named, where that is a file."""
        return (block for block in blocks if module.caller or self._only is None or block.document.path == self._only)

    def _instances(self, module: Module, block: Block) -> Iterator[tuple[str, Each | None]]:
        """Yield index and instance of what a block makes; the block itself where that is not known."""
        try:
            yield from self._indexed(module, block)
        except UnresolvedError:
            yield "", None

    def _indexed(self, module: Module, block: Block) -> Iterator[tuple[str, Each | None]]:
        several = block.attributes.get("for_each") or block.attributes.get("count")
        if not several:
            found: list[tuple[str, Each | None]] = [("", None)]
        else:
            value = self._evaluator.value(Binding(module, several, "for_each"))
            if "for_each" in block.attributes:
                found = [(f"[{json.dumps(each.key)}]", each) for each in entries(value)]
            else:
                count = value.data if isinstance(value.data, int) else 1
                found = [(f"[{number}]", None) for number in range(min(count, _MOST_INSTANCES + 1))]
        self._instances_left -= len(found)
        if self._instances_left < 0:
            raise self._document.bad(f"makes more than {_MOST_INSTANCES} functions", hint="name the folder of a module")
        return iter(found)

    def _is_switched_off(self, module: Module, call: Block, each: Each | None) -> bool:
        for switch in (call.attributes.get(name) for name in ("create", "create_function")):
            try:
                if switch and self._evaluator.value(Binding(module, switch, "create"), each).data is False:
                    return True
            except UnresolvedError:
                continue
        return False


@dataclass(frozen=True, slots=True)
class _Maker:
    """What makes one function: a resource, or the call of a module whose code is not at hand but known."""

    evaluator: Evaluator
    address: str
    module: Module
    block: Block
    each: Each | None
    names: Mapping[str, str] = field(default_factory=dict)
    """What the call calls attributes of the resource, where that is different."""

    def function(self) -> ConfiguredFunction:
        """Return the function as it is configured."""
        kind = self._setting("package_type", checks.text, default="Zip")
        return ConfiguredFunction(
            name=self.address,
            kind="terraform",
            place=self.block.place,
            memory_mb=self._setting("memory_size", checks.memory_mb, default=_DEFAULT_MEMORY_MB),
            architecture=self._setting("architectures", checks.architecture, default=checks.ARCHITECTURES[0]),
            timeout_s=self._setting("timeout", checks.timeout_s, default=_DEFAULT_TIMEOUT_S),
            ephemeral_storage_mb=self._setting(
                "size", checks.ephemeral_storage_mb, "ephemeral_storage", default=checks.EPHEMERAL_STORAGE_MB[0]
            ),
            runtime=self._setting("runtime", checks.text),
            handler=self._setting("handler", checks.text),
            code_path=self._code_path(),
            function_name=self._setting("function_name", checks.text),
            environment=self._environment(),
            layers=self._layers(),
            package_type="Image" if kind.value == "Image" else "Zip",
        )

    def slot(self) -> Slot | Refusal:
        """Return where the memory size is written, or can be."""
        binding = self._binding("memory_size")
        if not binding:
            slot = terraform_slots.inserted(self.block, "memory_size")
            return memory_slots.unless_so(slot, _DEFAULT_MEMORY_MB)
        try:
            value = self.evaluator.value(binding, self.each)
        except UnresolvedError as error:
            return Refusal(
                f"is unresolved: {error}",
                hint=f"change it by hand: {binding.expression.place.file}:{binding.expression.place.line}",
            )
        return terraform_slots.written(Binding(self.module, value.expression, value.origin), value.data)

    def _binding(self, attribute: str, inside: str | None = None) -> Binding | None:
        """Return what the block says of an attribute, or the block `inside` it, whose head stands for a dynamic one."""
        block = self.block
        if inside and not self.names:
            within = next(block.inner(inside), None)
            dynamic = next((other for other in block.inner("dynamic") if other.labels == (inside,)), None)
            head = Expression(dynamic.document, dynamic.start, dynamic.body_start) if dynamic else None
            expression = within.attributes.get(attribute) if within else head
        else:
            expression = block.attributes.get(self.names.get(attribute, attribute))
        return (
            Binding(self.module, expression, f"{inside}.{attribute}" if inside else attribute) if expression else None
        )

    def _setting(
        self, attribute: str, check: Callable[[object], T], inside: str | None = None, *, default: T | None = None
    ) -> Configured[T]:
        binding = self._binding(attribute, inside)
        unset = Configured(
            default, None, f"default of {'the module' if self.names else 'the aws provider'}" if default else ""
        )
        if not binding:
            return unset
        try:
            value = self.evaluator.value(binding, self.each)
            while isinstance(value.data, list) and len(value.data) == 1:
                value = value.data[0]()
        except UnresolvedError as error:
            return Configured(None, binding.place, binding.origin, str(error))
        return unset if value.data is None else checks.checked(value.data, check, value.place, value.origin)

    def _environment(self) -> dict[str, Configured[str]]:
        binding = self._binding("variables", "environment")
        try:
            data = self.evaluator.value(binding, self.each).data if binding else None
        except UnresolvedError:
            data = None
        return {name: _text_of(lazy, name) for name, lazy in data.items()} if isinstance(data, dict) else {}

    def _layers(self) -> tuple[Configured[str], ...]:
        binding = self._binding("layers")
        try:
            data = self.evaluator.value(binding, self.each).data if binding else None
        except UnresolvedError as error:
            return (Configured(None, binding.place if binding else None, "layers", str(error)),)
        return tuple(self._layer(lazy) for lazy in data) if isinstance(data, list) else ()

    def _layer(self, evaluate: Lazy) -> Configured[str]:
        """Return the folder that a layer's archive is made of, where the same module makes it."""
        try:
            value = evaluate()
        except UnresolvedError as error:
            made_here = _LAYER.fullmatch(error.reference)
            layer = self.module.blocks.get(("resource", _LAYERS, made_here["name"])) if made_here else None
            if not layer:
                return Configured(None, None, "layers", str(error))
            path = replace(self, block=layer, each=None, names={})._code_path()  # noqa: SLF001 - of its own class
            is_archive = path.value is not None and path.value.endswith(".zip")
            return replace(path, value=None, unresolved=f"{path.value} is no folder") if is_archive else path
        written = printable(value.data, limit=80) if isinstance(value.data, str) else "the layer"
        return Configured(None, value.place, "layers", f"{written} is in AWS")

    def _code_path(self) -> Configured[str]:
        """Return the folder that an archive is made of, else the archive."""
        source = self._binding("source_path") if self.names else None
        filename = source or self._binding("filename")
        for elsewhere in () if filename else ("image_uri", "s3_bucket"):
            if binding := self._binding(elsewhere):
                return Configured(None, binding.place, elsewhere, f"the code is not local, but under {elsewhere}")
        if not filename:
            return Configured(None)
        try:
            folder = self._archived(filename)
            value = folder or self.evaluator.value(filename, self.each)
            path = os.path.normpath(self.module.root.folder / as_text(value))
        except UnresolvedError as error:
            return Configured(None, filename.place, filename.origin, str(error))
        return Configured(Path(path).as_posix(), value.place, value.origin)

    def _archived(self, filename: Binding) -> Value | None:
        """Return the folder whose archive a file is, None where it is none that the source makes."""
        named = _ARCHIVE.fullmatch(filename.expression.text)
        for key, block in self.module.blocks.items():
            if key[1:2] != ("archive_file",):
                continue
            output = self._of(block, "output_path")
            if named["name"] == key[2] if named else output and self._same(output, filename):
                if folder := self._of(block, "source_dir"):
                    return self.evaluator.value(folder)
                if file := self._of(block, "source_file"):
                    value = self.evaluator.value(file)
                    return replace(value, data=posixpath.dirname(as_text(value)) or ".")
        return None

    def _of(self, block: Block, attribute: str) -> Binding | None:
        expression = block.attributes.get(attribute)
        return Binding(self.module, expression, attribute) if expression else None

    def _same(self, one: Binding, other: Binding) -> bool:
        try:
            return as_text(self.evaluator.value(one)) == as_text(self.evaluator.value(other, self.each))
        except UnresolvedError:
            return False


def _text_of(evaluate: Lazy, origin: str) -> Configured[str]:
    try:
        value = evaluate()
        return Configured(as_text(value), value.place, origin)
    except UnresolvedError as error:
        return Configured(None, None, origin, str(error))


def _is_community(call: Block) -> bool:
    source = call.attributes.get("source")
    written = literal(source) if source else None
    return bool(written and written.text.removeprefix("registry.terraform.io/") == _COMMUNITY_MODULE)
