"""Functions read from what `terraform show -json` prints, and their memory edited in the source beside it."""

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from powertune.errors import BadInputError
from powertune.model.configured import Configured, ConfiguredFunction, Place
from powertune.templates import edit_memory, read_template

PROVIDED = {"memory_size": 128, "timeout": 3, "package_type": "Zip", "architectures": ["x86_64"], "environment": []}
COMPUTED = {"arn": True, "architectures": True, "ephemeral_storage": True}
"""What the provider plans as unknown where nothing is configured."""


def function(address: str, **values: object) -> dict[str, Any]:
    name = re.split(r"\W", address.partition("aws_lambda_function.")[2])[0]
    return {
        "address": address,
        "mode": "managed",
        "type": "aws_lambda_function",
        "name": name,
        "values": PROVIDED | {"function_name": name} | values,
    }


def plan(
    *functions: dict[str, Any],
    modules: Mapping[str, Any] | None = None,
    unknown: Mapping[str, Mapping[str, object]] | None = None,
    configuration: Mapping[str, object] | None = None,
    **more: object,
) -> dict[str, Any]:
    root: dict[str, Any] = {"resources": list(functions)}
    if modules:
        root["child_modules"] = [
            {"address": address, "resources": [made]} for address, made in modules.items()
        ]  # fmt: skip
    changes = [
        {"address": address, "change": {"actions": ["create"], "after_unknown": values}}
        for address, values in (unknown or {}).items()
    ]
    return {
        "format_version": "1.2",
        "terraform_version": "1.9.5",
        "planned_values": {"root_module": root},
        "resource_changes": changes,
        "configuration": {"root_module": configuration or {}},
        **more,
    }


def configured(name: str, **expressions: object) -> dict[str, object]:
    """Return a configuration that has one function with these expressions."""
    resource = {"mode": "managed", "type": "aws_lambda_function", "name": name, "expressions": expressions}
    return {"resources": [resource]}


def write(folder: Path, text: str, name: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return str(path)


def read(folder: Path, document: Mapping[str, object], **layout: Any) -> tuple[ConfiguredFunction, ...]:
    return read_template(write(folder, json.dumps(document, **layout), "plan.json"))


ORDERS = "aws_lambda_function.orders"
SOURCE = """\
variable "memory" { default = 512 }
resource "aws_lambda_function" "orders" {
  function_name = "orders"
  timeout       = 9
  memory_size   = 512
}
"""


def test_a_plan_alone_has_values_and_the_place_of_its_address(tmp_path: Path) -> None:
    values = {
        "memory_size": 1024,
        "timeout": 30,
        "architectures": ["arm64"],
        "ephemeral_storage": [{"size": 2048}],
        "runtime": "python3.12",
        "handler": "app.handler",
        "filename": "build/orders.zip",
        "environment": [{"variables": {"A": "1"}}],
        "layers": ["arn:aws:lambda:eu-west-1:1:layer:x:1"],
    }
    document = plan(function(ORDERS, **values), unknown={ORDERS: {"environment": [{"variables": {"B": True}}]}})
    [found] = read(tmp_path, document, indent=2)
    assert (found.name, found.kind, found.function_name.value) == (ORDERS, "terraform-plan", "orders")
    assert found.place.line == 1 + (tmp_path / "plan.json").read_text().splitlines().index(
        f'          "address": "{ORDERS}",'
    )
    assert found.memory_mb == Configured(1024, None, "memory_size")
    assert (found.timeout_s.value, found.architecture.value, found.ephemeral_storage_mb.value) == (30.0, "arm64", 2048)
    assert (found.runtime.value, found.handler.value) == ("python3.12", "app.handler")
    assert found.code_path.value == (tmp_path / "build" / "orders.zip").as_posix()
    assert {name: value.value for name, value in found.environment.items()} == {"A": "1", "B": None}
    assert [layer.unresolved for layer in found.layers] == ["arn:aws:lambda:eu-west-1:1:layer:x:1 is in AWS"]


def test_what_nothing_configures_has_lambdas_default_though_the_plan_does_not_know_it(tmp_path: Path) -> None:
    bare = function(ORDERS)
    del bare["values"]["architectures"]
    [found] = read(tmp_path, plan(bare, unknown={ORDERS: COMPUTED}, configuration=configured("orders")))
    assert found.memory_mb.value == 128
    assert found.architecture == Configured("x86_64", None, "default of Lambda")
    assert found.ephemeral_storage_mb == Configured(512, None, "default of Lambda")


def test_what_is_configured_and_known_after_apply_only_is_unresolved(tmp_path: Path) -> None:
    values = {"memory_size": None, "architectures": None, "filename": None}
    unknown = {**COMPUTED, "memory_size": True, "filename": True, "layers": True, "ephemeral_storage": [{"size": True}]}
    references = {"references": ["data.external.settings"]}
    configuration = configured(
        "orders",
        memory_size=references,
        architectures=references,
        filename=references,
        layers=references,
        ephemeral_storage=[{"size": references}],
    )
    [found] = read(tmp_path, plan(function(ORDERS, **values), unknown={ORDERS: unknown}, configuration=configuration))
    assert found.memory_mb == Configured(None, None, "memory_size", "memory_size is known after apply only")
    assert found.architecture.unresolved == "architectures is known after apply only"
    assert found.ephemeral_storage_mb.unresolved == "ephemeral_storage.size is known after apply only"
    assert [layer.unresolved for layer in found.layers] == ["layers is known after apply only"]
    assert found.code_path.unresolved == "filename is known after apply only"


def test_a_plan_whose_keys_were_sorted_is_known_by_its_content(tmp_path: Path) -> None:
    [found] = read(tmp_path, plan(function(ORDERS)), sort_keys=True)
    assert found.kind == "terraform-plan"


def test_a_plan_that_is_not_json_yet_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "plan.out", "w") as packed:
        packed.writestr("tfplan", b"\x0a\x00")
    with pytest.raises(BadInputError, match="is a plan as Terraform keeps it") as caught:
        read_template(str(tmp_path / "plan.out"))
    assert "terraform show -json" in caught.value.hint


