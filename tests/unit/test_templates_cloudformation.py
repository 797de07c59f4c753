"""Functions read from templates of CloudFormation, SAM and CDK: values, where they are written, what is unresolved."""

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from powertune.errors import BadInputError, UsageError
from powertune.model.configured import Configured, ConfiguredFunction
from powertune.templates import function_named, read_template

SAM = """\
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  Memory:
    Type: Number
    Default: 512
  Stage:
    Type: String
    Default: dev
  Secret:
    Type: AWS::SSM::Parameter::Value<String>
    Default: /app/memory
  Sizes:
    Type: CommaDelimitedList
    Default: 256, 1024
  Needed:
    Type: Number
Mappings:
  Sizes:
    dev: {Memory: 320, Timeout: "9"}
    prod: {Memory: 1536, Timeout: 20}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsBig: !Or [!Condition IsProd, !Equals [!Ref Memory, '512']]
  IsHere: !Equals [!Ref AWS::Region, eu-west-1]
  IsEither: !Or [!Condition IsHere, !Condition IsBig]
  IsBoth: !And [!Condition IsHere, !Not [!Condition IsBig]]
  Loop: !Not [!Condition Loop]
Resources:
"""


def read_all(folder: Path, text: str, name: str = "template.yaml", **given: str) -> tuple[ConfiguredFunction, ...]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_template(str(path), parameters=given)


def read_sam(folder: Path, properties: str, globals_: str = "", **given: str) -> ConfiguredFunction:
    """Read one function with these properties, one a line, and these properties of all functions."""
    text = SAM + f"  Orders:\n    Type: AWS::Serverless::Function\n    Properties:\n{lines(properties, 6)}"
    if globals_:
        text += f"Globals:\n  Function:\n{lines(globals_, 4)}"
    [function] = read_all(folder, text, **given)
    return function


def lines(text: str, indent: int) -> str:
    return "".join(f"{' ' * indent}{line}\n" for line in dedent(text).strip().splitlines())


def text_at(folder: Path, value: Configured[int] | Configured[float] | Configured[str]) -> str:
    """Return what is written where a value says that it is written, to the end of the line."""
    assert value.place is not None
    assert value.place.file == (folder / "template.yaml").as_posix()
    line = (folder / "template.yaml").read_text(encoding="utf-8").split("\n")[value.place.line - 1]
    return line[value.place.column - 1 :]


def test_a_function_is_read_with_all_that_a_run_needs(tmp_path: Path) -> None:
    function = read_sam(
        tmp_path,
        """
        FunctionName: orders-live
        Handler: app.handler
        Runtime: python3.12
        CodeUri: src/orders
        MemorySize: 768
        Timeout: 12
        Architectures: [arm64]
        EphemeralStorage: {Size: 2048}
        Environment:
          Variables:
            TABLE: orders
            LIMIT: 5
        """,
    )
    assert (function.name, function.kind, function.package_type) == ("Orders", "sam", "Zip")
    assert function.place.line == SAM.count("\n") + 1
    assert (function.memory_mb.value, function.timeout_s.value, function.ephemeral_storage_mb.value) == (768, 12, 2048)
    assert (function.architecture.value, function.runtime.value, function.handler.value) == (
        "arm64",
        "python3.12",
        "app.handler",
    )
    assert function.code_path.value == (tmp_path / "src/orders").as_posix()
    assert function.function_name.value == "orders-live"
    assert {name: value.value for name, value in function.environment.items()} == {"TABLE": "orders", "LIMIT": "5"}
    assert text_at(tmp_path, function.memory_mb) == "768"
    assert function.memory_mb.origin == "MemorySize"


def test_what_is_not_written_is_the_default_of_lambda(tmp_path: Path) -> None:
    function = read_sam(tmp_path, "Handler: app.handler")
    assert (function.memory_mb.value, function.timeout_s.value, function.ephemeral_storage_mb.value) == (128, 3, 512)
    assert function.architecture.value == "x86_64"
    assert function.memory_mb.origin == "default of Lambda"
    assert function.memory_mb.place is None
    assert function.runtime.value is None
    assert function.runtime.unresolved is None


