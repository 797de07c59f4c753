"""Functions read from serverless.yml, and their memory edited: defaults, variables, files, and what is unresolved."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from powertune.errors import BadInputError, UsageError
from powertune.model.configured import Configured, ConfiguredFunction, Place
from powertune.templates import edit_memory, read_template

HEAD = """\
service: shop
provider:
  name: aws
  runtime: python3.12
"""


def write(folder: Path, text: str, name: str = "serverless.yml") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return str(path)


def read_one(folder: Path, function: str, more: str = "", stage: str | None = None, **given: str) -> ConfiguredFunction:
    """Read a service with one function, whose settings are written one a line."""
    path = write(folder, HEAD + dedent(more) + "functions:\n  orders:\n" + indented(function, 4))
    [found] = read_template(path, parameters=given, stage=stage)
    return found


def indented(text: str, width: int) -> str:
    return "".join(f"{' ' * width}{line}\n" for line in dedent(text).strip().splitlines())


def written_at(value: Configured[int] | Configured[float] | Configured[str]) -> str:
    """Return what is written from where a value says it is, to the end of the line."""
    assert value.place is not None
    line = Path(value.place.file).read_text(encoding="utf-8").splitlines()[value.place.line - 1]
    return line[value.place.column - 1 :]


def changed_lines(path: str, memory_mb: Mapping[str, int], **given: str) -> list[str]:
    """Edit the one file that changes, and return the lines that it loses and gains."""
    [edit] = edit_memory(path, memory_mb, parameters=given)
    before, after = edit.before.decode(), edit.after.decode()
    assert edit.before == Path(edit.file).read_bytes()
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


def test_a_function_goes_before_the_provider_and_that_before_the_default(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
service: shop
provider: {name: aws, runtime: python3.12, memorySize: 512, architecture: arm64}
functions:
  own: {handler: a.b, memorySize: 256, architecture: x86_64, timeout: 30, ephemeralStorageSize: 2048}
  common: {handler: src/a.b}
""",
    )
    own, common = read_template(path)
    assert (own.memory_mb.value, own.memory_mb.origin) == (256, "memorySize")
    assert (own.architecture.value, own.timeout_s.value, own.ephemeral_storage_mb.value) == ("x86_64", 30.0, 2048)
    assert (common.memory_mb.value, common.memory_mb.origin) == (512, "provider.memorySize")
    assert (common.architecture.value, common.timeout_s.value, common.ephemeral_storage_mb.value) == ("arm64", 6.0, 512)
    assert common.timeout_s.place is None
    assert (common.runtime.value, common.handler.value) == ("python3.12", "src/a.b")
    assert common.function_name.value == "shop-dev-common"
    assert common.code_path.value == tmp_path.as_posix()
    assert common.place == Place(path, 5, 3)


def test_without_any_memory_a_function_has_the_default_of_serverless(tmp_path: Path) -> None:
    memory = read_one(tmp_path, "handler: a.b").memory_mb
    assert memory == Configured(1024, None, "default of Serverless")


@pytest.mark.parametrize(
    ("memory", "given", "value", "written"),
    [
        ("${self:custom.size}", {}, 300, "300 # here"),
        ("${self:custom.sizes.${sls:stage}}", {}, 512, "512"),
        ("${self:custom.sizes.${opt:stage, 'dev'}}", {"stage": "prod"}, 2048, "2048"),
        ("${self:custom.sizes.${self:provider.stage}}", {}, 512, "512"),
        ("${self:custom.sizes.test, self:custom.size}", {}, 300, "300 # here"),
        ("${self:custom.list.1}", {}, 640, "640"),
        ("${self:custom.aliased}", {}, 300, "300 # here"),
        ("${opt:memory, 448}", {}, 448, "448}"),
        ("'${opt:memory, \"448\"}'", {}, 448, "448\"}'"),
        ("${opt:memory, ${self:custom.size}}", {}, 300, "300 # here"),
        ("${param:memory}", {}, 384, "384"),
        ("${param:memory}", {"stage": "prod"}, 1536, "1536"),
        ("${file(sizes.yml):small}", {}, 192, "192"),
        ("${file(./sizes-${sls:stage}.json):memory.api}", {}, 896, "896}}"),
        ("${file(missing.yml):x, 256}", {}, 256, "256}"),
        ("${env:POWERTUNE_TEST_MISSING, '768'}", {}, 768, "768'}"),
        ("${self:provider.stage}00", {"stage": "5"}, 500, "${self:provider.stage}00"),
        ("${self:provider.stage, '256'}", {}, 256, "256'}"),
        ("1${self:custom.zeroes}", {}, 1000, "1${self:custom.zeroes}"),
    ],
)
def test_variables_lead_to_the_text_that_decides(
    tmp_path: Path, memory: str, given: dict[str, str], value: int, written: str
) -> None:
    write(tmp_path, "small: 192\n", "sizes.yml")
    write(tmp_path, '{"memory": {"api": 896}}', "sizes-dev.json")
    more = """\
    custom:
      size: &size 300 # here
      aliased: *size
      sizes:
        dev: 512
        prod: 2048
      list: [128, 640]
      zeroes: "000"
    params:
      default:
        memory: 384
      prod:
        memory: 1536
    """
    function = read_one(tmp_path, f"memorySize: {memory}", more, stage=given.get("stage"))
    assert (function.memory_mb.value, function.memory_mb.unresolved) == (value, None)
    assert written_at(function.memory_mb).removesuffix(",").removesuffix("]") == written