def test_a_state_is_read_as_a_plan_is(tmp_path: Path) -> None:
    data = function("data.aws_lambda_function.other") | {"mode": "data"}
    root = {"resources": [function(ORDERS, memory_size=256), data]}
    [found] = read(tmp_path, {"format_version": "1.0", "values": {"root_module": root}})
    assert (found.name, found.memory_mb.value) == (ORDERS, 256)


def test_code_is_the_folder_that_an_archive_is_made_of(tmp_path: Path) -> None:
    archive = {
        "type": "archive_file",
        "mode": "data",
        "values": {"output_path": "./build/x.zip", "source_dir": "./src"},
    }
    of_file = {"type": "archive_file", "values": {"output_path": "one.zip", "source_file": "lambda/one.py"}}
    prior = {"values": {"root_module": {"resources": [archive], "child_modules": [{"resources": [of_file]}]}}}
    found = read(
        tmp_path,
        plan(
            function(ORDERS, filename="build/x.zip"),
            function("aws_lambda_function.image", image_uri="1.dkr/x", package_type="Image", handler=""),
            function("aws_lambda_function.one", filename="./one.zip"),
            prior_state=prior,
        ),
    )
    assert found[0].code_path.value == (tmp_path / "src").as_posix()
    assert found[2].code_path.value == (tmp_path / "lambda").as_posix()
    assert (found[1].package_type, found[1].handler.value) == ("Image", None)
    assert found[1].code_path.unresolved == "the code is not local, but under image_uri"


def test_places_are_in_the_source_beside_the_plan(tmp_path: Path) -> None:
    source = write(tmp_path, SOURCE, "main.tf")
    [found] = read(tmp_path, plan(function(ORDERS, memory_size=512, timeout=9)))
    assert found.place == Place(source, 2, 1)
    assert found.memory_mb == Configured(512, Place(source, 5, 19), "memory_size")
    assert found.timeout_s == Configured(9.0, Place(source, 4, 19), "timeout")
    assert found.architecture.place is None


def test_a_place_is_the_default_of_the_variable_that_decides(tmp_path: Path) -> None:
    source = write(tmp_path, SOURCE.replace("= 512\n", "= var.memory\n"), "main.tf")
    [found] = read(tmp_path, plan(function(ORDERS, memory_size=512)))
    assert found.memory_mb == Configured(512, Place(source, 1, 31), "default of variable memory")


