"""Functions read from Terraform source, and their memory edited: references, modules, instances, what is unresolved."""

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from powertune.errors import BadInputError, UsageError
from powertune.model.configured import Configured, ConfiguredFunction, Place
from powertune.templates import edit_memory, read_template
from powertune.templates.document import Document
from powertune.templates.hcl_blocks import scan

pytest.importorskip("hcl2")

VARIABLES = """\
variable "memory" {
  type    = number
  default = 512 # MB
}
variable "stage" { default = "dev" }
variable "needed" {}
variable "sizes" {
  default = {
    dev  = { memory = 256, timeout = 7 }
    prod = { memory = 2048, timeout = 9 }
  }
}
locals {
  size   = var.memory
  sizes  = [128, 640]
  loop   = local.pool
  pool   = local.loop
  region = data.aws_region.current.name
}
"""


def write(folder: Path, text: str, name: str = "main.tf") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return str(path)


def resource(name: str = "orders", **attributes: str) -> str:
    """Return a function with these attributes as Terraform's formatter would write them."""
    attributes = {"function_name": f'"{name}"'} | attributes
    width = max(map(len, attributes))
    lines = "".join(f"  {key.ljust(width)} = {value}\n" for key, value in attributes.items())
    return f'resource "aws_lambda_function" "{name}" {{\n{lines}}}\n'


def read_one(folder: Path, text: str, **given: str) -> ConfiguredFunction:
    write(folder, VARIABLES, "variables.tf")
    write(folder, text)
    [found] = read_template(str(folder), parameters=given)
    return found


def written_at(value: Configured[int] | Configured[float] | Configured[str]) -> str:
    """Return what is written from where a value says it is, to the end of the line."""
    assert value.place is not None
    line = Path(value.place.file).read_text(encoding="utf-8").splitlines()[value.place.line - 1]
    return line[value.place.column - 1 :]


def changed_lines(path: str, memory_mb: Mapping[str, int], **given: str) -> list[str]:
    """Edit the one file that changes, write it, check that it reads back, and return the lines lost and gained."""
    [edit] = edit_memory(path, memory_mb, parameters=given)
    before, after = edit.before.decode().splitlines(), edit.after.decode().splitlines()
    Path(edit.file).write_bytes(edit.after)
    assert sizes(path).items() >= memory_mb.items()
    return [line for line in difflib.ndiff(before, after) if line[0] in "+-"]


def sizes(path: str) -> dict[str, int | None]:
    return {function.name: function.memory_mb.value for function in read_template(path)}


def test_attributes_have_values_places_and_the_providers_defaults(tmp_path: Path) -> None:
    found = read_one(
        tmp_path,
        dedent("""\
        resource "aws_lambda_function" "orders" {
          function_name = "orders-${var.stage}"
          handler       = "src/app.handler" # the handler
          runtime       = "python3.12"
          architectures = ["arm64"]
          memory_size   = 1024
          filename      = "${path.module}/build/orders.zip"
          ephemeral_storage {
            size = 2048
          }
          environment {
            variables = merge({ A = "1" }, {
              B      = aws_sqs_queue.orders.url
              "C.D"  = true
            })
          }
          layers = [aws_lambda_layer_version.libs.arn, "arn:aws:lambda:eu-west-1:1:layer:x:1"]
        }
        """),
    )
    assert found.name == "aws_lambda_function.orders"
    assert found.place == Place((tmp_path / "main.tf").as_posix(), 1, 1)
    assert found.memory_mb == Configured(1024, Place((tmp_path / "main.tf").as_posix(), 6, 19), "memory_size")
    assert found.timeout_s == Configured(3.0, None, "default of the aws provider")
    assert (found.architecture.value, found.ephemeral_storage_mb.value) == ("arm64", 2048)
    assert (found.function_name.value, found.handler.value) == ("orders-dev", "src/app.handler")
    assert found.code_path.value == (tmp_path / "build" / "orders.zip").as_posix()
    assert {name: value.value for name, value in found.environment.items()} == {"A": "1", "B": None, "C.D": "true"}
    assert found.environment["B"].unresolved == "aws_sqs_queue.orders.url is not decided by the source alone"
    assert [layer.unresolved for layer in found.layers] == [
        "aws_lambda_layer_version.libs.arn is not decided by the source alone",
        "arn:aws:lambda:eu-west-1:1:layer:x:1 is in AWS",
    ]