@pytest.mark.parametrize("option", ["memory", "size"])
def test_a_given_option_or_parameter_decides_and_has_no_place(tmp_path: Path, option: str) -> None:
    memory = "${opt:memory, ${param:size, 128}}"
    found = read_one(tmp_path, f"memorySize: {memory}", stage=None, **{option: "2048"}).memory_mb
    assert (found.value, found.place) == (2048, None)


def test_the_environment_decides_as_it_does_for_serverless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTUNE_TEST_MEMORY", "320")
    found = read_one(tmp_path, "memorySize: ${env:POWERTUNE_TEST_MEMORY, 128}").memory_mb
    assert found == Configured(320, None, "environment variable POWERTUNE_TEST_MEMORY")


@pytest.mark.parametrize(
    ("file", "version", "value"),
    [
        (".env", "4", None),
        (".env.dev", "", None),
        (".env", "'3'\nuseDotenv: true", None),
        (".env", "^3.38", 512),
        (".env.example", "4", 512),
    ],
)
def test_a_variable_that_serverless_finds_in_a_file_is_not_taken_for_missing(
    tmp_path: Path, file: str, version: str, value: int | None
) -> None:
    (tmp_path / ".envs").mkdir()
    write(tmp_path, "\0POWERTUNE_TEST_MEMORY=1", ".env.gpg")
    write(tmp_path, "# sizes\nexport POWERTUNE_TEST_MEMORY=2048\nSECRET=x\n", file)
    more = f"frameworkVersion: {version}\n"
    found = read_one(tmp_path, "memorySize: ${env:POWERTUNE_TEST_MEMORY, 512}", more).memory_mb
    assert found.value == value
    assert found.unresolved == (None if value else f"env:POWERTUNE_TEST_MEMORY is set in {file}, which is not read")
    assert read_one(tmp_path, "memorySize: ${env:POWERTUNE_TEST_OTHER, 640}", more).memory_mb.value == 640


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no option or parameter memroy"):
        read_one(tmp_path, "memorySize: ${opt:memory, 128}", memroy="256")


