"""A handler as it is deployed: its own interpreter, environment, layers, folder, payloads; the same figures."""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import powertune
from powertune.errors import BadInputError, UsageError

ENOUGH_S = 60
PACKAGE = Path(powertune.__file__)
HANDLER = """
import json, logging, os, sys, time

calls = 0
filled = {}


def burn(cpu_seconds):
    end = time.thread_time() + cpu_seconds
    while time.thread_time() < end:
        sum(range(1000))


def computes(event, context):
    burn(0.03)


def computes_and_waits(event, context):
    burn(0.02)
    time.sleep(0.03)
    burn(0.02)


def by_payload(event, context):
    burn(event["s"])


def warms_up(event, context):
    global calls
    calls += 1
    burn(0.06 if calls <= 3 else 0.02)


def tells(event, context):
    import from_layer
    with open(event["to"], "a") as stream:
        stream.write(json.dumps({
            "python": list(sys.version_info[:2]),
            "environment": dict(os.environ),
            "folder": os.getcwd(),
            "layer": from_layer.NAME,
            "path": sys.path,
            "argv": sys.argv,
            "function": context.function_name,
            "memory": context.memory_limit_in_mb,
            "left_ms": context.get_remaining_time_in_millis(),
            "powertune": "powertune" in sys.modules,
            "handlers": len(logging.getLogger().handlers),
        }) + "\\n")


def counts(event, context):
    with open("calls", "a") as stream:
        stream.write("called\\n")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    task = tmp_path / "task"
    task.mkdir()
    (task / "orders.py").write_text(HANDLER, encoding="utf-8")
    monkeypatch.chdir(task)
    return task


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def dry_run(folder: Path) -> Run:
    """Run a handler of the folder through the command and return the run file."""

    def run(handler: str, *options: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "powertune", "dry-run", f"orders:{handler}", "-f", "json", "-n", "3", *options]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=ENOUGH_S, check=False)
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    return run


@pytest.mark.parametrize("options", [[], ["--isolate"]], ids=["in-process", "isolated"])
def test_in_process_and_isolated_calls_give_the_same_work(dry_run: Run, options: list[str]) -> None:
    source = dry_run("computes_and_waits", *options)["source"]
    assert source["isolated"] is bool(options)
    assert source["cpu_ms"] == pytest.approx(40, rel=0.15)
    assert source["wait_ms"] == pytest.approx(30, rel=0.4)
    assert len(source["init_runs_ms"]) == 3


@pytest.mark.parametrize("options", [[], ["--isolate"]], ids=["in-process", "isolated"])
def test_all_sizes_cost_one_set_of_calls(dry_run: Run, folder: Path, options: list[str]) -> None:
    run = dry_run("counts", "-m", "all", "-n", "4", *options)
    assert (folder / "calls").read_text(encoding="ascii").count("called") == 5
    assert len(run["sizes"]) > 150
    assert {size["invocations"]["warm"] for size in run["sizes"]} == {4}


@pytest.fixture
def layers(tmp_path: Path) -> tuple[Path, Path]:
    """Give two layers, of which the second covers a module of the first."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    first = tmp_path / "first" / "python"
    second = tmp_path / "second" / "python" / "lib" / version / "site-packages"
    for place, name in ((first, "first"), (second, "second")):
        place.mkdir(parents=True)
        (place / "from_layer.py").write_text(f"NAME = {name!r}\n", encoding="utf-8")
    return tmp_path / "first", tmp_path / "second"


