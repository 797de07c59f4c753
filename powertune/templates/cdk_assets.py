"""Where CDK left the code of functions: the manifest of assets beside a synthesised template."""

from powertune.errors import BadInputError
from powertune.templates.document import Document
from powertune.templates.tree import MapNode, Node, Scalar

_TEMPLATE, _MANIFEST = ".template.json", ".assets.json"


def asset_paths(document: Document) -> dict[str, str]:
    """Return the paths of a template's assets by the keys they get in S3; nothing where there is no readable manifest.

    Source: cloud assembly schema of CDK, AssetManifest, read 2026-11-26.
    """
    if not document.path.name.endswith(_TEMPLATE):
        return {}
    name = document.path.name.removesuffix(_TEMPLATE) + _MANIFEST
    try:
        tree: Node | None = Document(str(document.path.with_name(name))).tree
    except BadInputError:
        return {}
    paths = {}
    for file in _values(_get(tree, "files")):
        path = _get(_get(file, "source"), "path")
        for destination in _values(_get(file, "destinations")):
            key = _get(destination, "objectKey")
            if isinstance(path, Scalar) and isinstance(key, Scalar):
                paths[key.text] = document.beside(path.text)
    return paths


def _get(node: Node | None, key: str) -> Node | None:
    return node.get(key) if isinstance(node, MapNode) else None


def _values(node: Node | None) -> list[Node]:
    return [entry.value for entry in node.entries.values()] if isinstance(node, MapNode) else []