@pytest.mark.parametrize(
    ("memory", "why"),
    [
        ("${ssm:/app/memory}", "${ssm:/app/memory} is known at deployment only"),
        ("${ssm:/app/memory, 512}", "${ssm:/app/memory} is known at deployment only"),
        ("${cf:stack.Memory}", "known at deployment only"),
        ("${s3:bucket/key}", "known at deployment only"),
        ("${aws:accountId}", "known at deployment only"),
        ("!Ref Memory", "Ref Memory is known at deployment only"),
        ("{Ref: Memory}", "Ref Memory is known at deployment only"),
        ("${file(sizes.js):small}", "file(sizes.js) is neither YAML nor JSON"),
        ("${file(broken.yml):small}", "file(broken.yml) cannot be read"),
        ("${file(../secret.yml):small}", "file(../secret.yml) is outside of the project"),
        ("${file(/etc/passwd):small}", "file(/etc/passwd) is neither YAML nor JSON"),
        ("${file(link.yml):small}", "file(link.yml) is outside of the project"),
        ("${self:custom.nothing}", "nothing sets ${self:custom.nothing}"),
        ("${self:custom.loop}", "leads too far, or back to itself"),
        ("${self:functions.orders.memorySize}", "leads too far, or back to itself"),
        ("x${self:custom.map}", "${self:custom.map} is no text"),
        ("${self:custom.map}", "custom.map is a list or map"),
        ("${self:custom.map", "is not ended by a brace"),
        ("${1:2}", "is not understood"),
        ("plenty", "memorySize is plenty, which is no memory size in MB from 128 to 10240"),
        ("64", "memorySize is 64, which is no memory size"),
        ("512.5", "memorySize is 512.5, which is no memory size"),
    ],
)
def test_what_cannot_be_resolved_is_said_with_its_place(tmp_path: Path, memory: str, why: str) -> None:
    folder = tmp_path / "service"
    write(folder, "small: [", "broken.yml")
    write(tmp_path, "small: 192", "secret.yml")
    (folder / "link.yml").symlink_to(tmp_path / "secret.yml")
    more = "custom: {loop: '${self:custom.pool}', pool: 'a${self:custom.loop}', map: {a: 1}}\n"
    found = read_one(folder, f"memorySize: {memory}", more).memory_mb
    assert found.value is None
    assert found.unresolved is not None
    assert why in found.unresolved
    assert found.place is not None


def test_a_file_of_the_same_repository_is_read_above_the_service(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    write(tmp_path, "memory: 1152\n", "common.yml")
    found = read_one(tmp_path / "services" / "shop", "memorySize: ${file(../../common.yml):memory}").memory_mb
    assert (found.value, found.place) == (1152, Place((tmp_path / "common.yml").as_posix(), 1, 9))


def test_functions_in_files_of_their_own_have_their_places_there(tmp_path: Path) -> None:
    write(tmp_path, "a:\n  handler: a.b\n  memorySize: 192\n", "one.yml")
    write(tmp_path, "b:\n  handler: a.b\n", "two.yml")
    more = "functions:\n  - ${file(one.yml)}\n  - ${file(two.yml)}\n  - c: ${file(one.yml):a}\n  - ${file(more.js)}\n"
    a, b, c, unknown = read_template(write(tmp_path, HEAD + more))
    assert a.place == Place((tmp_path / "one.yml").as_posix(), 1, 1)
    assert a.memory_mb.place == c.memory_mb.place == Place((tmp_path / "one.yml").as_posix(), 3, 15)
    assert (b.name, b.memory_mb.value, b.runtime.value) == ("b", 1024, "python3.12")
    assert (unknown.name, unknown.memory_mb.value) == ("${file(more.js)}", None)
    assert unknown.memory_mb.unresolved == "file(more.js) is neither YAML nor JSON"


def test_functions_as_a_whole_may_stand_in_a_file(tmp_path: Path) -> None:
    write(tmp_path, "functions:\n  a: {handler: a.b, memorySize: 256}\n", "functions.yml")
    [found] = read_template(write(tmp_path, HEAD + "functions: ${file(functions.yml):functions}\n"))
    assert found.memory_mb.place == Place((tmp_path / "functions.yml").as_posix(), 2, 33)


def test_functions_that_code_makes_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"functions.js. is neither YAML nor JSON"):
        read_template(write(tmp_path, HEAD + "functions: ${file(functions.js)}\n"))


def test_a_service_for_another_cloud_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="deploys to google"):
        read_template(write(tmp_path, "service: a\nprovider: {name: google}\nfunctions: {}\n"))


def test_a_provider_that_is_unresolved_leaves_no_default(tmp_path: Path) -> None:
    path = write(tmp_path, "service: a\nprovider: ${file(p.js)}\nfunctions: {a: {handler: a.b, timeout: 9}}\n")
    [found] = read_template(path)
    assert found.memory_mb.unresolved == "file(p.js) is neither YAML nor JSON"
    assert found.timeout_s.value == 9.0