@pytest.mark.parametrize("isolated", [False, True], ids=["in-process", "isolated"])
def test_environment_layers_and_context_are_those_of_the_deployment(
    dry_run: Run, folder: Path, layers: tuple[Path, Path], tmp_path: Path, *, isolated: bool
) -> None:
    (folder / ".env").write_text("STAGE=test\nTABLE=orders\n", encoding="utf-8")
    told_to = tmp_path / "told"
    options = ["--env-file", ".env", "--env", "STAGE=prod", "--layer", str(layers[0]), "--layer", str(layers[1])]
    options += ["--current", "512", "--timeout", "30", "-p", json.dumps({"to": str(told_to)})]
    dry_run("tells", *options, *(["--isolate"] if isolated else []))
    told = [json.loads(line) for line in told_to.read_text(encoding="utf-8").splitlines()]
    assert len(told) == 4
    inside = told[0]["environment"]
    assert (inside["STAGE"], inside["TABLE"]) == ("prod", "orders")
    assert inside["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == told[0]["memory"] == "512"
    assert inside["AWS_EXECUTION_ENV"] == f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}"
    assert inside["LAMBDA_TASK_ROOT"] == told[0]["folder"] == told[0]["path"][0] == str(folder)
    assert inside["_HANDLER"] == "orders:tells"
    assert told[0]["layer"] == "second"
    assert told[0]["function"] == "orders"
    assert 0 < told[0]["left_ms"] <= 30_000
    if isolated:
        assert inside["TZ"] == ":UTC"
        assert not told[0]["powertune"]
        assert told[0]["handlers"] == 1
        assert len(told[0]["argv"]) == 1


def test_a_handler_runs_in_the_virtual_environment_of_the_function(folder: Path, tmp_path: Path, dry_run: Run) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    [packages] = (tmp_path / "venv").glob("lib/python*/site-packages")
    (packages / "only_there.py").write_text("ANSWER = 42\n", encoding="utf-8")
    (folder / "orders.py").write_text(
        "import only_there\ndef handler(e, c): return only_there.ANSWER\n", encoding="utf-8"
    )
    for python in (tmp_path / "venv", tmp_path / "venv" / "bin" / "python"):
        run = dry_run("handler", "--python", str(python))
        assert {size["status"] for size in run["sizes"]} == {"ok"}
        assert run["function"]["runtime"] == f"python{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize("python", ["/nowhere/python", "no-such-python", "/etc/passwd", "/bin/true", "/bin/cat"])
def test_what_is_no_interpreter_is_refused(folder: Path, python: str) -> None:
    assert folder.is_dir()
    with pytest.raises(UsageError, match="interpreter"):
        powertune.dry_run("orders:computes", python=python)


def test_a_mix_of_payloads_is_weighed(dry_run: Run, folder: Path) -> None:
    mix = [
        {"payload": {"s": 0.01}, "weight": 9, "name": "small"},
        {"payload": {"s": 0.06}, "weight": 1, "name": "large"},
    ]
    (folder / "mix.json").write_text(json.dumps(mix), encoding="utf-8")
    run = dry_run("by_payload", "--payloads", "mix.json", "-n", "10", "-m", "1769", "--isolate", "--seed", "1")
    [size] = run["sizes"]
    # 0.9 of 10 ms and 0.1 of 60 ms, and the runtime's own 1.3 ms.
    assert size["duration_ms"]["mean"] == pytest.approx(16.3, rel=0.2)
    named = [one["payload"] for one in run["invocations"] if not one["cold"]]
    assert (named.count("small"), named.count("large")) == (9, 1)


def test_calls_that_still_warm_up_are_seen_and_left_out(dry_run: Run) -> None:
    run = dry_run("warms_up", "-n", "10", "-m", "1769", "--isolate")
    assert run["source"]["warm_up_calls"] == 2
    assert run["sizes"][0]["invocations"] == {"warm": 8, "cold": 1, "failed": 0}
    assert run["source"]["cpu_ms"] == pytest.approx(20, rel=0.15)
    assert run["source"]["first_call_extra_ms"] > 20
    assert "warming-up" in {warning["code"] for warning in run["warnings"]}


def test_verbose_shows_what_an_isolated_handler_printed_and_standard_output_does_not(folder: Path) -> None:
    with (folder / "orders.py").open("a", encoding="utf-8") as stream:
        stream.write(
            "\ndef prints(e, c):\n    print('printed', flush=False)\n    os.write(1, b'written\\n')\n"
            "    logging.getLogger().error('logged')\n"
        )
    command = [
        sys.executable,
        "-m",
        "powertune",
        "dry-run",
        "orders:prints",
        "--isolate",
        "-n",
        "1",
        "-v",
        "-f",
        "json",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=ENOUGH_S, check=False)
    assert json.loads(done.stdout)["sizes"]
    shown = [line for line in done.stderr.splitlines() if line.startswith("  | ")]
    assert [line.count("printed") for line in shown] == [1, 0, 0] * 2
    assert "[ERROR]" in shown[2]
    assert "logged" in shown[2]