def test_globals_hold_where_a_function_says_nothing(tmp_path: Path) -> None:
    function = read_sam(
        tmp_path,
        """
        Timeout: 7
        Environment: {Variables: {B: own, C: own}}
        Layers: [!Ref Own]
        Architectures: [x86_64]
        """,
        globals_="""
        MemorySize: 640
        Timeout: 30
        Architectures: [arm64]
        Environment: {Variables: {A: common, B: common}}
        Layers: ['arn:aws:lambda:eu-west-1:1:layer:a:1']
        """,
    )
    assert function.memory_mb.value == 640
    assert function.memory_mb.origin == "Globals.Function.MemorySize"
    assert text_at(tmp_path, function.memory_mb) == "640"
    assert function.timeout_s.value == 7
    assert function.architecture.value == "x86_64"
    values = {name: value.value for name, value in function.environment.items()}
    assert values == {"A": "common", "B": "own", "C": "own"}
    assert [layer.unresolved for layer in function.layers] == [
        "arn:aws:lambda:eu-west-1:1:layer:a:1 is in AWS",
        "Ref Own",
    ]


@pytest.mark.parametrize(("ignored", "memory"), [("'*'", 128), ("[MemorySize]", 128), ("[Timeout]", 640)])
def test_a_function_may_ignore_globals(tmp_path: Path, ignored: str, memory: int) -> None:
    text = (
        SAM
        + f"""\
  Orders:
    Type: AWS::Serverless::Function
    IgnoreGlobals: {ignored}
    Properties:
      Handler: app.handler
Globals:
  Function:
    MemorySize: 640
    Timeout: 9
"""
    )
    [function] = read_all(tmp_path, text)
    assert function.memory_mb.value == memory


def test_globals_are_for_functions_of_sam_alone(tmp_path: Path) -> None:
    text = SAM + "  Plain: {Type: AWS::Lambda::Function, Properties: {Handler: a.b}}\n"
    [function] = read_all(tmp_path, text + "Globals: {Function: {MemorySize: 640}}\n")
    assert function.memory_mb.value == 128


@pytest.mark.parametrize(
    ("written", "memory", "at", "origin"),
    [
        ("'512'", 512, "'512'", "MemorySize"),
        ("!Ref Memory", 512, "512", "default of parameter Memory"),
        ("{Ref: Memory}", 512, "512", "default of parameter Memory"),
        ("!Sub '${Memory}'", 512, "512", "default of parameter Memory"),
        ("!If [IsProd, 2048, 192]", 192, "192]", "Fn::If IsProd is false"),
        ("!If [IsBig, !Ref Memory, 192]", 512, "512", "default of parameter Memory"),
        ("!If [IsEither, 384, 192]", 384, "384, 192]", "Fn::If IsEither is true"),
        ("!If [IsBoth, 384, 192]", 192, "192]", "Fn::If IsBoth is false"),
        ("!FindInMap [Sizes, !Ref Stage, Memory]", 320, '320, Timeout: "9"}', "Mappings.Sizes.dev.Memory"),
        ("{'Fn::FindInMap': [Sizes, no, Memory, {DefaultValue: 448}]}", 448, "448}]}", "default of Fn::FindInMap"),
        ("!Select [1, [128, 896]]", 896, "896]]", "Fn::Select"),
        ("!Select [1, !Ref Sizes]", 1024, "256, 1024", "default of parameter Sizes"),
        ("!Join ['', [5, 12]]", 512, "['', [5, 12]]", "Fn::Join"),
        ("!Select [0, !Split ['-', 640-a]]", 640, "640-a]]", "Fn::Split"),
        ("!Sub ['${A}12', {A: 5}]", 512, "['${A}12', {A: 5}]", "Fn::Sub"),
        ("!!int '512'", 512, "'512'", "MemorySize"),
    ],
)
def test_expressions_come_to_what_the_template_makes_of_them(
    tmp_path: Path, written: str, memory: int, at: str, origin: str
) -> None:
    function = read_sam(tmp_path, f"MemorySize: {written}")
    assert function.memory_mb.value == memory
    assert function.memory_mb.unresolved is None
    assert function.memory_mb.origin == origin
    assert text_at(tmp_path, function.memory_mb) == at