def test_the_environment_is_the_providers_below_the_functions(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
service: shop
provider:
  name: aws
  environment: {A: provider, B: provider, STAGE: "${sls:stage}"}
functions:
  a:
    handler: a.b
    environment: {B: "own-${self:service}", C: !GetAtt Queue.Arn, D: "${file(env.yml):D}", E: null}
""",
    )
    write(tmp_path, "D: 7", "env.yml")
    [found] = read_template(path, stage="prod")
    values = {name: value.value for name, value in found.environment.items()}
    assert values == {"A": "provider", "B": "own-shop", "STAGE": "prod", "C": None, "D": "7"}
    assert found.environment["C"].unresolved == "Fn::GetAtt Queue.Arn is known at deployment only"
    assert found.function_name.value == "shop-prod-a"


def test_layers_of_the_service_are_folders_and_others_are_in_aws(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
service: shop
provider: {name: aws, layers: [arn:aws:lambda:eu-west-1:1:layer:x:1]}
functions:
  a: {handler: a.b, layers: [{Ref: MyDashlibsLambdaLayer}, {Ref: OtherLambdaLayer}]}
  b: {handler: a.b}
layers:
  my-libs: {path: build/layer}
""",
    )
    a, b = read_template(path)
    assert [layer.value for layer in a.layers] == [(tmp_path / "build" / "layer").as_posix(), None]
    assert a.layers[1].unresolved == "Ref OtherLambdaLayer is known at deployment only"
    assert [layer.unresolved for layer in b.layers] == ["arn:aws:lambda:eu-west-1:1:layer:x:1 is in AWS"]