def test_a_value_that_the_source_does_not_say_has_the_place_of_its_attribute(tmp_path: Path) -> None:
    source = write(tmp_path, SOURCE.replace("= 512\n", "= var.memory\n"), "main.tf")
    [found] = read(tmp_path, plan(function(ORDERS, memory_size=2048)))
    assert found.memory_mb == Configured(2048, Place(source, 5, 19), "memory_size")


MODULE = """\
variable "memory" { default = 192 }
resource "aws_lambda_function" "this" {
  memory_size = var.memory
}
"""


def test_functions_in_modules_lead_to_the_call_or_to_the_default(tmp_path: Path) -> None:
    module = write(tmp_path, MODULE, "modules/fn/main.tf")
    calls = (
        'module "api" {\n  source = "./modules/fn"\n  memory = 320\n}\nmodule "jobs" {\n  source = "./modules/fn"\n}\n'
    )
    main = write(tmp_path, calls, "main.tf")
    api, jobs = 'module.api["x.y"].aws_lambda_function.this', "module.jobs[0].aws_lambda_function.this"
    modules = {'module.api["x.y"]': function(api, memory_size=320), "module.jobs[0]": function(jobs, memory_size=192)}
    first, second = read(tmp_path, plan(modules=modules))
    assert (first.name, first.memory_mb.place) == (api, Place(main, 3, 12))
    assert (second.name, second.memory_mb.place) == (jobs, Place(module, 1, 31))
    assert first.place == second.place == Place(module, 2, 1)


REMOTE = {
    "module_calls": {
        "orders": {
            "source": "terraform-aws-modules/lambda/aws",
            "expressions": {"memory_size": {"constant_value": 640}},
            "module": {
                **configured(
                    "this",
                    memory_size={"references": ["var.memory_size"]},
                    architectures={"references": ["var.architectures"]},
                    timeout={"references": ["var.a", "var.b"]},
                ),
                "variables": {"architectures": {}, "memory_size": {"default": 128}},
            },
        }
    }
}
REMOTE_SOURCE = 'module "orders" {\n  source      = "terraform-aws-modules/lambda/aws"\n  memory_size = 640\n}\n'
REMOTE_FUNCTION = "module.orders.aws_lambda_function.this[0]"


def remote(memory_mb: int) -> dict[str, Any]:
    made = function(REMOTE_FUNCTION, memory_size=memory_mb, architectures=None)
    return plan(modules={"module.orders": made}, unknown={REMOTE_FUNCTION: COMPUTED}, configuration=REMOTE)


def test_a_module_that_is_not_at_hand_is_followed_by_what_the_plan_says_of_it(tmp_path: Path) -> None:
    main = write(tmp_path, REMOTE_SOURCE, "main.tf")
    [found] = read(tmp_path, remote(640))
    assert found.place == Place(main, 1, 1)
    assert found.memory_mb == Configured(640, Place(main, 3, 17), "memory_size")
    assert found.architecture == Configured("x86_64", None, "default of Lambda")
    [edit] = edit_memory(str(tmp_path / "plan.json"), {REMOTE_FUNCTION: 1024})
    assert edit.after == REMOTE_SOURCE.replace("640", "1024").encode()


def test_a_call_without_memory_gets_it(tmp_path: Path) -> None:
    source = REMOTE_SOURCE.replace("  memory_size = 640\n", "")
    write(tmp_path, source, "main.tf")
    read(tmp_path, remote(128))
    [edit] = edit_memory(str(tmp_path / "plan.json"), {REMOTE_FUNCTION: 1024})
    assert edit.after == REMOTE_SOURCE.replace("640", "1024").encode()


def test_an_edit_of_a_plan_changes_the_one_number_in_the_source(tmp_path: Path) -> None:
    write(tmp_path, SOURCE.replace("\n", "\r\n"), "main.tf")
    read(tmp_path, plan(function(ORDERS, memory_size=512, timeout=9)))
    [edit] = edit_memory(str(tmp_path / "plan.json"), {ORDERS: 1024})
    assert edit.file == (tmp_path / "main.tf").as_posix()
    assert edit.after == SOURCE.replace("y_size   = 512", "y_size   = 1024").replace("\n", "\r\n").encode()
    assert edit.changed == (ORDERS,)


