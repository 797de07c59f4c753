"""Functions in templates of CloudFormation: written by hand, with SAM, or synthesised by CDK.

Defaults are those of Lambda. Source: AWS::Lambda::Function and AWS::Serverless::Function references, read 2026-11-26.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from powertune.aws_lambda.memory import MIN_MEMORY_MB
from powertune.model.configured import Configured, ConfiguredFunction, Edit, TemplateKind
from powertune.templates import checks, cloudformation_slots, memory_slots
from powertune.templates.cloudformation_template import ASSET_PATH, FunctionResource, Template
from powertune.templates.document import Document
from powertune.templates.inputs import Inputs
from powertune.templates.intrinsics import Meaning, call_of
from powertune.templates.tree import ListNode, MapNode, Node, Scalar
from powertune.text import printable

T = TypeVar("T")

_SECTIONS = ("Resources", "AWSTemplateFormatVersion", "Transform")
_LAYERS = {"AWS::Serverless::LayerVersion": "ContentUri", "AWS::Lambda::LayerVersion": "Content"}
_DEFAULT_TIMEOUT_S = 3.0
_BY_LAMBDA = "default of Lambda"
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def recognises(document: Document) -> bool:
    """Say whether this is a template of CloudFormation. Raises BadInputError for what is neither YAML nor JSON."""
    return isinstance(document.tree, MapNode) and any(section in document.tree.entries for section in _SECTIONS)


def read(document: Document, inputs: Inputs) -> tuple[ConfiguredFunction, ...]:
    """Return all functions in the order of the file."""
    template = _template(document, inputs)
    kind = template.kind
    return tuple(_Reader(template, function).read(kind) for function in template.functions)


def edit(document: Document, memory_mb: Mapping[str, int], inputs: Inputs) -> tuple[Edit, ...]:
    """Return what has to change for the named functions to get these sizes."""
    slots = cloudformation_slots.slots(_template(document, inputs))
    return memory_slots.checked_edits(slots, memory_mb, document, lambda changed, _files: read(changed, inputs))


def _template(document: Document, inputs: Inputs) -> Template:
    if not isinstance(document.tree, MapNode):
        raise document.bad("is no template", hint="name a template of CloudFormation")
    return Template(document, document.tree, inputs)


class _Reader:
    """Reads one function."""

    def __init__(self, template: Template, function: FunctionResource) -> None:
        self._template = template
        self._function = function
        self._document = template.document

    def read(self, kind: TemplateKind) -> ConfiguredFunction:
        """Return what is configured."""
        is_image = self._is_image()
        environment, environment_unresolved = self._environment()
        return ConfiguredFunction(
            name=self._function.name,
            kind=kind,
            place=self._document.place(self._function.key.start),
            memory_mb=self._property("MemorySize", checks.memory_mb, MIN_MEMORY_MB),
            architecture=self._architecture(),
            timeout_s=self._property("Timeout", checks.timeout_s, _DEFAULT_TIMEOUT_S),
            ephemeral_storage_mb=self._storage(),
            runtime=Configured(None) if is_image else self._property("Runtime", checks.text),
            handler=Configured(None) if is_image else self._property("Handler", checks.text),
            code_path=Configured(None) if is_image else self._code_path(),
            function_name=self._property("FunctionName", checks.text),
            environment=environment,
            environment_unresolved=environment_unresolved,
            layers=self._layers(),
            package_type="Image" if is_image else "Zip",
        )

    def _origin(self, name: str) -> str:
        """Return where a property is written, in words."""
        is_own = self._function.own is not None and name in self._function.own.entries
        return name if is_own else f"Globals.Function.{name}"

    def _written(self, name: str) -> Node | None:
        """Return the expression of a property; what is hidden may go before the global one."""
        own = self._function.own
        is_sure = not self._function.hidden or (own is not None and name in own.entries)
        return self._function.properties.get(name) if is_sure else None

    def _unknown(self) -> str | None:
        """Return why a property that is not written here is not known to be absent."""
        return self._function.generated or self._function.hidden

    def _absent(self, default: T | None) -> Configured[T]:
        unknown = self._unknown()
        if unknown:
            return Configured(None, self._document.place(self._function.key.start), unresolved=unknown)
        return Configured(default, origin=_BY_LAMBDA if default is not None else "")

    def _property(self, name: str, check: Callable[[object], T], default: T | None = None) -> Configured[T]:
        node = self._written(name)
        return self._absent(default) if node is None else self._value(node, self._origin(name), check, default)

    def _value(self, node: Node, origin: str, check: Callable[[object], T], default: T | None = None) -> Configured[T]:
        """Return what a scalar expression comes to."""
        self._template.take(1, self._function.key.start)
        meaning = self._template.evaluator.meaning(node)
        if meaning.is_nothing:
            return self._absent(default)
        if meaning.unresolved or not isinstance(meaning.node, Scalar):
            return self._unresolved(node, origin, meaning.unresolved or f"{origin} is no plain value")
        if meaning.node.is_null:
            return self._unresolved(node, origin, f"{origin} is nothing")
        place = None if meaning.from_outside else self._document.place(meaning.node.start)
        return checks.checked(meaning.node.text, check, place, meaning.how or origin)

    def _unresolved(self, node: Node, origin: str, why: str) -> Configured[T]:
        return Configured(None, self._document.place(node.start), origin, unresolved=why)

    def _inside(self, name: str) -> Meaning | None:
        """Return what a property that holds a list or a map comes to, or None if it is not there."""
        node = self._written(name)
        meaning = self._template.evaluator.meaning(node) if node else None
        return None if meaning is None or meaning.is_nothing else meaning

    def _architecture(self) -> Configured[str]:
        meaning = self._inside("Architectures")
        if meaning is None:
            return self._absent(checks.ARCHITECTURES[0])
        origin, node = self._origin("Architectures"), self._function.properties.entries["Architectures"].value
        match meaning.node:
            case ListNode(items=[item]):
                return self._value(item, origin, checks.architecture, checks.ARCHITECTURES[0])
            case _:
                return self._unresolved(node, origin, meaning.unresolved or f"{origin} is no list of one")

    def _storage(self) -> Configured[int]:
        meaning = self._inside("EphemeralStorage")
        if meaning is None:
            return self._absent(checks.EPHEMERAL_STORAGE_MB[0])
        origin, node = self._origin("EphemeralStorage"), self._function.properties.entries["EphemeralStorage"].value
        size = meaning.node.get("Size") if isinstance(meaning.node, MapNode) else None
        if size is None:
            return self._unresolved(node, origin, meaning.unresolved or f"{origin} has no Size")
        return self._value(size, f"{origin}.Size", checks.ephemeral_storage_mb, checks.EPHEMERAL_STORAGE_MB[0])

    def _environment(self) -> tuple[dict[str, Configured[str]], str | None]:
        """Return the variables, and why there may be others if that is so."""
        meaning = self._inside("Environment")
        if meaning is None:
            return {}, self._unknown()
        variables = meaning.node.get("Variables") if isinstance(meaning.node, MapNode) else None
        if variables:
            meaning = self._template.evaluator.meaning(variables)
        elif not meaning.unresolved:
            return {}, None
        if not isinstance(meaning.node, MapNode):
            return {}, meaning.unresolved
        values = {
            name: self._value(entry.value, f"{self._origin('Environment')}.Variables.{name}", checks.text)
            for name, entry in meaning.node.entries.items()
        }
        return {name: value for name, value in values.items() if value.value is not None or value.unresolved}, None

    def _is_image(self) -> bool:
        package = self._property("PackageType", checks.text).value
        match self._function.properties.get("Code"):
            case MapNode(entries=code) if "ImageUri" in code:
                return True
            case _:
                return package == "Image" or "ImageUri" in self._function.properties.entries

    def _code_path(self) -> Configured[str]:
        inline = self._written("InlineCode") if self._function.is_sam else None
        if inline:
            return self._unresolved(inline, "InlineCode", "the code is in the template")
        name = "CodeUri" if self._function.is_sam else "Code"
        node = self._written(name)
        return self._folder(self._function.resource, node, self._origin(name)) if node else self._absent(None)

    def _folder(self, resource: MapNode, node: Node, origin: str) -> Configured[str]:
        """Return where code is that a resource has in this property, if that is here."""
        metadata = resource.get("Metadata")
        asset = metadata.get(ASSET_PATH) if isinstance(metadata, MapNode) else None
        if isinstance(asset, Scalar):
            return Configured(self._document.beside(asset.text), self._document.place(asset.start), ASSET_PATH)
        meaning = self._template.evaluator.meaning(node)
        match meaning.node:
            case Scalar(text=path) if path and not _ELSEWHERE.match(path) and not meaning.node.is_null:
                where = self._value(node, origin, checks.text)
                return replace(where, value=self._document.beside(path))
            case Scalar(text=path):
                why = f"{printable(path, limit=80)} is elsewhere" if path else f"{origin} is empty"
            case MapNode(entries=entries) if "ZipFile" in entries:
                why = "the code is in the template"
            case MapNode(entries=entries):
                key = self._template.evaluator.meaning(entries["S3Key"].value) if "S3Key" in entries else Meaning()
                local = self._template.assets.get(key.text or "")
                if local and key.node:
                    return Configured(local, self._document.place(key.node.start), "asset of CDK")
                why = f"{origin} is in S3"
            case _:
                why = meaning.unresolved or f"{origin} is no path"
        return self._unresolved(node, origin, why)

    def _layers(self) -> tuple[Configured[str], ...]:
        meaning = self._inside("Layers")
        if meaning is None:
            return ()
        if not isinstance(meaning.node, ListNode):
            node = self._function.properties.entries["Layers"].value
            return (self._unresolved(node, "Layers", meaning.unresolved or "Layers is no list"),)
        layers = [self._layer(item) for item in meaning.node.items]
        return tuple(layer for layer in layers if layer is not None)

    def _layer(self, item: Node) -> Configured[str] | None:
        self._template.take(1, self._function.key.start)
        match call_of(item):
            case ("Ref", Scalar(text=name)) if found := self._template.resource(name, _LAYERS):
                layer, content = found
                properties = layer.get("Properties")
                node = properties.get(content) if isinstance(properties, MapNode) else None
                return self._folder(layer, node or item, f"{content} of {printable(name, limit=60)}")
            case _:
                pass
        meaning = self._template.evaluator.meaning(item)
        if meaning.is_nothing:
            return None
        text = f"{printable(meaning.text, limit=80)} is in AWS" if meaning.text else "the layer is no plain value"
        return self._unresolved(item, "Layers", meaning.unresolved or text)
