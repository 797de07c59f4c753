"""The `.tf` source of what a Terraform plan holds, found beside the plan by its addresses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from powertune.errors import BadInputError
from powertune.templates.hcl_blocks import Block, Expression
from powertune.templates.terraform_modules import Binding, Module

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """The block that configures a resource: its own, or the call of the module that makes it elsewhere."""

    module: Module
    block: Block
    arguments: Mapping[str, str] | None = None
    """For a call: which argument is which attribute of the resource, where the module passes it on as it is."""

    def argument(self, attribute: str) -> str | None:
        """Return what the attribute of the resource is called in the block, None where it is not set there."""
        return attribute if self.arguments is None else self.arguments.get(attribute)

    def written(self, attribute: str, inner: str | None = None) -> Binding | None:
        """Return what the block says of an attribute, or of one of a block within; None where it says nothing."""
        if inner is not None:
            block = next(self.block.inner(inner), None) if self.arguments is None else None
            expression: Expression | None = block.attributes.get(attribute) if block else None
            return Binding(self.module, expression, f"{inner}.{attribute}") if expression else None
        name = self.argument(attribute)
        expression = self.block.attributes.get(name) if name else None
        return Binding(self.module, expression, name) if expression and name else None


class Sources:
    """The modules from the folder of a plan down. What cannot be read there is as if it were not there."""

    def __init__(self, folder: Path, configuration: Json) -> None:
        self._root = Module(folder)
        self._configuration = configuration

    def find(self, modules: Sequence[str], kind: str, name: str) -> Found | None:
        """Return where a resource is configured, None where that is not at hand. `modules` are names of calls."""
        try:
            return self._find(modules, kind, name)
        except BadInputError:
            return None

    def _find(self, modules: Sequence[str], kind: str, name: str) -> Found | None:
        module, way = self._root, _way(self._configuration, modules)
        for index, step in enumerate(modules):
            call = module.blocks.get(("module", step))
            if not call:
                return None
            below = module.called(call)
            if not below:
                return Found(module, call, _passed_on(way[index], modules[index:], kind, name))
            module = below
        block = module.blocks.get(("resource", kind, name))
        return Found(module, block) if block else None


def is_set(configuration: Json, modules: Sequence[str], kind: str, name: str, attribute: str) -> bool:
    """Say whether a plan's configuration sets an attribute of a resource, other than by a variable that is null."""
    way = _way(configuration, modules)
    expression = _expressions(way[-1], kind, name).get(attribute)
    for caller, step, called in reversed(list(zip(way, modules, way[1:], strict=False))):
        variable = _variable(expression)
        if variable is None:
            break
        expression = child(caller, "module_calls", step, "expressions").get(variable)
        if expression is None:
            return child(called, "variables", variable).get("default") is not None
    return expression is not None


def _passed_on(configuration: Json, modules: Sequence[str], kind: str, name: str) -> Mapping[str, str]:
    """Return which arguments of the call of `modules[0]` reach which attributes of a resource in it unchanged."""
    way = _way(configuration, modules)
    arguments = _variables(_expressions(way[-1], kind, name))
    for caller, step in reversed(list(zip(way[1:], modules[1:], strict=False))):
        handed = _variables(child(caller, "module_calls", step, "expressions"))
        arguments = {attribute: handed[name] for attribute, name in arguments.items() if name in handed}
    return arguments


def _way(configuration: Json, modules: Sequence[str]) -> list[Json]:
    """Return the configuration of a module and of those called from it, one in the other."""
    way = [configuration]
    for step in modules:
        way.append(child(way[-1], "module_calls", step, "module"))
    return way


def _expressions(module: Json, kind: str, name: str) -> Json:
    """Return what a module's configuration says of a resource's attributes."""
    found = (
        resource
        for resource in objects(module, "resources")
        if (resource.get("type"), resource.get("name")) == (kind, name)
    )
    return child(next(found, {}), "expressions")


def _variables(expressions: Json) -> dict[str, str]:
    """Return the arguments that a variable alone decides, with its name."""
    named = {name: _variable(expression) for name, expression in expressions.items()}
    return {name: variable for name, variable in named.items() if variable is not None}


def _variable(expression: object) -> str | None:
    references = expression.get("references") if isinstance(expression, dict) else None
    only = references[0] if isinstance(references, list) and len(references) == 1 else None
    return only.removeprefix("var.") if isinstance(only, str) and only.startswith("var.") else None


def child(value: Json, *keys: str) -> Json:
    """Return the object under a path of keys, an empty one where there is none."""
    for key in keys:
        below = value.get(key)
        value = below if isinstance(below, dict) else {}
    return value


def objects(value: Json, key: str) -> list[Json]:
    """Return the objects in the list under a key."""
    items = value.get(key)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