def test_a_size_that_is_there_already_needs_no_edit(tmp_path: Path) -> None:
    write(tmp_path, SOURCE.replace("  memory_size   = 512\n", ""), "main.tf")
    read(tmp_path, plan(function(ORDERS)))
    assert edit_memory(str(tmp_path / "plan.json"), {ORDERS: 128}) == ()


def test_an_edit_names_all_instances_of_the_resource(tmp_path: Path) -> None:
    write(tmp_path, SOURCE, "main.tf")
    names = [f'{ORDERS}["{key}"]' for key in ("eu", "us")]
    read(tmp_path, plan(*(function(name, memory_size=512) for name in names)))
    [edit] = edit_memory(str(tmp_path / "plan.json"), {names[0]: 256})
    assert edit.changed == tuple(names)
    with pytest.raises(BadInputError, match="share one memory size"):
        edit_memory(str(tmp_path / "plan.json"), {names[0]: 256, names[1]: 384})


@pytest.mark.parametrize(
    ("source", "memory_mb", "why"),
    [
        ("", 512, "is set in Terraform source that is not beside the plan"),
        ('resource "aws_lambda_function" "other" {}', 512, "is set in Terraform source that is not beside the plan"),
        ('resource "aws_lambda_function" {', 512, "is set in Terraform source that is not beside the plan"),
        (SOURCE, 640, "is 640 MB, not the 512 that .*main.tf:5 says"),
        (SOURCE.replace("= 512\n", "= max(512, 128)\n"), 512, r"is decided by an expression, max\(512, 128\)"),
        (SOURCE.replace("= 512\n", "= var.absent\n"), 512, "is decided by an expression, var.absent"),
        (SOURCE.replace("= 512\n", "= var.memory\n").replace("= 9", "= var.memory"), 512, "decides more than memory"),
        ('resource "aws_lambda_function" "orders" {}', 128, "is written nowhere"),
    ],
)
def test_an_edit_that_would_not_be_sure_is_refused(tmp_path: Path, source: str, memory_mb: int, why: str) -> None:
    write(tmp_path, source, "main.tf")
    read(tmp_path, plan(function(ORDERS, memory_size=memory_mb)))
    with pytest.raises(BadInputError, match=f"the memory of {ORDERS} .*{why}"):
        edit_memory(str(tmp_path / "plan.json"), {ORDERS: 1024})


@pytest.mark.parametrize(
    "document",
    [
        '{"format_version": "1.2", "root_module": ',
        '{"format_version": "1.2", "root_module": ' + "[" * 100_000,
        '{"format_version": "1.2", "root_module": 9' + "9" * 5000 + "}",
    ],
)
def test_what_is_no_json_is_refused(tmp_path: Path, document: str) -> None:
    with pytest.raises(BadInputError, match="is no JSON"):
        read_template(write(tmp_path, document, "plan.json"))


@pytest.mark.parametrize("value", [None, 1, "x", [], [None], {}, {"resources": 1}, {"resources": [1, {"type": 2}]}])
def test_parts_of_another_shape_are_as_if_they_were_not_there(tmp_path: Path, value: object) -> None:
    document = plan() | {"planned_values": {"root_module": value}, "resource_changes": value, "configuration": value}
    assert read(tmp_path, document) == ()


def test_values_of_another_kind_are_unresolved(tmp_path: Path) -> None:
    values = {"memory_size": [512], "timeout": True, "architectures": "mips", "environment": 3, "layers": 4}
    [found] = read(tmp_path, plan(function(ORDERS, **values)))
    assert found.memory_mb.unresolved == "memory_size is a list or map, which is no memory size in MB from 128 to 10240"
    assert found.timeout_s.unresolved == "timeout is True, which is no timeout in seconds from 1 to 900"
    assert found.architecture.unresolved == "architectures is mips, which is neither x86_64 nor arm64"
    assert (found.environment, found.layers) == ({}, ())