@pytest.mark.parametrize(
    ("memory", "value", "written"),
    [
        ("512", 512, "512"),
        ('"512"', 512, '"512"'),
        ("(512)", 512, "512)"),
        ("512 /* MB */", 512, "512 /* MB */"),
        ("var.memory", 512, "512 # MB"),
        ('"${var.memory}"', 512, "512 # MB"),
        ("local.size", 512, "512 # MB"),
        ("local.sizes[1]", 640, "640]"),
        ("var.sizes.prod.memory", 2048, "2048, timeout = 9 }"),
        ('var.sizes["prod"]["memory"]', 2048, "2048, timeout = 9 }"),
        ("var.sizes[var.stage].memory", 256, "256, timeout = 7 }"),
        ('var.stage == "prod" ? 1024 : 384', 384, "384"),
        ('var.stage != "prod" ? local.size : 384', 512, "512 # MB"),
        ("merge(var.sizes.dev, { memory = 448 }).memory", 448, "448 }).memory"),
        ("null", 128, None),
    ],
)
def test_references_lead_to_the_text_that_decides(tmp_path: Path, memory: str, value: int, written: str | None) -> None:
    found = read_one(tmp_path, resource(memory_size=memory)).memory_mb
    assert (found.value, found.unresolved) == (value, None)
    assert (written_at(found) if found.place else None) == written


@pytest.mark.parametrize(
    ("memory", "why"),
    [
        ("var.needed", "variable needed has no default, and no value is given"),
        ("var.absent", "variable absent has no default, and no value is given"),
        ("data.aws_ssm_parameter.memory.value", "data.aws_ssm_parameter.memory.value is not decided"),
        ("module.settings.memory", "module.settings.memory is not decided by the source alone"),
        ('terraform.workspace == "prod" ? 1 : 2', "terraform.workspace is not decided by the source alone"),
        ("max(128, var.memory)", "max(128, var.memory) is not worked out"),
        ("var.memory * 2", "var.memory * 2 is not decided by the source alone"),
        ("var.sizes.test.memory", "var.sizes.test.memory is not in the source"),
        ("local.sizes[7]", "local.sizes[7] is not in the source"),
        ("local.loop", "leads too far, or back to itself"),
        ("each.value.memory", "each.value.memory is not decided by the source alone"),
        ("9" * 40, "is too long a number"),
        ("64", "memory_size is 64, which is no memory size"),
        ("{ a = 1 }", "memory_size is a list or map, which is no memory size"),
        ("= 3", "is not understood"),
        ("[" + "1, " * 20_000 + "]", "is too long"),
        ("(" * 300 + "512" + ")" * 300, "leads too far"),
    ],
)
def test_what_cannot_be_resolved_is_said_with_its_place(tmp_path: Path, memory: str, why: str) -> None:
    found = read_one(tmp_path, resource(memory_size=memory)).memory_mb
    assert found.value is None
    assert why in (found.unresolved or "")
    assert found.place is not None
    assert found.place.line == 3


def test_a_file_that_doubles_a_value_again_and_again_ends_unresolved(tmp_path: Path) -> None:
    doubling = "".join(f'  x{n} = "${{local.x{n - 1}}}${{local.x{n - 1}}}"\n' for n in range(1, 40))
    locals_ = f"locals {{\n  x0 = 1\n{doubling}}}\n"
    found = read_one(tmp_path, locals_ + resource(memory_size="local.x39"))
    assert "leads too far" in (found.memory_mb.unresolved or "")