@pytest.mark.parametrize("written", ["!Ref AWS::NoValue", "!If [IsProd, 2048, !Ref AWS::NoValue]"])
def test_no_value_leaves_the_default_of_lambda(tmp_path: Path, written: str) -> None:
    function = read_sam(tmp_path, f"MemorySize: {written}", globals_="MemorySize: 640")
    assert (function.memory_mb.value, function.memory_mb.origin) == (128, "default of Lambda")


def test_a_dollar_that_is_meant_stays(tmp_path: Path) -> None:
    function = read_sam(tmp_path, "Environment: {Variables: {A: !Sub '${!Stage} ${Stage} $5', B: !Sub '${!Stage}'}}")
    assert {name: value.value for name, value in function.environment.items()} == {
        "A": "${Stage} dev $5",
        "B": "${Stage}",
    }


def test_parameters_that_are_given_go_before_their_defaults(tmp_path: Path) -> None:
    function = read_sam(tmp_path, "MemorySize: !Ref Memory\nTimeout: !If [IsProd, 20, 5]", Memory="1024", Stage="prod")
    assert (function.memory_mb.value, function.timeout_s.value) == (1024, 20)
    assert function.memory_mb.place is None
    assert function.memory_mb.origin == "the value given for Memory"


def test_a_parameter_that_is_not_there_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_sam(tmp_path, "MemorySize: 128", Memry="1024")
    assert caught.value.message == "the template has no parameter Memry"
    assert caught.value.hint.startswith("did you mean Memory")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("!ImportValue shared-memory", "Fn::ImportValue shared-memory"),
        ("!GetAtt Other.Memory", "Fn::GetAtt Other.Memory"),
        ("!Ref Needed", "parameter Needed has no default"),
        ("!Ref Secret", "parameter Secret, which Systems Manager holds"),
        ("!Ref AWS::Region", "Ref AWS::Region"),
        ("!Ref Nothing", "Ref Nothing"),
        ("'{{resolve:ssm:/app/memory:1}}'", "dynamic reference ssm:/app/memory:1"),
        ("!If [IsHere, 1, 2]", "Fn::If IsHere: Ref AWS::Region"),
        ("!If [Missing, 1, 2]", "Fn::If Missing: there is no condition Missing"),
        ("!If [Loop, 1, 2]", "Fn::If Loop: condition Loop needs itself"),
        ("!FindInMap [Sizes, !Ref AWS::Region, Memory]", "Fn::FindInMap with Ref AWS::Region"),
        ("!FindInMap [Sizes, no, Memory]", "Fn::FindInMap Sizes.no.Memory"),
        ("!Join ['', [5, !Ref AWS::Region]]", "Fn::Join of Ref AWS::Region"),
        ("!Sub '${AWS::Region}12'", "Fn::Sub of ${AWS::Region}"),
        ("!Sub 12x", "Fn::Sub is 12x, which is no memory size in MB from 128 to 10240"),
        ("!Select [7, [128]]", "Fn::Select"),
        ("!Whatever 512", "Fn::Whatever"),
        ("!Whatever {A: [512]}", "Fn::Whatever"),
        ("{'Fn::Transform': {Name: Macro}}", "Fn::Transform"),
        ("512 MB", "MemorySize is 512 MB, which is no memory size in MB from 128 to 10240"),
        ("[512]", "MemorySize is no plain value"),
        ("", "MemorySize is nothing"),
    ],
)
def test_what_cannot_be_resolved_says_why(tmp_path: Path, written: str, why: str) -> None:
    function = read_sam(tmp_path, f"MemorySize: {written}\nTimeout: 5")
    assert function.memory_mb.value is None
    assert function.memory_mb.unresolved == why
    assert function.memory_mb.place is not None
    assert function.timeout_s.value == 5


def test_what_an_include_may_set_is_unresolved(tmp_path: Path) -> None:
    include = "Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://a/b.yaml}}"
    function = read_sam(tmp_path, f"Timeout: 5\n{include}")
    assert function.timeout_s.value == 5
    assert function.memory_mb.unresolved == "Fn::Transform AWS::Include"


