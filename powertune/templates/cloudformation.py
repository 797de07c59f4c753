"""Functions in templates of CloudFormation: written by hand, with SAM, or synthesised by CDK."""

from collections.abc import Mapping

from powertune.model.configured import ConfiguredFunction, Edit
from powertune.templates.document import Document
from powertune.templates.inputs import Inputs
from powertune.templates.tree import MapNode

_SECTIONS = ("Resources", "AWSTemplateFormatVersion", "Transform")


def recognises(document: Document) -> bool:
    """Say whether this is a template of CloudFormation. Raises BadInputError for what is neither YAML nor JSON."""
    return isinstance(document.tree, MapNode) and any(section in document.tree.entries for section in _SECTIONS)


def read(document: Document, inputs: Inputs) -> tuple[ConfiguredFunction, ...]:
    """Return all functions in the order of the file."""
    raise NotImplementedError


def edit(document: Document, memory_mb: Mapping[str, int], inputs: Inputs) -> tuple[Edit, ...]:
    """Return what has to change for the named functions to get these sizes."""
    raise NotImplementedError