def test_variables_are_set_by_the_user_then_by_files_then_by_the_environment_then_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = resource(memory_size="var.memory")
    assert read_one(tmp_path, text).memory_mb.origin == "default of variable memory"
    monkeypatch.setenv("TF_VAR_memory", "576")
    assert read_one(tmp_path, text).memory_mb == Configured(576, None, "environment variable TF_VAR_memory")
    write(tmp_path, "memory = 640\n", "terraform.tfvars")
    assert read_one(tmp_path, text).memory_mb.origin == "variable memory in terraform.tfvars"
    write(tmp_path, '{"memory": 768}', "terraform.tfvars.json")
    found = read_one(tmp_path, text).memory_mb
    assert found == Configured(
        768, Place((tmp_path / "terraform.tfvars.json").as_posix(), 1, 12), "variable memory in terraform.tfvars.json"
    )
    write(tmp_path, "memory = 896\n", "z.auto.tfvars")
    assert read_one(tmp_path, text).memory_mb.value == 896
    assert read_one(tmp_path, text, memory="1024").memory_mb == Configured(1024, None, "variable memory as given")


def test_an_unknown_variable_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no variable memroy") as caught:
        read_one(tmp_path, resource(), memroy="512")
    assert caught.value.hint == "did you mean memory?"


def test_each_instance_is_a_function_with_its_own_values(tmp_path: Path) -> None:
    several = resource("sized", for_each="var.sizes", memory_size="each.value.memory", timeout="each.value.timeout")
    named = resource("named", for_each='toset(["b", "a"])', memory_size="256").replace('"named"\n', "each.key\n")
    counted = resource("counted", count="2") + resource("off", count='var.stage == "prod" ? 1 : 0')
    unknown = resource("unknown", for_each="data.x.y.z", memory_size="each.value")
    write(tmp_path, VARIABLES + several + named + counted + unknown)
    found = {function.name.removeprefix("aws_lambda_function."): function for function in read_template(str(tmp_path))}
    assert list(found) == [
        'sized["dev"]', 'sized["prod"]', 'named["a"]', 'named["b"]', "counted[0]", "counted[1]", "unknown",
    ]  # fmt: skip
    assert (found['sized["prod"]'].memory_mb.value, found['sized["prod"]'].timeout_s.value) == (2048, 9.0)
    assert found['named["b"]'].function_name.value == "b"
    assert found["unknown"].memory_mb.value is None


MODULE = """\
variable "memory" { default = 192 }
variable "name" {}
resource "aws_lambda_function" "this" {
  function_name = var.name
  filename      = "${path.module}/code.zip"
  memory_size   = var.memory
}
"""
CALLS = """\
module "api" {
  source = "./modules/fn"
  name   = "api"
  memory = 320
}
module "jobs" {
  for_each = toset(["a", "b"])
  source   = "./modules/fn"
  name     = "job-${each.key}"
}
module "elsewhere" {
  source = "git::https://example.com/module.git"
}
"""


def test_functions_of_modules_in_folders_have_the_callers_values(tmp_path: Path) -> None:
    write(tmp_path, MODULE, "modules/fn/main.tf")
    api, job_a, job_b = read_template(str(Path(write(tmp_path, CALLS)).parent))
    assert api.name == "module.api.aws_lambda_function.this"
    assert api.memory_mb == Configured(320, Place((tmp_path / "main.tf").as_posix(), 4, 12), "memory of module api")
    assert api.code_path.value == (tmp_path / "modules" / "fn" / "code.zip").as_posix()
    assert job_a.name == 'module.jobs["a"].aws_lambda_function.this'
    assert (job_b.function_name.value, job_b.memory_mb.value) == ("job-b", 192)
    assert job_b.memory_mb.origin == "default of variable memory"