def test_what_an_include_may_set_goes_before_globals(tmp_path: Path) -> None:
    include = "Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://a/b.yaml}}"
    function = read_sam(tmp_path, f"Timeout: 5\n{include}", globals_="MemorySize: 640")
    assert function.memory_mb.unresolved == "Fn::Transform AWS::Include"
    assert (function.environment, function.environment_unresolved) == ({}, "Fn::Transform AWS::Include")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("!If [IsHere, {Variables: {A: b}}, {}]", "Fn::If IsHere: Ref AWS::Region"),
        ("{Variables: !ImportValue all}", "Fn::ImportValue all"),
        ("!Ref AWS::NoValue", None),
        ("{Variables: {}}", None),
        ("{Variabels: {A: b}}", None),
        ("", None),
    ],
)
def test_variables_that_may_be_there_are_said(tmp_path: Path, written: str, why: str | None) -> None:
    function = read_sam(tmp_path, f"Environment: {written}")
    assert (function.environment, function.environment_unresolved) == ({}, why)


@pytest.mark.parametrize(
    "written",
    ["!Base64 hunter2", "!Whatever hunter2", "!Sub [hunter2]", "!Join [',', hunter2]", "!Split [hunter2]", "[hunter2]"],
)
def test_why_a_variable_is_unresolved_does_not_tell_what_it_may_hold(tmp_path: Path, written: str) -> None:
    password = read_sam(tmp_path, f"Environment: {{Variables: {{PASSWORD: {written}}}}}").environment["PASSWORD"]
    assert password.unresolved
    assert "hunter2" not in password.unresolved + password.origin


def test_functions_made_by_a_loop_are_named_and_unresolved(tmp_path: Path) -> None:
    text = (
        SAM
        + """\
  'Fn::ForEach::Each':
    - Name
    - [A, B]
    - 'Handler${Name}':
        Type: AWS::Lambda::Function
        Properties: {MemorySize: 512}
      Role${Name}: {Type: AWS::IAM::Role}
"""
    )
    [function] = read_all(tmp_path, text)
    assert function.name == "Handler${Name}"
    assert function.memory_mb.value is None
    assert function.memory_mb.unresolved == "Fn::ForEach::Each"


def test_anchors_and_merge_keys_are_followed_to_what_is_written(tmp_path: Path) -> None:
    text = """\
Resources:
  First:
    Type: AWS::Lambda::Function
    Properties: &common
      MemorySize: &size 832
      Timeout: 4
  Second:
    Type: AWS::Lambda::Function
    Properties:
      <<: *common
      Timeout: 5
  Third:
    Type: AWS::Lambda::Function
    Properties: {MemorySize: *size, <<: [*common]}
"""
    functions = read_all(tmp_path, text)
    assert [function.memory_mb.value for function in functions] == [832, 832, 832]
    assert [function.timeout_s.value for function in functions] == [4, 5, 4]
    assert {text_at(tmp_path, function.memory_mb) for function in functions} == {"832"}
    assert [function.kind for function in functions] == ["cloudformation"] * 3


@pytest.mark.parametrize(
    ("properties", "value", "why"),
    [
        ("CodeUri: ./src/", "src", None),
        ("CodeUri: !Sub 'src/${Stage}'", "src/dev", None),
        ("CodeUri: s3://bucket/key.zip", None, "s3://bucket/key.zip is elsewhere"),
        ("CodeUri: {Bucket: a, Key: b}", None, "CodeUri is in S3"),
        ("CodeUri: !Ref Needed", None, "parameter Needed has no default"),
        ("InlineCode: 'exports = 1'", None, "the code is in the template"),
        ("Handler: a.b", None, None),
    ],
)
def test_code_is_where_it_is_beside_the_template(
    tmp_path: Path, properties: str, value: str | None, why: str | None
) -> None:
    code = read_sam(tmp_path, properties).code_path
    assert code.value == (value and (tmp_path / value).as_posix())
    assert code.unresolved == why


def test_an_image_has_no_handler_and_no_folder(tmp_path: Path) -> None:
    function = read_sam(tmp_path, "PackageType: Image\nImageUri: orders:latest\nMemorySize: 512")
    assert function.package_type == "Image"
    assert (function.handler.value, function.code_path.value, function.runtime.value) == (None, None, None)
    assert (function.handler.unresolved, function.memory_mb.value) == (None, 512)


def test_a_layer_of_the_template_is_its_folder(tmp_path: Path) -> None:
    text = (
        SAM
        + """\
  Shared: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layers/shared}}
  Orders:
    Type: AWS::Serverless::Function
    Properties: {Layers: [!Ref Shared, !If [IsProd, !Ref Shared, !Ref AWS::NoValue]]}
"""
    )
    [function] = read_all(tmp_path, text)
    assert [layer.value for layer in function.layers] == [(tmp_path / "layers/shared").as_posix()]