def test_memory_is_much_the_same_in_either_process(dry_run: Run, folder: Path) -> None:
    with (folder / "orders.py").open("a", encoding="utf-8") as stream:
        stream.write("\ndef takes_memory(e, c):\n    return len(b'x' * 100_000_000)\n")
    used_mb = [
        dry_run("takes_memory", "-m", "1024", *options)["sizes"][0]["max_memory_used_mb"]
        for options in ([], ["--isolate"])
    ]
    assert used_mb == pytest.approx([135, 135], abs=12)


@pytest.mark.parametrize("options", [[], ["--isolate"]], ids=["in-process", "isolated"])
def test_a_module_that_does_not_fit_into_any_size_is_a_row_that_says_what_it_needs(
    folder: Path, options: list[str]
) -> None:
    (folder / "large.py").write_text("data = b'x' * 200_000_000\ndef handler(e, c): pass\n", encoding="utf-8")
    command = [sys.executable, "-m", "powertune", "dry-run", "large:handler", "-m", "128", "-f", "json", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=ENOUGH_S, check=False)
    assert done.returncode == 5
    [size] = json.loads(done.stdout)["sizes"]
    assert size["status"] == "out-of-memory"
    assert size["reason"].startswith("needs about 2")


def can_mount() -> bool:
    """Tell whether this process may give a child a /tmp of its own."""
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)  # noqa: S607 - any will do
    return done.returncode == 0


def test_tmp_is_held_to_its_size_or_it_is_said_that_it_is_not(folder: Path, dry_run: Run) -> None:
    with (folder / "orders.py").open("a", encoding="utf-8") as stream:
        stream.write(
            "\ndef fills(e, c):\n    for n in range(4):\n"
            "        with open(f'/tmp/powertune-{os.getpid()}-{n}', 'wb') as s:\n"
            "            s.write(b'x' * 200_000_000)\n"
        )
    run = dry_run("computes", "--isolate", "--ephemeral-storage", "600", "-m", "512")
    codes = {warning["code"] for warning in run["warnings"]}
    needed = [folder, Path(sys.executable), PACKAGE, *map(Path, os.environ.get("PYTHONPATH", "/").split(os.pathsep))]
    lies_in_tmp = any(path.resolve().is_relative_to("/tmp") for path in needed)  # noqa: S108 - that is its name
    held = shutil.which("unshare") is not None and can_mount() and not lies_in_tmp
    assert ("tmp-not-held" not in codes) == held
    if held:
        command = [
            sys.executable,
            "-m",
            "powertune",
            "dry-run",
            "orders:fills",
            "--isolate",
            "-m",
            "1024",
            "-f",
            "json",
        ]
        done = subprocess.run([*command, "--ephemeral-storage", "600"], cwd=folder, capture_output=True, check=False)
        assert done.returncode == 5
        assert "No space left on device" in json.loads(done.stdout)["sizes"][0]["reason"]
        assert not list(Path("/tmp").glob("powertune-*"))  # noqa: S108 - that is its name


def test_the_api_takes_what_the_command_does(folder: Path, layers: tuple[Path, Path], tmp_path: Path) -> None:
    run = powertune.dry_run(
        "orders:tells",
        payload={"to": str(tmp_path / "told")},
        sizes=[128, 512],
        samples=1,
        isolate=True,
        env={"STAGE": "test"},
        layers=[layers[0]],
    )
    assert [size.status for size in run.sizes] == ["ok", "ok"]
    told = json.loads((tmp_path / "told").read_text(encoding="utf-8").splitlines()[0])
    assert (told["layer"], told["environment"]["STAGE"], told["folder"]) == ("first", "test", str(folder))
    assert "STAGE" not in os.environ


def test_a_function_object_cannot_be_isolated() -> None:
    with pytest.raises(UsageError, match="function object"):
        powertune.dry_run(lambda event, context: None, isolate=True)  # noqa: ARG005 - never called


def test_a_layer_that_is_no_folder_is_told_before_anything_runs(folder: Path) -> None:
    with pytest.raises(BadInputError, match="is no folder"):
        powertune.dry_run("orders:counts", layers=["nowhere"])
    assert not (folder / "calls").exists()