def test_a_module_that_calls_itself_ends(tmp_path: Path) -> None:
    path = write(
        tmp_path, 'module "again" { source = "./" }\nmodule "up" {\n  source = "../x"\n}\n' + resource(), "x/main.tf"
    )
    assert sizes(str(Path(path).parent)) == {"aws_lambda_function.orders": 128}


def test_modules_that_call_each_other_ever_more_often_are_refused(tmp_path: Path) -> None:
    for level in range(12):
        calls = "".join(f'module "m{n}" {{\n  source = "../m{level + 1}"\n}}\n' for n in range(4))
        write(tmp_path, calls, f"m{level}/main.tf")
    write(tmp_path, resource(), "m12/main.tf")
    with pytest.raises(BadInputError, match="makes more than 1000 functions"):
        read_template(str(tmp_path / "m0"))


def test_the_known_module_for_functions_is_read_without_its_code(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
module "orders" {
  source                 = "terraform-aws-modules/lambda/aws"
  function_name          = "orders"
  handler                = "app.handler"
  source_path            = "./src"
  ephemeral_storage_size = 1024
  environment_variables  = { A = "1" }
}
module "off" {
  source = "terraform-aws-modules/lambda/aws"
  create = false
}
""",
    )
    [found] = read_template(path)
    assert found.name == "module.orders.aws_lambda_function.this[0]"
    assert (found.memory_mb.value, found.memory_mb.origin) == (128, "default of the module")
    assert (found.ephemeral_storage_mb.value, found.environment["A"].value) == (1024, "1")
    assert found.code_path.value == (tmp_path / "src").as_posix()
    assert changed_lines(path, {found.name: 512}) == ["+   memory_size            = 512"]


def test_code_is_the_folder_that_an_archive_is_made_of(tmp_path: Path) -> None:
    archives = """\
data "archive_file" "folder" {
  source_dir  = "${path.module}/src"
  output_path = "build/folder.zip"
}
data "archive_file" "file" {
  source_file = "lambda/app.py"
  output_path = "build/file.zip"
}
"""
    functions = (
        resource("reference", filename="data.archive_file.folder.output_path")
        + resource("path", filename='"build/file.zip"')
        + resource("bucket", s3_bucket='"code"')
        + resource("image", image_uri='"1.dkr.ecr.eu-west-1.amazonaws.com/x:1"', package_type='"Image"')
        + resource("unknown", filename="data.archive_file.absent.output_path")
    )
    write(tmp_path, archives + functions)
    reference, path, bucket, image, unknown = read_template(str(tmp_path))
    assert reference.code_path.value == (tmp_path / "src").as_posix()
    assert path.code_path.value == (tmp_path / "lambda").as_posix()
    assert bucket.code_path.unresolved == "the code is not local, but under s3_bucket"
    assert (image.package_type, image.code_path.value) == ("Image", None)
    assert unknown.code_path.unresolved == "data.archive_file.absent.output_path is not decided by the source alone"


def test_layers_made_in_the_same_module_are_the_folders_of_their_archives(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
data "archive_file" "libs" {
  source_dir  = "layers/libs"
  output_path = "build/libs.zip"
}
resource "aws_lambda_layer_version" "libs" {
  filename = data.archive_file.libs.output_path
}
resource "aws_lambda_layer_version" "built" {
  filename = "build/built.zip"
}
resource "aws_lambda_function" "orders" {
  layers = [
    aws_lambda_layer_version.libs.arn,
    aws_lambda_layer_version.built.arn,
    aws_lambda_layer_version.absent.arn,
  ]
}
""",
    )
    [found] = read_template(path)
    folder = tmp_path.as_posix()
    assert [layer.value for layer in found.layers] == [f"{folder}/layers/libs", None, None]
    assert found.layers[1].unresolved == f"{folder}/build/built.zip is no folder"
    assert found.layers[2].unresolved == "aws_lambda_layer_version.absent.arn is not decided by the source alone"


