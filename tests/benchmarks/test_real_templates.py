"""Templates that others wrote, taken from public packages at run time: read right, and edited in one line a function.

What is read is held against readers of other hands: cfn-lint's decoder of YAML and JSON, Globals as aws-sam-translator
merges them, intrinsic functions as moto's CloudFormation evaluates them, in a region of its own.
"""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from powertune.errors import BadInputError
from powertune.model.configured import Configured, ConfiguredFunction
from powertune.templates import edit_memory, read_template

pytestmark = pytest.mark.benchmark

# Source distributions that hold the templates of their own tests and examples.
SOURCES = ["cfn-lint==1.58.0", "cfn-lint==0.87.11", "aws-sam-translator==1.115.0", "aws-sam-cli==1.170.0"]
# Wheels that hold what CDK synthesised in their tests; those of version 1 are older and of another layout.
CONSTRUCTS = """
    alb-lambda apigateway-lambda cloudfront-apigateway-lambda cognito-apigateway-lambda dynamodbstreams-lambda
    eventbridge-lambda iot-lambda iot-lambda-dynamodb lambda-dynamodb lambda-elasticachememcached lambda-eventbridge
    lambda-kendra lambda-kinesisfirehose lambda-opensearch lambda-polly lambda-s3 lambda-sagemakerendpoint
    lambda-secretsmanager lambda-sns lambda-sqs lambda-sqs-lambda lambda-ssmstringparameter lambda-stepfunctions
    lambda-textract lambda-transcribe lambda-translate openapigateway-lambda s3-lambda sns-lambda sqs-lambda
""".split()  # noqa: SIM905 - a name a line would be a page
OLDER = """
    alb-lambda apigateway-lambda cognito-apigateway-lambda dynamodbstreams-lambda iot-lambda lambda-dynamodb
    lambda-eventbridge lambda-s3 lambda-secretsmanager lambda-sns lambda-sqs s3-lambda sqs-lambda
""".split()  # noqa: SIM905 - a name a line would be a page
WHEELS = [f"aws-solutions-constructs.aws-{name}==2.105.0" for name in CONSTRUCTS]
OLDER_WHEELS = [f"aws-solutions-constructs.aws-{name}==1.181.1" for name in OLDER]
SUFFIXES = (".yaml", ".yml", ".json", ".template")
FUNCTIONS = ("AWS::Lambda::Function", "AWS::Serverless::Function")
DEFAULTS = {"MemorySize": 128, "Timeout": 3, "Architectures": "x86_64"}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the packages that are read."""
    packages = tmp_path_factory.mktemp("packages")
    for options in (WHEELS, OLDER_WHEELS, *(["--no-binary", name.split("=")[0], name] for name in SOURCES)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(packages), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            pytest.skip(f"packages cannot be fetched: {done.stderr.strip()[-200:]}")
    return packages


@pytest.fixture(scope="module", autouse=True)
def sam_translator(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let aws-sam-translator be imported from its source distribution."""
    folder = tmp_path_factory.mktemp("sam-translator")
    with tarfile.open(next(packages.glob("aws_sam_translator-*"))) as packed:
        packed.extractall(folder, filter="data")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(next(folder.iterdir())))
        yield


