"""Functions in serverless.yml, .json included, of the Serverless Framework 2 to 4.

A setting of a function goes before the provider's, and that before the framework's default. Source:
serverless.com/framework/docs/providers/aws/guide/serverless.yml, read 2026-11-26.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from powertune.errors import UsageError
from powertune.model.configured import Configured, ConfiguredFunction, Edit, Place
from powertune.templates import checks, memory_slots
from powertune.templates.document import Document
from powertune.templates.files import Files
from powertune.templates.inputs import Inputs
from powertune.templates.intrinsics import call_of
from powertune.templates.memory_slots import Refusal, Slot
from powertune.templates.serverless_variables import Meaning, Resolver
from powertune.templates.tree import ListNode, MapNode, Node, Scalar
from powertune.text import printable

_DEFAULT_MEMORY_MB, _DEFAULT_TIMEOUT_S = 1024, 6.0
_DEFAULT = "default of Serverless"
_MEMORY = "memorySize"
_BESIDE = ("timeout", "runtime", "handler", "image", "name")
"""Settings that memory is written next to, the likeliest first."""
_ALWAYS_KNOWN = ("stage", "region")

T = TypeVar("T")


def recognises(document: Document) -> bool:
    """Say whether this is a service for AWS. Raises BadInputError for what is neither YAML nor JSON."""
    root = document.tree
    return isinstance(root, MapNode) and "service" in root.entries and "provider" in root.entries


def read(document: Document, inputs: Inputs) -> tuple[ConfiguredFunction, ...]:
    """Return the functions in the order of the file. `inputs.parameters` are options and parameters by name.

    Raises BadInputError where the service is not for AWS or its functions cannot be found, UsageError for parameters
    that it does not have.
    """
    return _read(document, inputs, Files())


def edit(document: Document, memory_mb: Mapping[str, int], inputs: Inputs) -> tuple[Edit, ...]:
    """Return the edits that give the named functions these sizes: a function that has none of its own gets one.

    Raises BadInputError where no text decides a size, or one that decides more than that.
    """
    slots = {function.name: function.slot() for function in _Service(document, inputs, Files()).functions()}
    return memory_slots.checked_edits(slots, memory_mb, document, lambda main, files: _read(main, inputs, files))


def _read(document: Document, inputs: Inputs, files: Files) -> tuple[ConfiguredFunction, ...]:
    service = _Service(document, inputs, files)
    functions = tuple(function.read() for function in service.functions())
    for name in (name for name in inputs.parameters if name not in _ALWAYS_KNOWN):
        if not any(f"{kind}:{name}" in document.text or files.mention(f"{kind}:{name}") for kind in ("opt", "param")):
            raise UsageError(
                f"{document.shown} has no option or parameter {printable(name, limit=80)}",
                hint="write it as in ${opt:NAME} or ${param:NAME}, or leave it out",
            )
    return functions


class _Service:
    """A service and what all of its functions share."""

    def __init__(self, document: Document, inputs: Inputs, files: Files) -> None:
        """Take a document and what to read it with. Raises BadInputError where it is not for AWS."""
        self.document = document
        root = document.tree
        if not isinstance(root, MapNode):
            raise document.bad("is no service", hint="name a serverless.yml")
        self.resolver = Resolver(document, root, inputs, files)
        self.provider = self.resolver.at("provider")
        name = self.provider.text or self.resolver.at("provider.name").text
        if name not in (None, "aws"):
            raise document.bad(f"deploys to {printable(name, limit=40)}", hint="name a service for AWS")

    def functions(self) -> "Iterator[_Function]":
        """Yield the functions, also those in files of their own. Raises BadInputError where there is no telling."""
        whole = self.resolver.at("functions")
        if whole.unresolved:
            raise self.document.bad(
                f"has functions that cannot be read: {whole.unresolved}", hint="name the file that holds them"
            )
        if not isinstance(whole.node, ListNode):
            yield from self._in_map(whole)
            return
        for item in whole.node.items:
            part = self.resolver.meaning(item, whole.document)
            if part.unresolved:
                # What it holds is not known, and that is said: by a function of this name that has no values.
                yield _Function(
                    self, whole.document.text[item.start : item.end], whole.document.place(item.start), part
                )
            yield from self._in_map(part)

    def _in_map(self, functions: Meaning) -> "Iterator[_Function]":
        entries = functions.node.entries if isinstance(functions.node, MapNode) else {}
        for name, entry in entries.items():
            place = functions.document.place(entry.key.start)
            yield _Function(self, name, place, self.resolver.meaning(entry.value, functions.document))

    def text(self, *addresses: str) -> str | None:
        """Return the first text that stands under one of these paths of keys."""
        return next((text for address in addresses if (text := self.resolver.at(address).text) is not None), None)

    def layer(self, reference: str) -> Meaning:
        """Return the folder of a layer that the service has, by what its resource is called."""
        layers = self.resolver.at("layers").node
        for name in layers.entries if isinstance(layers, MapNode) else ():
            if _resource_name(name) + "LambdaLayer" == reference:
                return self.resolver.at(f"layers.{name}.path")
        return Meaning(self.document)


@dataclass(frozen=True, slots=True)
class _Function:
    """One function of a service."""

    service: _Service
    name: str
    place: Place
    own: Meaning
    """What is written under its name."""

    def read(self) -> ConfiguredFunction:
        """Return the function as it is configured."""
        is_image = isinstance(self.own.node, MapNode) and "image" in self.own.node.entries
        return ConfiguredFunction(
            name=self.name,
            kind="serverless",
            place=self.place,
            memory_mb=self._memory(),
            architecture=self._setting("architecture", checks.architecture, checks.ARCHITECTURES[0]),
            timeout_s=self._setting("timeout", checks.timeout_s, _DEFAULT_TIMEOUT_S),
            ephemeral_storage_mb=self._setting(
                "ephemeralStorageSize", checks.ephemeral_storage_mb, checks.EPHEMERAL_STORAGE_MB[0]
            ),
            runtime=Configured(None) if is_image else self._setting("runtime", checks.text),
            handler=Configured(None) if is_image else self._own("handler"),
            code_path=Configured(None) if is_image else self._code_path(),
            function_name=self._function_name(),
            environment=self._environment(),
            layers=self._layers(),
            package_type="Image" if is_image else "Zip",
        )

    def slot(self) -> Slot | Refusal:
        """Return where the memory size is written, or where the function can have one of its own."""
        if not isinstance(self.own.node, MapNode):
            return Refusal(
                f"is unresolved: {self.own.unresolved or 'nothing is written'}",
                hint=f"edit it by hand: {_at(self.place)}",
            )
        entry = self.own.node.entries.get(_MEMORY)
        if not entry or entry.merged:
            slot = memory_slots.new_entry(self.own.document, self.own.node, _MEMORY, _BESIDE)
            return memory_slots.unless_so(slot, self._memory().value)
        meaning = self.service.resolver.meaning(entry.value, self.own.document)
        where = _at(self.own.document.place(entry.value.start))
        if meaning.unresolved or meaning.outside:
            why = f"unresolved: {meaning.unresolved}" if meaning.unresolved else f"decided by {meaning.origin}"
            return Refusal(f"is {why}", hint=f"edit it by hand: {where}")
        if meaning.made or not isinstance(meaning.node, Scalar):
            return Refusal("is no number but made of several values", hint=f"edit it by hand: {where}")
        return memory_slots.number(meaning.document, meaning.node)

    def _setting(self, name: str, check: Callable[[object], T], default: T | None = None) -> Configured[T]:
        """Return a setting of the function, else of the provider, else what Serverless takes."""
        for settings, origin in ((self.own, name), (self.service.provider, f"provider.{name}")):
            meaning = self._inside(settings, name)
            if not meaning.is_nothing:
                return self._configured(meaning, check, origin)
        return Configured(default, None, _DEFAULT if default is not None else "")

    def _memory(self) -> Configured[int]:
        return self._setting(_MEMORY, checks.memory_mb, _DEFAULT_MEMORY_MB)

    def _own(self, name: str) -> Configured[str]:
        """Return a setting that functions do not share."""
        return self._configured(self._inside(self.own, name), checks.text, name)

    def _inside(self, settings: Meaning, name: str) -> Meaning:
        """Return what a map says under a name; where the map is unresolved, so is that."""
        if settings.unresolved:
            return settings
        node = settings.node.get(name) if isinstance(settings.node, MapNode) else None
        return self.service.resolver.meaning(node, settings.document)

    def _configured(self, meaning: Meaning, check: Callable[[object], T], origin: str) -> Configured[T]:
        """Return a value, which is text or a list or map, if it is what it has to be."""
        if meaning.is_nothing:
            return Configured(None, meaning.place, origin)
        if meaning.unresolved:
            return Configured(None, meaning.place or self.place, origin, meaning.unresolved)
        value = meaning.text if meaning.text is not None else meaning.node
        return checks.checked(value, check, meaning.place, meaning.origin or origin)

    def _function_name(self) -> Configured[str]:
        own = self._own("name")
        if own.value is not None or own.unresolved:
            return own
        service, stage = self.service.text("service", "service.name"), self.service.resolver.stage()
        if service is None or stage.text is None:
            return Configured(None, None, _DEFAULT, "service or stage is unresolved")
        return Configured(f"{service}-{stage.text}-{self.name}", None, _DEFAULT)

    def _code_path(self) -> Configured[str]:
        """Return the archive that is deployed if one is named, else the folder of the service."""
        document, artifact = self.service.document, self._inside(self._inside(self.own, "package"), "artifact")
        if artifact.is_nothing:
            artifact = self.service.resolver.at("package.artifact")
        if artifact.is_nothing:
            return Configured(document.beside("."), None, "folder of the service")
        path = self._configured(artifact, checks.text, "package.artifact")
        return path if path.value is None else replace(path, value=document.beside(path.value))

    def _environment(self) -> dict[str, Configured[str]]:
        """Return the variables of the provider and those of the function, which go before."""
        found: dict[str, Configured[str]] = {}
        for settings, origin in ((self.service.provider, "provider.environment"), (self.own, "environment")):
            environment = self._inside(settings, "environment")
            entries = environment.node.entries if isinstance(environment.node, MapNode) else {}
            for name, entry in entries.items():
                meaning = self.service.resolver.meaning(entry.value, environment.document)
                found[name] = self._configured(meaning, checks.text, f"{origin}.{name}")
        return {name: value for name, value in found.items() if value.value is not None or value.unresolved}

    def _layers(self) -> tuple[Configured[str], ...]:
        meaning = self._inside(self.own, "layers")
        if meaning.is_nothing:
            meaning = self._inside(self.service.provider, "layers")
        if not isinstance(meaning.node, ListNode):
            return () if meaning.is_nothing else (self._configured(meaning, checks.text, "layers"),)
        return tuple(self._layer(item, meaning.document) for item in meaning.node.items)

    def _layer(self, item: Node, document: Document) -> Configured[str]:
        """Return the folder of a layer of the service; others are in AWS."""
        match call_of(item):
            case ("Ref", Scalar(text=reference)):
                folder = self.service.layer(reference)
                if not folder.is_nothing:
                    path = self._configured(folder, checks.text, f"layer {printable(reference, limit=60)}")
                    return path if path.value is None else replace(path, value=self.service.document.beside(path.value))
            case _:
                pass
        meaning = self.service.resolver.meaning(item, document)
        why = meaning.unresolved or f"{printable(meaning.text or 'the layer', limit=80)} is in AWS"
        return Configured(None, document.place(item.start), "layers", why)


def _at(place: Place) -> str:
    return f"line {place.line} of {printable(place.file, limit=120)}"


def _resource_name(key: str) -> str:
    """Return what Serverless makes of a key in names of resources."""
    return (key[:1].upper() + key[1:]).replace("-", "Dash").replace("_", "Underscore")