def test_one_file_holds_its_own_functions_and_knows_the_folders_variables(tmp_path: Path) -> None:
    write(tmp_path, VARIABLES, "variables.tf")
    write(tmp_path, resource("other"), "other.tf")
    [found] = read_template(write(tmp_path, resource(memory_size="var.memory")))
    assert (found.name, found.memory_mb.value) == ("aws_lambda_function.orders", 512)


def test_an_override_replaces_attributes(tmp_path: Path) -> None:
    write(tmp_path, 'resource "aws_lambda_function" "orders" {\n  memory_size = 640\n}\n', "main_override.tf")
    found = read_one(tmp_path, resource(memory_size="512"))
    assert (found.memory_mb.value, written_at(found.memory_mb)) == (640, "640")


def test_a_dynamic_block_is_unresolved(tmp_path: Path) -> None:
    dynamic = 'dynamic "ephemeral_storage" {\n    for_each = var.x\n    content { size = 1024 }\n  }'
    found = read_one(tmp_path, resource().replace("}\n", f"  {dynamic}\n}}\n"))
    assert found.ephemeral_storage_mb.value is None
    assert "ephemeral_storage" in (found.ephemeral_storage_mb.unresolved or "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("resource {", "the brace of resource is never closed: line 1"),
        ('a = "x\n', "a string is never closed: line 1, column 5"),
        ("a = [1,\n", "a bracket is never closed"),
        ("a = <<EOT\nx\n", "the here-document EOT is never closed"),
        ("a =\n", "a has no value"),
        ("}\n", "a brace is closed that was not opened"),
        ('a = "${' + "/*" * 100_000, "a string is never closed"),
        ("a = " + "/*" * 100_000, "a comment is never closed"),
        ("a = /* 1", "a comment is never closed: line 1, column 5"),
        ("a b = 1\n", "a is followed by neither = nor a block"),
        ("/* a", "a name of a block or an attribute should stand"),
        ("a {" * 100 + "}" * 100, "blocks are nested more than 40 deep"),
        ('a = "' + "${" * 9 + "\n", "a string is never closed"),
    ],
)
def test_what_is_no_terraform_source_is_refused_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadInputError, match=r"is no Terraform source") as caught:
        read_template(write(tmp_path, text))
    assert why in caught.value.message


def test_the_scan_knows_strings_templates_comments_and_here_documents(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
# a = {
// b = {
/* c = {
*/ d = "}${f({ x = "}" })}{" # e = 1
f = <<-EOT
  } EOT
  EOT
