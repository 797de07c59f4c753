"""Services that others wrote, and variables as Serverless itself resolves them: taken from npm at run time.

On 2026-11-26: 76 services for AWS with 113 functions, all read as written and edited in one line each; 84 files for
other clouds and 2 that are no services; seven functions with all kinds of variables, in two stages, as the framework
has them.
"""

import difflib
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from powertune.errors import BadInputError
from powertune.templates import edit_memory, read_template

pytestmark = pytest.mark.benchmark

# The last of each major version. 1 and 2 ship the templates that `serverless create` starts services from.
PACKAGES = ["serverless@1.83.3", "serverless@2.72.3", "serverless@3.40.0"]
FRAMEWORK = "serverless@3.40.0"
OTHER_CLOUDS = "deploys to"

SERVICE = """\
service: shop
frameworkVersion: "3"
custom:
  sizes:
    dev: 512
    prod: 2048
  list: [128, 640]
  quoted: "640"
  nothing: null
  flag: ${strToBool(${opt:flag, 'true'})}
  nested: ${self:custom.sizes.${self:custom.key, 'dev'}}
  common: &common
    timeout: 20
    memorySize: 300
  empty: ""
  from_file: ${file(./extra.json):sizes.api}
  whole: ${file(functions.yml)}
  quotes: 'it''s ${sls:stage}, ok'
provider:
  name: aws
  runtime: python3.11
  stage: ${opt:stage, 'dev'}
  memorySize: ${self:custom.sizes.${sls:stage}}
  environment:
    STAGE: ${self:provider.stage}
params:
  default:
    timeout: 11
  prod:
    timeout: 33
functions:
  many:
    handler: src/app.handler
    memorySize: 256
    timeout: ${param:timeout}
    environment:
      A: "a-${sls:stage}-${env:POWERTUNE_TEST_MISSING, 'none'}"
      B: ${self:custom.quotes}
      C: ${self:custom.flag}
      D: ${self:custom.empty}
      E: ${self:custom.nothing, 'fallback'}
      F: ${opt:missing, "it's, quoted"}
      G: ${self:service}-${self:functions.many.handler}
      H: ${self:custom.list.1}
      I: ${opt:missing, self:custom.quoted}
      J: ${self:custom.whole.filed.timeout}
      K: pre${self:custom.list.0}post${self:custom.sizes.prod}
      L: "${self:custom.missing, ''}"
      M: ${file(absent.yml):x, file(functions.yml):filed.handler}
      N: ${env:POWERTUNE_TEST_SET}
  common: {handler: a.b}
  merged:
    <<: *common
    handler: a.b
  filed: ${file(functions.yml):filed}
  item: {handler: a.b, memorySize: "${self:custom.list.1}"}
  other: {handler: a.b, memorySize: "${self:custom.from_file}", timeout: "${self:functions.merged.timeout}"}
  nested: {handler: a.b, memorySize: "${self:custom.nested}"}
"""


@pytest.fixture(scope="module")
def npm() -> str:
    found = shutil.which("npm")
    if not found:
        pytest.skip("npm is not installed")
    return found


def run(*command: str, folder: Path, timeout: int = 600, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


class PlainLoader(yaml.SafeLoader):
    """Takes tags of CloudFormation for nothing."""


PlainLoader.add_multi_constructor("!", lambda *_: None)


def expected(path: Path) -> dict[str, Any]:
    """Return the functions with memory and timeout where both are written as numbers, or not at all."""
    service = yaml.load(path.read_text(encoding="utf-8"), PlainLoader)  # noqa: S506 - a safe loader with tags
    provider = service["provider"] if isinstance(service["provider"], dict) else {}
    found = {}
    for name, function in (service.get("functions") or {}).items():
        memory = function.get("memorySize", provider.get("memorySize", 1024))
        timeout = function.get("timeout", provider.get("timeout", 6))
        found[name] = (memory, float(timeout))
    return found


def test_services_of_the_frameworks_packages_are_read_right_and_edited_in_one_line(npm: str, tmp_path: Path) -> None:
    figures: Counter[str] = Counter()
    began = 0.0
    for package in PACKAGES:
        name = run(npm, "pack", "--silent", package, folder=tmp_path).strip().splitlines()[-1]
        with tarfile.open(tmp_path / name) as packed:
            packed.extractall(tmp_path / name.removesuffix(".tgz"), filter="data")
    for path in sorted(tmp_path.rglob("serverless.y*ml")):
        began -= time.perf_counter()
        try:
            functions = read_template(str(path))
        except BadInputError as error:
            figures["of other clouds" if OTHER_CLOUDS in str(error) else "no services"] += 1
            continue
        finally:
            began += time.perf_counter()
        figures["services"] += 1
        found = {function.name: (function.memory_mb.value, function.timeout_s.value) for function in functions}
        assert found == expected(path), path
        for function in functions:
            figures["functions"] += 1
            figures["with memory written"] += function.memory_mb.place is not None
            [edit] = edit_memory(str(path), {function.name: 1088})
            changed = difflib.ndiff(edit.before.decode().splitlines(), edit.after.decode().splitlines())
            signs = sorted(line[0] for line in changed if line[0] in "+-")
            assert signs in (["+"], ["+", "-"]), path
    print({**figures}, f"read in {began:.1f} s")
    assert figures["services"] >= 50
    assert figures["no services"] <= 5


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_variables_resolve_as_the_framework_resolves_them(
    npm: str, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    framework = tmp_path_factory.getbasetemp() / "framework"
    if not framework.exists():
        framework.mkdir()
        run(npm, "install", "--silent", "--no-audit", "--no-fund", FRAMEWORK, folder=framework)
    monkeypatch.setenv("POWERTUNE_TEST_SET", "from the environment")
    (tmp_path / "serverless.yml").write_text(SERVICE, encoding="utf-8")
    (tmp_path / "functions.yml").write_text("filed: {handler: d.d, memorySize: 777, timeout: 9}\n", encoding="utf-8")
    (tmp_path / "extra.json").write_text('{"sizes": {"api": 896}}', encoding="utf-8")
    printed = run(
        str(framework / "node_modules" / ".bin" / "serverless"),
        *("print", "--format", "json", "--stage", stage),
        folder=tmp_path,
        SLS_TELEMETRY_DISABLED="1",
        SLS_DEPRECATION_NOTIFICATION_MODE="off",
    )
    service = json.loads(printed)
    provider = service["provider"]
    for function in read_template(str(tmp_path / "serverless.yml"), stage=stage):
        theirs = service["functions"][function.name]
        assert function.memory_mb.value == theirs.get("memorySize", provider["memorySize"])
        assert function.timeout_s.value == theirs.get("timeout", 6)
        assert function.function_name.value == theirs["name"]
        environment = provider["environment"] | theirs.get("environment", {})
        assert {name: value.value for name, value in function.environment.items()} == {
            name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in environment.items()
        }
