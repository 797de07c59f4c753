"""The functions of a CloudFormation template as they are written, with Globals of SAM below them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from powertune.model.configured import TemplateKind
from powertune.templates import sam_globals
from powertune.templates.cdk_assets import asset_paths
from powertune.templates.document import Document
from powertune.templates.inputs import Inputs
from powertune.templates.intrinsics import Evaluator, call_of, described
from powertune.templates.tree import Entry, ListNode, MapNode, Node, Scalar

_SAM_FUNCTION = "AWS::Serverless::Function"
_FUNCTIONS = (_SAM_FUNCTION, "AWS::Lambda::Function")
ASSET_PATH = "aws:asset:path"
_CDK_METADATA = {ASSET_PATH, "aws:cdk:path"}
_MAX_VALUES = 200_000
"""CloudFormation takes 500 resources in a template, and Lambda 4 kB of variables in a function."""
_CDK_PARAMETER = "BootstrapVersion"
_FOR_EACH = "Fn::ForEach"
_TRANSFORM = "Fn::Transform"


@dataclass(frozen=True, slots=True, eq=False)
class FunctionResource:
    """One function in a template."""

    key: Scalar
    """Its logical id."""
    resource: MapNode
    own: MapNode | None
    """The properties that it writes itself; None where there are none, or they are no plain map."""
    properties: MapNode
    """Its own with the global ones below them."""
    is_sam: bool
    hidden: str | None = None
    """What decides properties that are not written here, in words: `Fn::Transform AWS::Include`."""
    generated: str | None = None
    """The loop that makes functions of this one, in words. What holds for each of them is not known."""

    @property
    def name(self) -> str:
        """What the template calls it."""
        return self.key.text


class Template:
    """One template and what its expressions come to. Raises UsageError for parameters that it does not have."""

    def __init__(self, document: Document, tree: MapNode, inputs: Inputs) -> None:
        """Take a document and its tree."""
        self.document = document
        self.evaluator = Evaluator(tree, inputs.parameters)
        resources = tree.get("Resources")
        self.resources = resources if isinstance(resources, MapNode) else MapNode({}, 0, 0, flow=False)
        self._is_cdk = _CDK_PARAMETER in _names(tree.get("Parameters"))
        self._globals = sam_globals.of_functions(tree)
        self._taken = 0
        self.functions = tuple(self._functions())

    def take(self, values: int, at: int) -> None:
        """Count values that are read for a function at this offset. Raises BadInputError when they are far too many.

        What Globals or an alias hold counts for each function that has it.
        """
        self._taken += values
        if self._taken > _MAX_VALUES:
            what = f"holds more than {_MAX_VALUES:,} values in all its functions"
            raise self.document.bad(what, hint="name a template of people's size", offset=at)

    @property
    def kind(self) -> TemplateKind:
        """Who wrote the template: CDK leaves metadata or a parameter, SAM has resources of its own."""
        resources = [entry.value for entry in self.resources.entries.values() if isinstance(entry.value, MapNode)]
        if self._is_cdk or any(_CDK_METADATA & _names(resource.get("Metadata")) for resource in resources):
            return "cdk"
        return "sam" if any(function.is_sam for function in self.functions) else "cloudformation"

    @cached_property
    def assets(self) -> dict[str, str]:
        """Paths of the code that CDK left beside the template, by key in S3."""
        return asset_paths(self.document)

    def resource(self, name: str, types: dict[str, str]) -> tuple[MapNode, str] | None:
        """Return the resource of that logical id if it is of one of these types, and what `types` has for its type."""
        resource = self.resources.get(name)
        kind = _type_of(resource) if resource else None
        return (resource, types[kind]) if isinstance(resource, MapNode) and kind in types else None

    def _functions(self) -> Iterator[FunctionResource]:
        for entry in self.resources.entries.values():
            if entry.key.text.startswith(_FOR_EACH):
                yield from self._in_loop(entry, entry.key.text)
            elif isinstance(entry.value, MapNode) and (kind := _type_of(entry.value)) in _FUNCTIONS:
                yield self._function(entry.key, entry.value, is_sam=kind == _SAM_FUNCTION)

    def _in_loop(self, loop: Entry, words: str) -> Iterator[FunctionResource]:
        """Yield the functions that a loop makes, once each under the name they have in it."""
        match loop.value:
            case ListNode(items=[_, _, MapNode() as body]):
                for entry in body.entries.values():
                    kind = _type_of(entry.value)
                    if entry.key.text.startswith(_FOR_EACH):
                        yield from self._in_loop(entry, words)
                    elif kind in _FUNCTIONS and isinstance(entry.value, MapNode):
                        empty = MapNode({}, entry.value.start, entry.value.end, flow=False)
                        is_sam = kind == _SAM_FUNCTION
                        yield FunctionResource(entry.key, entry.value, None, empty, is_sam, generated=words)
            case _:
                pass

    def _function(self, key: Scalar, resource: MapNode, *, is_sam: bool) -> FunctionResource:
        written = resource.get("Properties")
        own = written if isinstance(written, MapNode) and call_of(written) is None else None
        properties = own or MapNode({}, resource.start, resource.end, flow=False)
        hidden = None
        if own is None and written is not None and (call := call_of(written)):
            hidden = described(*call)
        if is_sam and self._globals:
            merge = sam_globals.Merge(lambda values: self.take(values, key.start))
            properties = merge.properties(self._globals, properties, resource.get("IgnoreGlobals"))
        transform = properties.get(_TRANSFORM)
        if transform:
            name = transform.get("Name") if isinstance(transform, MapNode) else None
            hidden = described(_TRANSFORM, name or transform)
        return FunctionResource(key, resource, own, properties, is_sam, hidden)


def _names(node: Node | None) -> set[str]:
    return set(node.entries) if isinstance(node, MapNode) else set()


def _type_of(resource: Node) -> str | None:
    match resource:
        case MapNode(entries={"Type": Entry(value=Scalar(text=kind))}):
            return kind
        case _:
            return None
