"""Memory edited in templates: where it is decided, one line a function, every other byte as it was."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from powertune.errors import BadInputError, UsageError
from powertune.model.configured import Edit
from powertune.templates import edit_memory, read_template
from powertune.templates.document import Document
from powertune.templates.patch import Replacement, patched, unified_diff

HEAD = """\
Parameters:
  Memory: {Type: Number, Default: 512, MinValue: 256, MaxValue: 2048}
  Listed: {Type: Number, Default: '512', AllowedValues: [512, '1024']}
  Shaped: {Type: String, Default: 512, AllowedPattern: '[0-9]{3}'}
  Odd: {Type: String, Default: 512, AllowedPattern: '\\p{Nd}++'}
  Bare: {Type: Number}
Mappings:
  Sizes: {dev: {Memory: 512}}
Conditions:
  Yes: !Equals [a, a]
Globals:
  Function: {MemorySize: 512}
Resources:
"""


def write(folder: Path, text: str, name: str = "template.yaml") -> str:
    path = folder / name
    path.write_bytes(text.encode())
    return str(path)


def function(name: str, *properties: str, kind: str = "AWS::Lambda::Function") -> str:
    """Return a function with these properties in block style."""
    lines = [f"  {name}:", f"    Type: {kind}", "    Properties:", *(f"      {line}" for line in properties)]
    return "".join(line + "\n" for line in lines)


def changes(edit: Edit) -> list[str]:
    """Return the lines that an edit takes away and adds."""
    before, after = (data.decode("utf-8", "surrogateescape").splitlines() for data in (edit.before, edit.after))
    return [line for line in difflib.ndiff(before, after) if line[0] in "+-"]


def edited(path: str, memory_mb: Mapping[str, int], **parameters: str) -> list[str]:
    """Edit one file in memory, check that it is the only one and reads back, and return the lines that changed."""
    [edit] = edit_memory(path, memory_mb, parameters=parameters)
    assert edit.file == Path(path).as_posix()
    assert edit.before == Path(path).read_bytes()
    Path(path).write_bytes(edit.after)
    found = {function.name: function.memory_mb.value for function in read_template(path)}
    assert found.items() >= memory_mb.items()
    return changes(edit)


@pytest.mark.parametrize(
    ("written", "after"),
    [
        ("MemorySize: 512", "MemorySize: 1024"),
        ("MemorySize:   512  # why", "MemorySize:   1024  # why"),
        ('MemorySize: "512"', 'MemorySize: "1024"'),
        ("'MemorySize': '512'", "'MemorySize': '1024'"),
        ("MemorySize: &size 512", "MemorySize: &size 1024"),
        ("MemorySize: !!int 512", "MemorySize: !!int 1024"),
        ("MemorySize: !If [Yes, 512, 128]", "MemorySize: !If [Yes, 1024, 128]"),
        ("MemorySize: !If [Yes, !Ref AWS::NoValue, 128]", "MemorySize: !If [Yes, 1024, 128]"),
        ("MemorySize: {'Fn::If': [Yes, {Ref: AWS::NoValue}, 128]}", "MemorySize: {'Fn::If': [Yes, 1024, 128]}"),
        ("MemorySize: !Select [0, [512, 128]]", "MemorySize: !Select [0, [1024, 128]]"),
    ],
)
def test_a_literal_is_replaced_in_the_way_it_is_written(tmp_path: Path, written: str, after: str) -> None:
    path = write(tmp_path, HEAD + function("A", "Handler: a.b", written, "Timeout: 512"))
    assert edited(path, {"A": 1024}) == [f"-       {written}", f"+       {after}"]


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("!Ref Memory", 1),
        ("!Sub '${Memory}'", 1),
        ("!Ref Listed", 2),
        ("!Ref Odd", 4),
        ("!FindInMap [Sizes, dev, Memory]", 7),
    ],
)
def test_a_size_is_edited_where_it_is_decided(tmp_path: Path, written: str, line: int) -> None:
    path = write(tmp_path, HEAD + function("A", f"MemorySize: {written}"))
    before = HEAD.splitlines()[line]
    assert edited(path, {"A": 1024}) == [f"- {before}", "+ " + before.replace("512", "1024", 1)]


def test_a_function_without_a_size_of_its_own_gets_one_line_beside_its_nearest_kin(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + function("A", "CodeUri: src", "# of the team", "Timeout: 5  # long", "Role: x"))
    assert edited(path, {"A": 1024}) == ["+       MemorySize: 1024"]
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    assert lines[lines.index("      MemorySize: 1024") - 1] == "      Timeout: 5  # long"


def test_a_size_from_globals_becomes_one_of_the_functions_own(tmp_path: Path) -> None:
    sam = "AWS::Serverless::Function"
    path = write(tmp_path, HEAD + function("A", "Handler: a.b", kind=sam) + function("B", "Handler: a.b", kind=sam))
    assert edited(path, {"A": 1024}) == ["+       MemorySize: 1024"]
    assert [found.memory_mb.value for found in read_template(path)] == [1024, 512]


@pytest.mark.parametrize(
    ("resource", "after"),
    [
        ("A: {Type: AWS::Lambda::Function}", "A: {Properties: {MemorySize: 1024}, Type: AWS::Lambda::Function}"),
        ("A: {Type: AWS::Lambda::Function, Properties: {}}", "Properties: {MemorySize: 1024}}"),
        ("A: {Type: AWS::Lambda::Function, Properties: &p {}}", "Properties: &p {MemorySize: 1024}}"),
        ("A: {Type: AWS::Lambda::Function, Properties: {Handler: a}}", "Properties: {MemorySize: 1024, Handler: a}}"),
        ('A: {Type: AWS::Lambda::Function, Properties: {"Handler":"a"}}', '{"MemorySize":1024,"Handler":"a"}}'),
        (
            "A: {Type: AWS::Lambda::Function, Properties: { Handler: a }}",
            "Properties: { MemorySize: 1024, Handler: a }}",
        ),
    ],
)
def test_maps_in_braces_are_written_as_they_are(tmp_path: Path, resource: str, after: str) -> None:
    path = write(tmp_path, f"Resources:\n  {resource}\n")
    before, now = edited(path, {"A": 1024})
    assert before == f"-   {resource}"
    assert now.endswith(after)


def test_properties_that_are_not_there_are_one_line(tmp_path: Path) -> None:
    text = "Resources:\n  A:\n    Type: AWS::Serverless::Function\n    Condition: Yes\n"
    path = write(tmp_path, text)
    assert edited(path, {"A": 1024}) == ["+     Properties: {MemorySize: 1024}"]


@pytest.mark.parametrize(
    "properties",
    [
        ["Code:", "  ZipFile: |", "    a", "    b"],
        ["Environment:", "  Variables:", "    A: b", "Handler: a.b"],
        ["Description: >-", "  long", "", "  text", "Tags: []"],
        ["Environment: {", "  Variables: {A: b}", "}"],
        ["<<: *common"],
        ["<<: *common", "Tags: []"],
    ],
)
def test_a_line_is_added_whatever_else_is_there(tmp_path: Path, properties: list[str]) -> None:
    common = "Common: &common {Handler: a.b}\n"
    path = write(tmp_path, common + "Resources:\n" + function("A", *properties) + function("B", "Handler: a.b"))
    assert edited(path, {"A": 1024}) == ["+       MemorySize: 1024"]
    assert [found.memory_mb.value for found in read_template(path)] == [1024, 128]


@pytest.mark.parametrize("indent", [None, 1, 2, "\t"])
@pytest.mark.parametrize("written", [{}, {"MemorySize": 512}, {"MemorySize": "512"}])
def test_json_is_edited_in_its_own_layout(tmp_path: Path, indent: int | str | None, written: dict[str, object]) -> None:
    properties = {"Code": {"S3Bucket": "a"}, "Handler": "a.b", **written, "Runtime": "x"}
    template = {"Resources": {"A": {"Type": "AWS::Lambda::Function", "Properties": properties}}}
    path = write(tmp_path, json.dumps(template, indent=indent), "A.template.json")
    lines = edited(path, {"A": 1024})
    assert json.loads(Path(path).read_text(encoding="utf-8"))["Resources"]["A"]["Properties"] == {
        **properties,
        "MemorySize": "1024" if written.get("MemorySize") == "512" else 1024,
    }
    assert len([line for line in lines if line.startswith("+")]) == 1
    assert len([line for line in lines if line.startswith("-")]) == (1 if written or indent is None else 0)


def test_line_endings_byte_order_mark_and_odd_bytes_stay(tmp_path: Path) -> None:
    text = HEAD + function("A", "Handler: a.b", "Runtime: x") + function("B", "MemorySize: 512")
    data = b"\xef\xbb\xbf# Gr\xfc\xdfe\r\n" + text.replace("\n", "\r\n").encode()[:-2]
    path = tmp_path / "template.yaml"
    path.write_bytes(data)
    [edit] = edit_memory(str(path), {"A": 1024, "B": 256})
    after = data.replace(b"      Runtime: x\r\n", b"      Runtime: x\r\n      MemorySize: 1024\r\n")
    assert edit.after == after[: -len(b"512")] + b"256"


def test_a_last_line_that_is_not_ended_stays_so(tmp_path: Path) -> None:
    path = write(tmp_path, ("Resources:\n" + function("A", "Handler: a.b"))[:-1])
    assert edited(path, {"A": 1024}) == ["+       MemorySize: 1024"]
    assert not Path(path).read_bytes().endswith(b"\n")


def test_nothing_is_edited_where_the_size_is_there_already(tmp_path: Path) -> None:
    sam = function("C", "Handler: a.b", kind="AWS::Serverless::Function")
    path = write(tmp_path, HEAD + function("A", "MemorySize: !Ref Memory") + function("B", "Timeout: 3") + sam)
    assert edit_memory(path, {"A": 512, "B": 128, "C": 512}) == ()


def test_all_functions_are_edited_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path, HEAD + function("A", "MemorySize: 1") + function("B", "Timeout: 3") + function("C", "Role: x")
    )
    [edit] = edit_memory(path, {"C": 256, "A": 1024, "B": 512})
    assert edit.changed == ("A", "B", "C")
    assert len([line for line in changes(edit) if line[0] == "+"]) == 3


@pytest.mark.parametrize("shared", ["!Ref Memory", "*size"])
def test_functions_that_share_a_size_are_named_when_it_changes(tmp_path: Path, shared: str) -> None:
    text = f"Size: &size 512\n{HEAD}" + function("A", f"MemorySize: {shared}") + function("B", f"MemorySize: {shared}")
    path = write(tmp_path, text)
    [edit] = edit_memory(path, {"B": 1024})
    assert edit.changed == ("A", "B")
    [edit] = edit_memory(path, {"A": 1024, "B": 1024})
    assert len([line for line in changes(edit) if line[0] == "+"]) == 1


@pytest.mark.parametrize("sizes", [{"A": 1024, "B": 256}, {"A": 512, "B": 1024}])
@pytest.mark.parametrize("shared", ["MemorySize: !Ref Memory", "MemorySize: *size", "<<: *common"])
def test_functions_that_share_a_size_and_want_two_are_refused_by_name(
    tmp_path: Path, shared: str, sizes: dict[str, int]
) -> None:
    head = "Size: &size 512\nCommon: &common {MemorySize: 512}\n" + HEAD
    path = write(tmp_path, head + function("A", shared) + function("B", shared))
    with pytest.raises(BadInputError, match=r"A and B share one memory size, and are to get [0-9]+ and [0-9]+ MB"):
        edit_memory(path, sizes)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("!Ref Bare", r"unresolved \(parameter Bare has no default\)"),
        ("!ImportValue a", r"unresolved \(Fn::ImportValue a\)"),
        ("!Join ['', [5, 12]]", "decided by Fn::Join"),
        ("!Select [0, !Split ['-', 512-1]]", "decided by Fn::Split"),
        ("[512]", "decided by what is no plain value"),
    ],
)
def test_what_cannot_be_edited_is_refused_with_the_line(tmp_path: Path, written: str, why: str) -> None:
    path = write(tmp_path, HEAD + function("A", f"MemorySize: {written}"))
    with pytest.raises(BadInputError, match=f"the memory of A is {why}, at line 17 of ") as caught:
        edit_memory(path, {"A": 1024})
    assert "by hand" in caught.value.hint


@pytest.mark.parametrize(
    ("written", "why"), [('"\\u0035\\u0031\\u0032"', "written in an unusual way"), ("512 MB", "no whole number")]
)
def test_a_number_that_is_written_oddly_is_refused(tmp_path: Path, written: str, why: str) -> None:
    path = write(tmp_path, HEAD + function("A", f"MemorySize: {written}"))
    with pytest.raises(BadInputError, match=f"the memory of A is {why}") as caught:
        edit_memory(path, {"A": 1024})
    assert "line 17 of" in caught.value.hint


@pytest.mark.parametrize(
    ("parameter", "memory", "constraint"),
    [
        ("Memory", 128, "MinValue"),
        ("Memory", 3008, "MaxValue"),
        ("Listed", 768, "AllowedValues"),
        ("Shaped", 1024, "AllowedPattern"),
    ],
)
def test_a_size_that_a_parameter_forbids_is_refused(
    tmp_path: Path, parameter: str, memory: int, constraint: str
) -> None:
    path = write(tmp_path, HEAD + function("A", f"MemorySize: !Ref {parameter}"))
    message = f"parameter {parameter} decides memory and does not allow {memory} MB: its {constraint} at line [2-4] of"
    with pytest.raises(BadInputError, match=message):
        edit_memory(path, {"A": memory})


def test_a_size_that_was_given_from_outside_is_not_the_templates_to_edit(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + function("A", "MemorySize: !Ref Memory"))
    with pytest.raises(BadInputError, match="decided by the value given for Memory"):
        edit_memory(path, {"A": 1024}, parameters={"Memory": "768"})


@pytest.mark.parametrize(
    "text",
    [
        "  A: {Type: AWS::Lambda::Function, Properties: }\n",
        "  A: {Type: AWS::Lambda::Function, Properties: {'Fn::Transform': {Name: AWS::Include}}}\n",
        "  'Fn::ForEach::X': [Name, [a], {A: {Type: AWS::Lambda::Function, Properties: {MemorySize: 512}}}]\n",
    ],
)
def test_properties_that_are_not_in_the_template_are_not_guessed(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, HEAD + text)
    with pytest.raises(BadInputError, match="the memory of A is "):
        edit_memory(path, {"A": 1024})


def test_an_edit_that_would_change_more_than_memory_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + function("A", "MemorySize: !Ref Memory", "Timeout: !Ref Memory"))
    with pytest.raises(BadInputError, match="what decides the memory of A decides more than that"):
        edit_memory(path, {"A": 1024})


def test_what_is_written_in_an_odd_way_is_refused_rather_than_broken(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + function("A", "? Handler", ": a.b"))
    with pytest.raises(BadInputError, match="is written in a way that cannot be edited"):
        edit_memory(path, {"A": 1024})


def test_an_edit_that_undoes_itself_is_refused(tmp_path: Path) -> None:
    condition = HEAD.replace("Yes: !Equals [a, a]", "Yes: !Equals [!Ref Memory, 512]")
    path = write(tmp_path, condition + function("A", "MemorySize: !If [Yes, !Ref Memory, 128]"))
    with pytest.raises(BadInputError, match="the memory of A cannot be set to 1024 MB"):
        edit_memory(path, {"A": 1024})


def test_a_variable_may_follow_the_memory(tmp_path: Path) -> None:
    path = write(
        tmp_path, HEAD + function("A", "MemorySize: !Ref Memory", "Environment: {Variables: {M: !Ref Memory}}")
    )
    assert len(edited(path, {"A": 1024})) == 2


def test_functions_are_named_as_the_template_or_aws_does(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + function("A", "FunctionName: live", "MemorySize: 512"))
    [edit] = edit_memory(path, {"live": 1024})
    assert edit.changed == ("A",)
    with pytest.raises(UsageError, match="there is no function B"):
        edit_memory(path, {"B": 1024})


def test_a_diff_is_what_git_shows(tmp_path: Path) -> None:
    path = write(tmp_path, "Resources:\n" + function("A", "MemorySize: 512", "Timeout: 3")[:-1])
    [edit] = edit_memory(path, {"A": 1024})
    assert unified_diff(Edit("t.yaml", edit.before, edit.after, edit.changed)) == (
        "--- a/t.yaml\n+++ b/t.yaml\n@@ -2,5 +2,5 @@\n   A:\n     Type: AWS::Lambda::Function\n     Properties:\n"
        "-      MemorySize: 512\n+      MemorySize: 1024\n       Timeout: 3\n\\ No newline at end of file\n"
    )


def test_a_diff_shows_no_control_character_but_the_ends_of_lines() -> None:
    edit = Edit("\x1b[2J", b"a\x1b]0;x\x07\r\nb\xff\xe2\x80\xae\r\tc\n", b"a\x1b]0;x\x07\r\nd\n", ())
    assert unified_diff(edit) == (
        "--- a/\\x1b[2J\n+++ b/\\x1b[2J\n@@ -1,2 +1,2 @@\n a\\x1b]0;x\\x07\r\n-b\\udcff\\u202e\\x0d\tc\n+d\n"
    )


def test_changes_that_touch_are_refused() -> None:
    document = Document("t.yaml", b"abcdef")
    same = Replacement(1, 3, "x")
    assert patched(document, [same, same, Replacement(5, 5, "-")]) == b"axde-f"
    with pytest.raises(ValueError, match="overlap"):
        patched(document, [same, Replacement(2, 4, "y")])


KEYS = st.sampled_from(["Handler", "Timeout", "Runtime", "Description", "Code", "Tags", "Role"])
VALUES = st.sampled_from(
    [
        "a.b",
        '"512"',
        "512 # 512",
        "!Sub '${Memory}'",
        "{A: [512, 1]}",
        "|\n        512\n        x",
        ">-\n\n        y\n",
        "",
        "[]",
    ]
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.dictionaries(KEYS, VALUES, min_size=1), st.booleans()), min_size=1, max_size=3),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.integers(129, 10_240),
)
def test_an_edit_changes_nothing_but_one_line_a_function(
    tmp_path_factory: pytest.TempPathFactory,
    functions: list[tuple[dict[str, str], bool]],
    ending: str,
    ended: bool,  # noqa: FBT001 - hypothesis gives it by position
    memory: int,
) -> None:
    text = HEAD
    for number, (properties, is_set) in enumerate(functions):
        lines = [f"{key}: {value}" for key, value in properties.items()]
        text += function(f"F{number}", *lines, *(["MemorySize: 100"] if is_set else []))
    text = text if ended else text.rstrip("\n")
    path = write(tmp_path_factory.mktemp("edit"), text.replace("\n", ending))
    [edit] = edit_memory(path, {f"F{number}": memory for number in range(len(functions))})
    before, after = edit.before.split(b"\n"), edit.after.split(b"\n")
    added = [
        line[2:]
        for line in difflib.ndiff([repr(line) for line in before], [repr(line) for line in after])
        if line[0] == "+"
    ]
    line = f"      MemorySize: {memory}".encode()
    assert len(added) == len(functions)
    assert set(added) <= {repr(line), repr(line + b"\r")}
    restored = [line.replace(str(memory).encode(), b"100") if b"MemorySize" in line else line for line in after]
    kept = iter(restored)
    assert all(line in kept for line in before), "what was there is there, in order"
