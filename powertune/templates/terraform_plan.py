"""Functions in what `terraform show -json` prints: a plan, or the state. Its values are final; `.tf` files give places.

Source of the format: developer.hashicorp.com/terraform/internals/json-format, format_version 1.x.
"""

import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from powertune.model.configured import Configured, ConfiguredFunction, Edit, Place
from powertune.templates import checks, memory_slots, terraform_slots
from powertune.templates.document import Document
from powertune.templates.inputs import Inputs
from powertune.templates.memory_slots import Refusal, Slot
from powertune.templates.terraform_modules import LAMBDA, Binding, follow, literal
from powertune.templates.terraform_sources import Found, Json, Sources, child, is_set, objects
from powertune.text import printable

_MARKS = ('"format_version"', '"root_module"')
_ARCHIVE, _ARCHIVED_PLAN, _HEADER_BYTES = b"PK\x03\x04", b"tfplan", 100
_BODIES = ("planned_values", "values")
_STEP = re.compile(r'module\.(?P<name>[^\W\d][\w-]*)(?:\[(?:"(?:[^"\\]|\\.)*"|[0-9]+)\])?(?:\.|$)')
_DEEPEST = 40
"""Modules in modules; people stay below five."""
_BY_HAND = "set memory_size in the source by hand"
_LATER = "is known after apply only"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Planned:
    """One `aws_lambda_function` of a plan."""

    address: str
    name: str
    modules: tuple[str, ...]
    """Names of the calls that lead to it."""
    values: Json
    unknown: Json
    """Which values are known after apply only, in the shape of `values`."""


class _Plan:
    """A plan and the source beside it. Raises BadInputError where the file is no JSON."""

    def __init__(self, document: Document) -> None:
        self.document = document
        try:
            self._json = json.loads(document.text.removeprefix("\ufeff"))
        except (ValueError, RecursionError) as error:
            why = error.msg if isinstance(error, json.JSONDecodeError) else "it nests too deep"
            raise document.bad(f"is no JSON: {why}", hint="terraform show -json PLAN > plan.json makes it") from error
        self.configuration = child(self._json, "configuration", "root_module")
        self._sources = Sources(document.path.parent, self.configuration)
        self._root = next((child(self._json, body, "root_module") for body in _BODIES if body in self._json), {})

    def functions(self) -> Iterator[_Planned]:
        """Yield what the plan makes or keeps."""
        unknown = {
            _text(change, "address"): child(change, "change", "after_unknown")
            for change in objects(self._json, "resource_changes")
        }
        for resource in _resources(self._root, LAMBDA):
            if resource.get("mode") == "data":
                continue
            address = _text(resource, "address")
            modules = tuple(step["name"] for step in _STEP.finditer(address))
            values = child(resource, "values")
            yield _Planned(address, _text(resource, "name"), modules, values, unknown.get(address, {}))

    def found(self, planned: _Planned) -> Found | None:
        """Return where the source configures a function."""
        return self._sources.find(planned.modules, LAMBDA, planned.name)

    def sets(self, planned: _Planned, attribute: str) -> bool:
        """Say whether the configuration sets an attribute. Providers plan their own defaults as unknown, too."""
        return is_set(self.configuration, planned.modules, LAMBDA, planned.name, attribute)

    def place(self, planned: _Planned) -> Place:
        """Return where the plan itself first names a function."""
        return self.document.place(max(0, self.document.text.find(json.dumps(planned.address))))

    def archives(self) -> Mapping[str, str]:
        """Return folders by the archive that Terraform makes of them, as the plan names it."""
        found = {}
        for module in (self._root, child(self._json, "prior_state", "values", "root_module")):
            for archive in (child(resource, "values") for resource in _resources(module, "archive_file")):
                folder = _text(archive, "source_dir") or posixpath.dirname(_text(archive, "source_file"))
                if folder:
                    found[posixpath.normpath(_text(archive, "output_path"))] = self.document.beside(folder)
        return found