@pytest.fixture(scope="module")
def templates(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return all files that may be templates with functions, each content once."""
    folder = tmp_path_factory.mktemp("templates")
    found: dict[str, Path] = {}
    for package in sorted(packages.iterdir()):
        for name, data in contents(package.read_bytes()):
            if b"Resources" in data and any(kind.encode() in data for kind in FUNCTIONS):
                path = folder / f"{len(found)}" / Path(name).name
                digest = hashlib.sha256(data).hexdigest()
                if found.setdefault(digest, path) is path:
                    path.parent.mkdir()
                    path.write_bytes(data)
    return list(found.values())


def contents(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of files in an archive, and in archives in it, that may be templates."""
    if archive.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            members = [(name, packed.read(name)) for name in packed.namelist() if name.endswith((*SUFFIXES, ".tgz"))]
    else:
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed_tar:
            members = [
                (member.name, stream.read())
                for member in packed_tar
                if member.name.endswith(SUFFIXES) and (stream := packed_tar.extractfile(member))
            ]
    for name, data in members:
        if name.endswith(".tgz"):
            yield from contents(data)
        else:
            yield name, data


@dataclass
class Other:
    """What others make of one function: raw properties, and how to evaluate them."""

    properties: dict[str, Any]
    evaluate: Callable[[Any], Any]

    def value(self, name: str) -> Any:
        """Return a number or an architecture; None where these readers do not know it either."""
        if name not in self.properties:
            return DEFAULTS[name]
        raw = self.properties[name]
        try:
            value = self.evaluate(raw)
            value = value[0] if name == "Architectures" else value
            if value is None and "AWS::NoValue" in json.dumps(raw):
                return DEFAULTS[name]
            return value if name == "Architectures" else in_limits(name, int(value))
        except Exception:  # noqa: BLE001 - whatever stops it, it does not know
            return None

    def is_literal(self, name: str) -> bool:
        """Say whether no expression is needed to read a property."""
        return "{" not in json.dumps(self.properties.get(name, 0))


def in_limits(name: str, value: int) -> int | None:
    """Return a number that Lambda takes; templates of tests hold others, too."""
    least, most = (128, 10_240) if name == "MemorySize" else (1, 900)
    return value if least <= value <= most else None


def others(path: Path) -> dict[str, Other] | None:
    """Return what others read, or None where they do not take the file for a template."""
    from cfnlint.decode import decode  # noqa: PLC0415 - slow to load
    from moto.cloudformation.parsing import ResourceMap, clean_json  # noqa: PLC0415 - likewise
    from samtranslator.plugins.globals.globals import Globals  # noqa: PLC0415 - likewise

    decoded, problems = decode(str(path))
    if problems or not isinstance(decoded, dict) or not isinstance(decoded.get("Resources"), dict):
        return None
    template = json.loads(json.dumps(decoded, default=str))
    declared = template.get("Parameters") or {}
    known = {name: parameter for name, parameter in declared.items() if has_default(parameter)}
    decidable = {**template, "Parameters": known}
    resources = ResourceMap("id", "name", {}, {}, "eu-west-1", "123456789012", decidable, None)
    for load in (resources.load_mapping, resources.load_parameters, resources.load_conditions):
        try:
            load()
        except Exception:  # noqa: BLE001, S112 - templates of tests hold what moto cannot evaluate
            continue
    try:
        common = Globals(template)
    except Exception:  # noqa: BLE001 - a section that is wrong
        return None
    found = {}
    for name, resource in template["Resources"].items():
        if isinstance(resource, dict) and resource.get("Type") in FUNCTIONS:
            ignored, own = resource.get("IgnoreGlobals"), resource.get("Properties") or {}
            try:
                properties = common.merge(resource["Type"], own, name, ignored)
            except Exception:  # noqa: BLE001, S112 - an attribute that is wrong
                continue
            found[name] = Other(properties, lambda raw: clean_json(raw, resources))
    return found


def has_default(parameter: Any) -> bool:
    """Say whether a parameter of a template has a value that does not come from AWS."""
    return "Default" in parameter and not str(parameter.get("Type")).startswith("AWS::SSM::")


def compared(function: ConfiguredFunction, other: Other, path: Path) -> Iterator[str]:
    """Hold one function against what others read, and yield how each value came out."""
    pairs: list[tuple[str, Configured[Any]]] = [
        ("MemorySize", function.memory_mb),
        ("Timeout", function.timeout_s),
        ("Architectures", function.architecture),
    ]
    for name, configured in pairs:
        expected = other.value(name)
        where = f"{path}: {function.name} {name}: {configured}, others read {expected}"
        if configured.value is not None:
            assert configured.value == expected, where
            yield "default" if name not in other.properties else "literal" if other.is_literal(name) else "expression"
        else:
            assert configured.unresolved, where
            assert expected is None or not other.is_literal(name), where
            yield "unresolved"
            print(f"{name} of {function.name}: {configured.unresolved}")


def test_real_templates_are_read_as_others_read_them(templates: list[Path]) -> None:
    counts: Counter[str] = Counter()
    slowest = 0.0
    refused: list[tuple[Path, BadInputError]] = []
    for path in templates:
        began = time.perf_counter()
        try:
            functions = read_template(str(path))
        except BadInputError as error:
            counts["files that are no templates"] += 1
            refused.append((path, error))
            continue
        slowest = max(slowest, time.perf_counter() - began)
        counts["templates with functions"] += bool(functions)
        counts["functions"] += len(functions)
        counts[f"of {functions[0].kind}" if functions else "without functions"] += 1
        expected = others(path)
        if expected is None:
            counts["templates that others refuse"] += 1
            continue
        by_name = {function.name: function for function in functions}
        assert expected.keys() <= by_name.keys(), path
        for name, other in expected.items():
            counts["functions compared"] += 1
            counts.update(compared(by_name[name], other, path))
    for path, reason in refused:
        assert not others(path), f"{reason}, but not for others"
    print(f"slowest {slowest * 1000:.0f} ms; " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    assert counts["templates with functions"] >= 200
    assert counts["functions compared"] >= 300
    assert counts["literal"] >= 50
    assert counts["expression"] >= 1


def test_memory_of_real_templates_is_edited_in_one_line_a_function(templates: list[Path]) -> None:
    counts: Counter[str] = Counter()
    for path in templates:
        try:
            functions = read_template(str(path))
        except BadInputError:
            continue
        for function in functions:
            wanted = 1024 if function.memory_mb.value != 1024 else 1769
            try:
                [edit] = edit_memory(str(path), {function.name: wanted})
            except BadInputError as error:
                print(error.message.replace(str(path), path.name))
                counts["refused"] += 1
                continue
            removed, added = changed_lines(edit.before, edit.after)
            assert len(added) == 1, path
            assert len(removed) <= 1, path
            assert str(wanted).encode() in added[0], path
            counts["replaced" if removed else "added"] += 1
            after = path.with_name(f"edited-{path.name}")
            after.write_bytes(edit.after)
            read_again = others(after)
            if read_again and function.name in read_again:
                assert read_again[function.name].value("MemorySize") == wanted, path
                counts["read by others"] += 1
            after.unlink()
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    assert counts["refused"] <= 0.05 * counts["added"]
    assert counts["replaced"] >= 20
    assert counts["added"] >= 100
    assert counts["read by others"] >= 0.9 * (counts["replaced"] + counts["added"])


def changed_lines(before: bytes, after: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return what is left of two files without the lines that they begin and end with alike."""
    old, new = before.split(b"\n"), after.split(b"\n")
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return old, new
