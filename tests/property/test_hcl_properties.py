"""Where blocks and attributes of Terraform source stand: the scan finds what the grammar of python-hcl2 finds."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from powertune.templates.document import Document
from powertune.templates.hcl_blocks import Block, scan

if TYPE_CHECKING:
    from lark import Token, Tree

hcl2 = pytest.importorskip("hcl2.api")

NAMES = st.from_regex(r"[a-z][a-z_-]{0,5}", fullmatch=True).filter(
    lambda name: name not in {"if", "in", "for", "else", "null", "true", "false", "endif", "endfor", "for_each"}
)
PIECES = st.sampled_from(
    ["a", "}", "{", "#", "//", "/*", "$ ", "% ", "$${x}", r"\"", r"\\", " = ", "<<E", "'", "(", "]"]
)
LINES = st.sampled_from(["}", "{", '"', "a = 1", "# x", "/*", "${", "  EOT x", ""])


def in_quotes(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    template = inner.map(lambda text: "${" + text + "}")
    return st.lists(st.one_of(PIECES, template), max_size=4).map(lambda parts: '"' + "".join(parts) + '"')


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.lists(inner, max_size=3)
    gap = st.sampled_from(["", " ", "\n", " # }\n", " /* ] */ "])
    return st.one_of(
        in_quotes(inner),
        st.tuples(joined, gap).map(lambda parts: f"[{parts[1]}" + f",{parts[1]}".join(parts[0]) + "]"),
        st.tuples(NAMES, joined).map(lambda parts: f"{parts[0]}({', '.join(parts[1])})"),
        st.lists(st.tuples(NAMES, inner), max_size=3).map(
            lambda pairs: "{\n" + "".join(f"  {key} = {value}\n" for key, value in pairs) + "}"
        ),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} ? {parts[1]} : {parts[2]})"),
    )


SIMPLE = st.one_of(st.integers(0, 9999).map(str), NAMES.map(lambda name: f"var.{name}"), st.just("true"))
EXPRESSIONS = st.recursive(SIMPLE, compound, max_leaves=6)
HERE_DOCUMENTS = st.lists(LINES, max_size=3).map(
    lambda lines: "<<-EOT\n" + "".join(f"{line}\n" for line in lines) + "  EOT"
)
COMMENTS = st.sampled_from(["", "", " # } {", ' // "', " /* { */"])
ATTRIBUTES = st.one_of(
    st.tuples(NAMES, EXPRESSIONS, COMMENTS).map(lambda parts: f"{parts[0]} = {parts[1]}{parts[2]}\n"),
    st.tuples(NAMES, HERE_DOCUMENTS).map(lambda parts: f"{parts[0]} = {parts[1]}\n"),
    st.sampled_from(["# a = {\n", "\n", "/* b {\n */\n"]),
)


def block(body: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    labels = st.lists(NAMES.map(lambda name: f' "{name}"'), max_size=2).map("".join)
    return st.tuples(NAMES, labels, body).map(lambda parts: f"{parts[0]}{parts[1]} {{\n{parts[2]}}}\n")


BODIES = st.recursive(
    st.lists(ATTRIBUTES, max_size=4).map("".join),
    lambda body: st.lists(st.one_of(ATTRIBUTES, block(body)), max_size=4).map("".join),
    max_leaves=6,
)


def shape_of_scan(top: Block) -> list[object]:
    found = [(expression.start, ("=", name)) for name, expression in top.attributes.items()]
    blocks = [(inner.start, (inner.kind, *inner.labels, shape_of_scan(inner))) for inner in top.blocks]
    return [what for _, what in sorted([*found, *blocks], key=lambda pair: pair[0])]


def shape_of_tree(body: "Tree[Token]") -> list[object]:
    found: dict[object, object] = {}
    for part in body.children:
        if isinstance(part, str) or part.data == "new_line_or_comment":
            continue
        inner = [child for child in part.children if not isinstance(child, str) and child.data != "new_line_or_comment"]
        if part.data == "attribute":
            name = str(next(iter(inner[0].scan_values(lambda _: True))))
            found.pop(name, None)  # the last of a name counts
            found[name] = ("=", name)
        else:
            names = [words(label) for label in inner if label.data in ("identifier", "string", "keyword")]
            found[id(part)] = (*names, shape_of_tree(next(child for child in inner if child.data == "body")))
    return list(found.values())


def words(label: "Tree[Token]") -> str:
    return "".join(label.scan_values(lambda token: str(token) != '"'))


@settings(max_examples=40, deadline=None)
@given(text=BODIES, ending=st.sampled_from(["\n", "\r\n"]))
def test_the_scan_finds_the_blocks_and_attributes_that_the_grammar_finds(text: str, ending: str) -> None:
    text = text.replace("\n", ending)
    tree = hcl2.parses_to_tree(text)
    found = scan(Document(str(Path("main.tf")), text.encode()))
    assert shape_of_scan(found) == shape_of_tree(tree.children[0])