class _Reader:
    """Reads one function of a plan."""

    def __init__(self, plan: _Plan, planned: _Planned) -> None:
        self._plan, self._planned = plan, planned
        self._found = plan.found(planned)

    def function(self, archives: Mapping[str, str]) -> ConfiguredFunction:
        """Return the function; `archives` are folders by the archive that is made of them."""
        values = self._planned.values
        return ConfiguredFunction(
            name=self._planned.address,
            kind="terraform-plan",
            place=self._found.block.place if self._found else self._plan.place(self._planned),
            memory_mb=self._setting("memory_size", checks.memory_mb),
            architecture=self._setting("architectures", checks.architecture, default="x86_64"),
            timeout_s=self._setting("timeout", checks.timeout_s),
            ephemeral_storage_mb=self._setting(
                "size", checks.ephemeral_storage_mb, inside="ephemeral_storage", default=checks.EPHEMERAL_STORAGE_MB[0]
            ),
            runtime=self._setting("runtime", checks.text),
            handler=self._setting("handler", checks.text),
            code_path=self._code_path(archives),
            function_name=self._setting("function_name", checks.text),
            environment=self._environment(),
            layers=self._layers(),
            package_type="Image" if values.get("package_type") == "Image" else "Zip",
        )

    def _setting(
        self, attribute: str, check: Callable[[object], T], *, inside: str | None = None, default: T | None = None
    ) -> Configured[T]:
        """Return an attribute, or one of the block `inside`. `default` is Lambda's; the plan has the provider's."""
        values, unknown, name = self._planned.values, self._planned.unknown, attribute
        if inside is not None:
            values, unknown, name = _first(values, inside), {attribute: unknown.get(inside)}, f"{inside}.{attribute}"
        value = values.get(attribute)
        written = self._found.written(attribute, inside) if self._found else None
        place, origin = _decided(written, value) if written else (None, name)
        if value not in (None, "", []):
            return checks.checked(value, check, place, origin)
        if unknown.get(attribute) and self._plan.sets(self._planned, inside or attribute):
            return Configured(None, place, origin, f"{name} {_LATER}")
        return Configured(default, None, "default of Lambda" if default is not None else "")

    def _code_path(self, archives: Mapping[str, str]) -> Configured[str]:
        filename = self._setting("filename", checks.text)
        if filename.value is not None:
            path = archives.get(posixpath.normpath(filename.value)) or self._plan.document.beside(filename.value)
            return Configured(path, filename.place, filename.origin)
        for elsewhere in ("image_uri", "s3_bucket"):
            if self._planned.values.get(elsewhere) is not None:
                return Configured(None, None, elsewhere, f"the code is not local, but under {elsewhere}")
        return filename

    def _layers(self) -> tuple[Configured[str], ...]:
        layers = self._planned.values.get("layers")
        if self._planned.unknown.get("layers") and self._plan.sets(self._planned, "layers"):
            return (Configured(None, None, "layers", f"layers {_LATER}"),)
        in_aws = [f"{printable(layer, limit=80)} is in AWS" for layer in (layers if isinstance(layers, list) else ())]
        return tuple(Configured(None, None, "layers", why) for why in in_aws)

    def _environment(self) -> dict[str, Configured[str]]:
        values, unknown = (
            child(_first(part, "environment"), "variables") for part in (self._planned.values, self._planned.unknown)
        )
        known = {
            name: checks.checked(value, checks.text, None, name) for name, value in values.items() if value is not None
        }
        return known | {
            name: Configured(None, None, name, f"{name} {_LATER}") for name, is_later in unknown.items() if is_later
        }

    def other_numbers(self) -> Iterator[tuple[str, int]]:
        """Yield where the source says numbers of the function besides its memory, as keys of slots."""
        for attribute, inside in (("timeout", None), ("size", "ephemeral_storage")):
            written = self._found.written(attribute, inside) if self._found else None
            expression = follow(written).expression if written else None
            found = literal(expression) if expression else None
            if expression and found:
                yield expression.document.path.as_posix(), found.start

    def slot(self) -> Slot | Refusal:
        """Return where the source says the memory size."""
        argument = self._found.argument("memory_size") if self._found else None
        if not self._found or not argument:
            return Refusal("is set in Terraform source that is not beside the plan", hint=_BY_HAND)
        written, memory_mb = self._found.written("memory_size"), self._planned.values.get("memory_size")
        if written:
            return terraform_slots.written(follow(written), memory_mb)
        slot = terraform_slots.inserted(self._found.block, argument)
        return memory_slots.unless_so(slot, memory_mb if isinstance(memory_mb, int) else None)


def recognises(document: Document) -> bool:
    """Say whether a file is a plan or a state as JSON. Raises BadInputError where it is no text."""
    if document.data.startswith(_ARCHIVE) and _ARCHIVED_PLAN in document.data[:_HEADER_BYTES]:
        name = document.shown
        raise document.bad(
            "is a plan as Terraform keeps it", hint=f"name what this writes: terraform show -json {name}"
        )
    text = document.text
    return text.lstrip("\ufeff \t\r\n").startswith("{") and all(mark in text for mark in _MARKS)


def read(document: Document, inputs: Inputs) -> tuple[ConfiguredFunction, ...]:
    """Return the functions of a plan by their addresses, in its order. Raises BadInputError."""
    del inputs  # a plan was made with its variables
    plan = _Plan(document)
    archives = plan.archives()
    return tuple(_Reader(plan, planned).function(archives) for planned in plan.functions())


def edit(document: Document, memory_mb: Mapping[str, int], inputs: Inputs) -> tuple[Edit, ...]:
    """Return the edits of the `.tf` files beside the plan that give the named functions these sizes.

    Raises BadInputError where it is not sure which text decides a size.
    """
    del inputs
    plan = _Plan(document)
    readers = {planned.address: _Reader(plan, planned) for planned in plan.functions()}
    taken = {key for reader in readers.values() for key in reader.other_numbers()}
    slots = {address: reader.slot() for address, reader in readers.items()}
    for address, slot in slots.items():
        if isinstance(slot, Slot) and slot.key in taken:
            slots[address] = Refusal("is a number that decides more than memory", hint=_BY_HAND)
    return memory_slots.edits(slots, memory_mb)


def _decided(written: Binding, value: object) -> tuple[Place | None, str]:
    """Return place and origin of the text that decides a value, of the attribute where that is not sure."""
    last = follow(written)
    found = literal(last.expression)
    decided = last if found and found.text == str(value) else written
    return decided.place, decided.origin


def _resources(module: Json, kind: str, depth: int = 0) -> Iterator[Json]:
    """Yield the resources of a type, or what data of it gives, in a module and in those below."""
    yield from (resource for resource in objects(module, "resources") if resource.get("type") == kind)
    if depth < _DEEPEST:
        for below in objects(module, "child_modules"):
            yield from _resources(below, kind, depth + 1)


def _first(values: Json, block: str) -> Json:
    """Return a block of which there is one at most, as a plan has it: a list."""
    return next(iter(objects(values, block)), {})


def _text(value: Json, key: str) -> str:
    text = value.get(key)
    return text if isinstance(text, str) else ""