def test_code_is_in_the_folder_of_the_service_an_archive_or_an_image(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
service: {name: shop}
provider: aws
package: {artifact: build/all.zip}
functions:
  all: {handler: a.b}
  own: {handler: a.b, name: mine, package: {artifact: "build/${self:functions.own.name}.zip"}}
  image: {image: shop-image, memorySize: 512}
""",
    )
    all_, own, image = read_template(path)
    assert all_.code_path.value == (tmp_path / "build" / "all.zip").as_posix()
    assert own.code_path.value == (tmp_path / "build" / "mine.zip").as_posix()
    assert (own.function_name.value, all_.function_name.value) == ("mine", "shop-dev-all")
    assert (image.package_type, image.handler.value, image.code_path.value) == ("Image", None, None)


def test_json_is_read_and_edited_as_yaml_is(tmp_path: Path) -> None:
    service = {"service": "a", "provider": {"name": "aws"}, "functions": {"f": {"handler": "a.b", "memorySize": 512}}}
    path = write(tmp_path, json.dumps(service, indent=2), "serverless.json")
    assert changed_lines(path, {"f": 1024}) == ['-       "memorySize": 512', '+       "memorySize": 1024']


SERVICE = """\
service: shop # name
custom:
  sizes:
    dev: 512 # of dev
  quoted: "640"
  size_and_seconds: 300
provider:
  name: aws
  memorySize: 256
functions:
  own:
    handler: a.b
    memorySize: 192   # why
  other: {handler: a.b, memorySize: '448'}
  common:
    handler: a.b
    timeout: 5
  staged:
    handler: a.b
    memorySize: ${self:custom.sizes.${sls:stage}}
  second:
    handler: a.b
    memorySize: ${self:custom.sizes.dev}
  quoted:
    memorySize: ${self:custom.quoted}
  option:
    memorySize: ${opt:memory, 704}
  both:
    memorySize: ${self:custom.size_and_seconds}
    timeout: ${self:custom.size_and_seconds}
  joined:
    memorySize: ${self:custom.sizes.dev}0
  remote:
    memorySize: ${ssm:/memory}
"""


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("own", ["-     memorySize: 192   # why", "+     memorySize: 1024   # why"]),
        ("other", ["-   other: {handler: a.b, memorySize: '448'}", "+   other: {handler: a.b, memorySize: '1024'}"]),
        ("common", ["+     memorySize: 1024"]),
        ("quoted", ['-   quoted: "640"', '+   quoted: "1024"']),
        ("option", ["-     memorySize: ${opt:memory, 704}", "+     memorySize: ${opt:memory, 1024}"]),
    ],
)
def test_an_edit_is_one_line_where_the_size_is_decided(tmp_path: Path, name: str, lines: list[str]) -> None:
    assert changed_lines(write(tmp_path, SERVICE), {name: 1024}) == lines


def test_an_edit_names_all_functions_that_share_the_value(tmp_path: Path) -> None:
    [edit] = edit_memory(write(tmp_path, SERVICE), {"staged": 1024})
    assert edit.after == SERVICE.replace("dev: 512", "dev: 1024").encode()
    assert edit.changed == ("staged", "second", "joined")


def test_two_sizes_for_one_value_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="staged and second share one memory size, and are to get 256 and 384 MB"):
        edit_memory(write(tmp_path, SERVICE), {"staged": 256, "second": 384})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("both", "decides more than that"),
        ("joined", "is no number but made of several values"),
        ("remote", "is unresolved: .*ssm:/memory. is known at deployment only"),
    ],
)
def test_an_edit_that_would_not_be_sure_is_refused(tmp_path: Path, name: str, why: str) -> None:
    path = write(tmp_path, SERVICE)
    with pytest.raises(BadInputError, match=why):
        edit_memory(path, {name: 1024})
    assert Path(path).read_text(encoding="utf-8") == SERVICE


def test_a_size_that_an_option_gives_is_not_edited(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="the memory of option is decided by option memory"):
        edit_memory(write(tmp_path, SERVICE), {"option": 1024}, parameters={"memory": "256"})


def test_an_edit_goes_into_the_file_that_decides(tmp_path: Path) -> None:
    write(tmp_path, "a:\r\n  handler: a.b\r\n  memorySize: 192 # a\r\n", "a.yml")
    path = write(tmp_path, HEAD + "functions:\n  a: ${file(a.yml):a}\n  b: {handler: a.b}\n")
    first, second = edit_memory(path, {"a": 256, "b": 512})
    assert (first.file, first.changed) == ((tmp_path / "a.yml").as_posix(), ("a",))
    assert first.after == b"a:\r\n  handler: a.b\r\n  memorySize: 256 # a\r\n"
    assert (second.file, second.changed) == (path, ("b",))


@pytest.mark.parametrize(("name", "memory_mb"), [("own", 192), ("common", 256), ("staged", 512), ("option", 704)])
def test_a_size_that_is_there_already_needs_no_edit(tmp_path: Path, name: str, memory_mb: int) -> None:
    assert edit_memory(write(tmp_path, SERVICE), {name: memory_mb}) == ()


def test_an_edit_that_breaks_the_size_of_another_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"the memory of joined would no longer be one: .*20480"):
        edit_memory(write(tmp_path, SERVICE), {"staged": 2048})


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.dictionaries(
        st.sampled_from(["own", "other", "common", "staged", "quoted"]), st.integers(128, 10240), min_size=1
    ),
    ending=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from(["", "\ufeff"]),
)
def test_edits_give_the_sizes_and_change_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, sizes: dict[str, int], ending: str, mark: str
) -> None:
    text = mark + SERVICE.replace("dev}0", "dev}").replace("\n", ending)
    path = write(tmp_path_factory.mktemp("service"), text)
    before = {function.name: function.memory_mb.value for function in read_template(path)}
    for edit in edit_memory(path, sizes):
        Path(path).write_bytes(edit.after)
    after = {function.name: function.memory_mb.value for function in read_template(path)}
    shared = dict.fromkeys(["second", "joined"], sizes["staged"]) if "staged" in sizes else {}
    assert after == before | sizes | shared
    left, right = text.split(ending), Path(path).read_bytes().decode().split(ending)
    changed = [line for line in difflib.ndiff(left, right) if line[0] in "+-"]
    assert len(right) - len(left) == ("common" in sizes)
    assert len(changed) <= 2 * len(sizes) - ("common" in sizes)


@pytest.mark.parametrize(
    "text",
    [
        "custom: {a: '" + "${self:custom.b}" * 500 + "', b: '${self:custom.a}'}\n",
        "custom: {a: '" + "${" * 5_000 + "}" * 5_000 + "'}\n",
        "custom: {a: '${self:}'}\n",
        "custom: {a: '${file(serverless.yml):custom.a}'}\n",
        "custom:\n  x0: 1\n"
        + "".join(f"  x{n}: '${{self:custom.x{n - 1}}}${{self:custom.x{n - 1}}}'\n" for n in range(1, 30))
        + "  a: ${self:custom.x29}\n",
        "custom:\n  x0: &x0 [1]\n"
        + "".join(f"  x{n}: &x{n} [*x{n - 1}, *x{n - 1}]\n" for n in range(1, 60))
        + "  a: *x59\n",
    ],
    ids=["cycle", "nesting", "whole", "file-of-itself", "doubling", "aliases"],
)
def test_hostile_values_end_unresolved(tmp_path: Path, text: str) -> None:
    found = read_one(tmp_path, "memorySize: ${self:custom.a}", text).memory_mb
    assert (found.value, found.unresolved is not None) == (None, True)