def cdk(properties: Mapping[str, object]) -> str:
    resource = {
        "Type": "AWS::Lambda::Function",
        "Properties": {"Code": {"S3Bucket": {"Fn::Sub": "cdk-${AWS::AccountId}"}, "S3Key": "9f.zip"}, **properties},
        "Metadata": {
            "aws:cdk:path": "Shop/Orders/Resource",
            "aws:asset:path": "asset.9f",
            "aws:asset:property": "Code",
        },
    }
    return json.dumps({"Resources": {"OrdersA1B2": resource}}, indent=1)


def test_a_template_of_cdk_names_the_folder_of_its_asset(tmp_path: Path) -> None:
    text = cdk({"MemorySize": 896, "Handler": "index.handler", "Environment": {"Variables": {"A": "\ud83d\ude00"}}})
    [function] = read_all(tmp_path, text, "Shop.template.json")
    assert (function.name, function.kind) == ("OrdersA1B2", "cdk")
    assert function.memory_mb.value == 896
    assert function.code_path.value == (tmp_path / "asset.9f").as_posix()
    assert function.environment["A"].value == "😀"
    place = function.memory_mb.place
    assert place is not None
    assert text.split("\n")[place.line - 1][place.column - 1 :].startswith("896")


def test_a_template_of_cdk_without_metadata_is_looked_up_in_the_manifest_of_assets(tmp_path: Path) -> None:
    code = {"Code": {"S3Bucket": {"Fn::Sub": "cdk-${AWS::Region}"}, "S3Key": "9f.zip"}}
    parameters = {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk-bootstrap/v"}}
    resources = {"Orders": {"Type": "AWS::Lambda::Function", "Properties": code}}
    text = json.dumps({"Parameters": parameters, "Resources": resources})
    [function] = read_all(tmp_path, text, "Shop.template.json")
    assert (function.kind, function.code_path.unresolved) == ("cdk", "Code is in S3")
    file = {"source": {"path": "asset.9f", "packaging": "zip"}, "destinations": {"here": {"objectKey": "9f.zip"}}}
    (tmp_path / "Shop.assets.json").write_text(json.dumps({"files": {"9f": file}}), encoding="utf-8")
    [function] = read_all(tmp_path, text, "Shop.template.json")
    assert function.code_path.value == (tmp_path / "asset.9f").as_posix()
    (tmp_path / "Shop.assets.json").write_text("{", encoding="utf-8")
    [function] = read_all(tmp_path, text, "Shop.template.json")
    assert function.code_path.value is None


def test_functions_come_in_the_order_of_the_file_and_others_are_left_out(tmp_path: Path) -> None:
    text = "Resources:\n" + "".join(
        f"  {name}: {{Type: {kind}}}\n"
        for name, kind in [
            ("Z", "AWS::Lambda::Function"),
            ("Role", "AWS::IAM::Role"),
            ("A", "AWS::Serverless::Function"),
            ("Nested", "AWS::CloudFormation::Stack"),
            ("Broken", "[x]"),
        ]
    )
    assert [function.name for function in read_all(tmp_path, text)] == ["Z", "A"]


def test_json_tabs_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "any.template"
    path.write_bytes('\ufeff{\r\n\t"Resources": {"A": {"Type": "AWS::Lambda::Function",\r\n\t"Properties":'
                     ' {"MemorySize": "256"}}}}'.encode())  # fmt: skip
    [function] = read_template(str(path))
    assert function.memory_mb.value == 256
    assert function.memory_mb.place is not None
    assert function.memory_mb.place.line == 3


def test_bytes_that_are_no_utf8_do_no_harm_in_comments(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(
        b"# Gr\xfc\xdfe\nResources:\n  A:\n    Type: AWS::Lambda::Function\n    Properties: {MemorySize: 256}\n"
    )
    [function] = read_template(str(path))
    assert function.memory_mb.value == 256
    assert function.memory_mb.place is not None
    assert (function.memory_mb.place.line, function.memory_mb.place.column) == (5, 30)


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijklm", "bcdefghijklmn", strict=True)
)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yaml", b"", "is empty"),
        ("a.yaml", b"just text", "is no template"),
        ("a.yaml", b"- a\n- b\n", "is no template"),
        ("a.yaml", b"some: map\n", "is no template"),
        ("a.yaml", b"a: [1\n", "is no YAML"),
        ("a.yaml", b"a: b\n---\nc: d\n", "more than one YAML document"),
        ("a.yaml", b"a: 1\na: 2\n", "the key a twice in one map: line 2, column 1"),
        ("a.yaml", b"? [a]\n: 1\n", "a key that is no text"),
        ("a.yaml", b"a: *gone\n", "an alias *gone of what is not there yet"),
        ("a.yaml", b"a: &a [*a]\n", "an alias *a of what is not there yet"),
        ("a.yaml", b"<<: 1\n", "merges with << what is no map"),
        ("a.yaml", b"[" * 900, "nests deeper than 200 levels"),
        ("a.yaml", b"[" * 100_000, "nest"),
        ("a.yaml", b"Resources: \x01\n", "is no YAML"),
        ("a.yaml", b"\x7fELF\0\0", "is no UTF-8 text"),
        ("a.yaml", "Resources: {}".encode("utf-16"), "is no UTF-8 text"),
        ("a.json", b"[" * 100_000, "nests deeper than 200 levels"),
        ("a.json", b'{"Resources": {"a": 1, "a": 2}}', "the key a twice in one map: line 1, column 24"),
        ("a.json", b'{"Resources": {},}', "is no JSON, which has a key in double quotes here: line 1, column 18"),
        ("a.json", b'{"Resources": {}} 1', "is no JSON, which ends here: line 1, column 19"),
        ("a.json", b"Resources: {}", "is no JSON, which has a value here: line 1, column 1"),
    ],
)
def test_what_is_no_template_is_bad_input_with_the_place(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=f"{name} .*" + words.replace("*", r"\*")) as caught:
        read_template(str(path))
    assert caught.value.hint