g = [ # {
  1, /* ] */
]
h = "100%" /* after */
i "j" k { l = "$${" }
m = "\\"}" // n
o = 4 / 2
""",
    )
    top = scan(Document(path))
    assert {name: value.text for name, value in top.attributes.items()} == {
        "d": '"}${f({ x = "}" })}{"',
        "f": "<<-EOT\n  } EOT\n  EOT",
        "g": "[ # {\n  1, /* ] */\n]",
        "h": '"100%"',
        "m": '"\\"}"',
        "o": "4 / 2",
    }
    [block] = top.blocks
    assert (block.kind, block.labels, block.attributes["l"].text) == ("i", ("j", "k"), '"$${"')


@pytest.mark.parametrize(
    ("memory", "lines"),
    [
        ("512 # MB", ["-   memory_size   = 512 # MB", "+   memory_size   = 1024 # MB"]),
        ('"512"', ['-   memory_size   = "512"', '+   memory_size   = "1024"']),
        ("var.memory", ["-   default = 512 # MB", "+   default = 1024 # MB"]),
        ("local.sizes[0]", ["-   sizes  = [128, 640]", "+   sizes  = [1024, 640]"]),
        (
            "var.sizes[var.stage].memory",
            ["-     dev  = { memory = 256, timeout = 7 }", "+     dev  = { memory = 1024, timeout = 7 }"],
        ),
        (
            'var.stage == "prod" ? 2048 : 512',
            [
                '-   memory_size   = var.stage == "prod" ? 2048 : 512',
                '+   memory_size   = var.stage == "prod" ? 2048 : 1024',
            ],
        ),
        (None, ["+   memory_size   = 1024"]),
    ],
)
def test_an_edit_is_one_line_where_the_size_is_decided(tmp_path: Path, memory: str | None, lines: list[str]) -> None:
    write(tmp_path, VARIABLES, "variables.tf")
    write(tmp_path, resource(**({"memory_size": memory} if memory else {})))
    assert changed_lines(str(tmp_path), {"aws_lambda_function.orders": 1024}) == lines


@pytest.mark.parametrize(("attributes", "memory_mb"), [({"memory_size": "512"}, 512), ({}, 128)])
def test_a_size_that_is_there_already_needs_no_edit(tmp_path: Path, attributes: dict[str, str], memory_mb: int) -> None:
    path = write(tmp_path, resource(**attributes))
    assert edit_memory(path, {"aws_lambda_function.orders": memory_mb}) == ()


def test_an_edit_names_all_functions_that_share_the_value(tmp_path: Path) -> None:
    write(tmp_path, MODULE, "modules/fn/main.tf")
    path = str(Path(write(tmp_path, CALLS)).parent)
    [edit] = edit_memory(path, {'module.jobs["a"].aws_lambda_function.this': 256})
    assert edit.changed == ('module.jobs["a"].aws_lambda_function.this', 'module.jobs["b"].aws_lambda_function.this')
    assert edit.after == MODULE.replace("192", "256").encode()


@pytest.mark.parametrize(
    ("memory", "given", "why"),
    [
        ("var.memory * 2", {}, r"is unresolved: var.memory \* 2"),
        ("var.memory", {"memory": "640"}, "is variable memory as given"),
        ("null", {}, "is decided by an expression, null"),
    ],
)
def test_an_edit_that_would_not_be_sure_is_refused(
    tmp_path: Path, memory: str, given: dict[str, str], why: str
) -> None:
    write(tmp_path, VARIABLES + resource(memory_size=memory))
    with pytest.raises(BadInputError, match=f"the memory of aws_lambda_function.orders {why}"):
        edit_memory(str(tmp_path), {"aws_lambda_function.orders": 1024}, parameters=given)


def test_a_value_that_decides_more_than_memory_is_not_edited(tmp_path: Path) -> None:
    write(tmp_path, VARIABLES + resource(memory_size="var.memory", timeout="var.memory"))
    with pytest.raises(BadInputError, match="decides more than that"):
        edit_memory(str(tmp_path), {"aws_lambda_function.orders": 640})


@settings(max_examples=25, deadline=None)
@given(
    memory=st.dictionaries(
        st.sampled_from(["literal", "quoted", "default", "absent"]), st.integers(128, 10240), min_size=1
    ),
    ending=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from(["", "\ufeff"]),
)
def test_edits_give_the_sizes_and_change_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, memory: dict[str, int], ending: str, mark: str
) -> None:
    before = (
        VARIABLES
        + resource("literal", memory_size="512 # ü")
        + resource("quoted", memory_size='"640"')
        + resource("default", memory_size="local.size")
        + resource("absent", timeout="7")
    )
    path = write(tmp_path_factory.mktemp("source"), mark + before.replace("\n", ending))
    found = sizes(path)
    wanted = {f"aws_lambda_function.{name}": size for name, size in memory.items()}
    for edit in edit_memory(path, wanted):
        Path(path).write_bytes(edit.after)
    assert sizes(path) == found | wanted
    text = Path(path).read_bytes().decode().removeprefix(mark)
    changed = [line for line in difflib.ndiff(before.split("\n"), text.split(ending)) if line[0] in "+-"]
    assert len(changed) <= 2 * len(memory) - ("absent" in memory)


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hcl2.api", None)
    with pytest.raises(UsageError, match="needs python-hcl2") as caught:
        read_template(write(tmp_path, resource()))
    assert "pip install 'powertune[terraform]'" in caught.value.hint
