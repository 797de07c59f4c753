"""Where keys of a settings file stand: told of documents in which each number is the line it stands on."""

import tomllib
from collections.abc import Iterator
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from powertune.settings.lines import lines_of_keys

KEYS = st.sampled_from(
    ["plain", "with-dash_1", '"quoted key"', "'single # quoted'", r'"esc\"aped"', "a . b", "c.'d'.e"]
)
FILLERS = st.sampled_from(
    [
        "# a comment with ] }} = 'quotes",
        "",
        "\t",
        '{key} = """\n[not.a.table]\nx = 1 \\""" # "\n"""',
        "{key} = '''\nit''s\n'''",
        '{key} = "text with # ] and \\" in it"  # comment = 1',
        "{key} = 'C:\\'",
        "{key} = 1979-05-27 07:32:00",
        "{key} = [ 'x', # ]\n\n 1.5, ]",
    ]
)
NUMBERED = st.sampled_from(
    [
        "{key} = {line}",
        "{key} = {{ x = {line}, 'y y' = {{ z.z = {line} }} }} # comment",
        "{key} = [{line},{line},\n # comment ]\n [ {line2} ], {{ a = {line2} }},\n]",
        "[{key}]\nx = {line1}",
        "[[{key}]]\nx = {line1}\n[[ {key} ]]\ny = {line3}\n[{key}.inner]\nz = {line5}",
    ]
)


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


@given(st.lists(st.one_of(st.tuples(FILLERS, KEYS), st.tuples(NUMBERED, KEYS)), max_size=12))
def test_each_key_is_found_on_its_line(statements: list[tuple[str, str]]) -> None:
    numbers, lines = count(), [""]  # of each key a different one, so that any may follow any
    for template, key in statements:
        here = len("\n".join(lines).split("\n")) + 1
        own = f"k{next(numbers)}.{key}"
        lines.append(template.format(key=own, line=here, **{f"line{more}": here + more for more in range(1, 6)}))
    document = "\n".join(lines)
    found = lines_of_keys(document)
    numbered = [(path, value) for path, value in leaves(tomllib.loads(document)) if type(value) is int]
    assert [(path, found[path]) for path, _ in numbered] == numbered