def test_a_file_that_is_far_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as stream:
        stream.truncate(100 * 1024 * 1024)
    with pytest.raises(BadInputError, match="is larger than 16 MB"):
        read_template(str(path))


@pytest.mark.parametrize("name", ["missing.yaml", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_bad_input(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError):
        read_template(str(tmp_path / name))


def test_aliases_of_aliases_are_gone_through_once(tmp_path: Path) -> None:
    joins = "a0: &a0 !Join ['', [x, x]]\n"
    joins += "".join(f"a{n}: &a{n} !Join ['', [*a{n - 1}, *a{n - 1}]]\n" for n in range(1, 60))
    function_ = "{Type: AWS::Lambda::Function, Properties: {Runtime: *a59, MemorySize: 512}}"
    text = f"{joins}Resources: {{F: {function_}}}\n"
    [function] = read_all(tmp_path, text)
    assert function.memory_mb.value == 512
    assert function.runtime.unresolved is not None
    assert "more than 65,536 characters" in function.runtime.unresolved
    [function] = read_all(tmp_path, BOMB + "Resources: {F: {Type: AWS::Lambda::Function, Properties: {Layers: *n}}}\n")
    assert [layer.value for layer in function.layers] == [None, None]


@pytest.mark.parametrize("text", ["{{resolve:", "${", "${A", "a,", "x"])
def test_texts_without_end_are_not_gone_through(tmp_path: Path, text: str) -> None:
    long = text * (400_000 // len(text))
    properties = {
        "Timeout": {"Fn::Sub": long},
        "Runtime": long,
        "Handler": {"Fn::Select": [0, {"Fn::Split": [",", long]}]},
        "FunctionName": {"Fn::Select": [0, {"Ref": "Long"}]},
        "MemorySize": 512,
    }
    template = {
        "Parameters": {"Long": {"Type": "CommaDelimitedList", "Default": long}},
        "Resources": {"A": {"Type": "AWS::Lambda::Function", "Properties": properties}},
    }
    [function] = read_all(tmp_path, json.dumps(template), "a.json")
    assert function.memory_mb.value == 512
    for value in (function.timeout_s, function.runtime, function.handler, function.function_name):
        assert "more than 65,536 characters" in str(value.unresolved)


def test_conditions_of_aliases_are_gone_through_once(tmp_path: Path) -> None:
    either = "a0: &a0 !Equals [a, b]\n" + "".join(f"a{n}: &a{n} !Or [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 80))
    function = "{Type: AWS::Lambda::Function, Properties: {MemorySize: !If [C, 256, 512]}}"
    [found] = read_all(tmp_path, f"{either}Conditions: {{C: *a79}}\nResources: {{F: {function}}}\n")
    assert found.memory_mb.value == 512


@pytest.mark.parametrize("call", ["'Fn::Sub': *text", "'Fn::Join': ['', *items]"])
def test_expressions_over_the_same_texts_and_lists_are_bounded(tmp_path: Path, call: str) -> None:
    held = f"text: &text {'x' * 60_000}\nitems: &items [{'x,' * 60_000}]\n"
    variables = ", ".join(f"V{n}: {{{call}}}" for n in range(40))
    properties = f"{{Environment: {{Variables: {{{variables}}}}}}}"
    text = f"{held}Resources: {{F: {{Type: AWS::Lambda::Function, Properties: {properties}}}}}\n"
    [function] = read_all(tmp_path, text)
    assert function.environment["V0"].value == "x" * 60_000
    assert "more than 1,000,000 items and characters" in str(function.environment["V39"].unresolved)


def test_values_that_many_functions_share_are_bounded(tmp_path: Path) -> None:
    variables = ", ".join(f"V{n}: {n}" for n in range(2000))
    functions = "".join(f"  F{n}: {{Type: AWS::Serverless::Function, Properties: *p}}\n" for n in range(150))
    aliased = f"p: &p {{Environment: {{Variables: {{{variables}}}}}}}\nResources:\n{functions}"
    bomb = "a0: &a0 {x: y}\n" + "".join(f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}\n" for n in range(1, 40))
    merged = f"{bomb}Globals: {{Function: *a39}}\nResources:\n{functions.replace('*p', '*a38')}"
    for text in (aliased, merged):
        with pytest.raises(BadInputError, match="more than 200,000 values in all its functions: line"):
            read_all(tmp_path, text)


def test_merges_without_end_are_refused(tmp_path: Path) -> None:
    wide = "a: &a {" + ", ".join(f"k{n}: 1" for n in range(2000)) + "}\n"
    with pytest.raises(BadInputError, match="merges more than 100,000 entries"):
        read_all(tmp_path, wide + "".join(f"m{n}: {{<<: *a}}\n" for n in range(1000)))


def test_conditions_in_a_long_chain_are_unresolved(tmp_path: Path) -> None:
    chain = "".join(f"  C{n}: !Condition C{n + 1}\n" for n in range(5000))
    text = f"Conditions:\n{chain}Resources:\n  F:\n    Type: AWS::Lambda::Function\n"
    [function] = read_all(tmp_path, text + "    Properties: {MemorySize: !If [C0, 1, 2], Timeout: 4}\n")
    assert "nest deeper than 100 levels" in str(function.memory_mb.unresolved)
    assert function.timeout_s.value == 4


def two(folder: Path) -> tuple[ConfiguredFunction, ...]:
    return read_all(
        folder,
        "Resources:\n  Orders: {Type: AWS::Lambda::Function, Properties: {FunctionName: orders-live}}\n"
        "  Invoices: {Type: AWS::Lambda::Function}\n",
    )


def test_a_function_is_found_by_the_name_in_the_template_or_in_aws(tmp_path: Path) -> None:
    functions = two(tmp_path)
    assert function_named(functions, "Invoices", path="t.yaml") is functions[1]
    assert function_named(functions, "orders-live", path="t.yaml") is functions[0]
    assert function_named(functions[:1], None, path="t.yaml") is functions[0]


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        (None, "t.yaml holds 2 functions", "choose one with --function: Orders, Invoices"),
        ("Order", "there is no function Order in t.yaml", "did you mean Orders?"),
        ("\x1b[2J", "there is no function \\x1b[2J in t.yaml", "choose one with --function: Orders, Invoices"),
    ],
)
def test_a_name_that_fits_no_function_gets_those_that_are_there(
    tmp_path: Path, name: str | None, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        function_named(two(tmp_path), name, path="t.yaml")
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_template_without_functions_says_so() -> None:
    with pytest.raises(UsageError, match="there is no Lambda function"):
        function_named((), None, path="t.yaml")
