"""One service of six functions, two of them badly sized, in four ways to write it down: found, pointed at, mended."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from powertune.cli.main import main

SERVICE = Path(__file__).parents[1] / "data" / "sample_service"
TEMPLATES = ["template.yaml", "serverless.yml", "cdk.out/Sample.template.json", "plan.json"]
SIZES_MB = [128, 512, 1024, 1280, 1769, 3008]
CPU_MS = {"Orders": 0, "Thumbnails": 28, "Reports": 28, "Invoices": 18, "Audit": 0, "Search": 37}
WAIT_MS = {"Orders": 30, "Thumbnails": 0, "Reports": 0, "Invoices": 10, "Audit": 30, "Search": 0}
BAD = {"Thumbnails": ("under-provisioned", 128), "Audit": ("over-provisioned", 3008)}

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def powertune(capfd: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        code = main(arguments)
        return code, capfd.readouterr().out

    return run


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the service, and write durations of its functions as a log of production would have them."""
    folder = tmp_path / "service"
    shutil.copytree(SERVICE, folder)
    monkeypatch.chdir(folder)
    rows = [
        f"{name},{size},{CPU_MS[name] * max(1, 1769 / size) + WAIT_MS[name] + 0.3 * number}"
        for name in CPU_MS
        for size in SIZES_MB
        for number in range(10)
    ]
    Path("recorded.csv").write_text("\n".join(["function_name,memory_mb,duration_ms", *rows]), encoding="utf-8")
    return folder


def line_of_memory(template: str, name: str, memory_mb: int) -> tuple[str, int]:
    """Return the file and the line, by a look at the text, where the memory of a badly sized function stands."""
    file = "main.tf" if template == "plan.json" else template
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if name.lower() in line.lower())
    pattern = re.compile(rf"memory_?size\W+{memory_mb}\b", re.IGNORECASE)
    return file, next(number for number, line in enumerate(lines, 1) if number > start and pattern.search(line))


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_two_badly_sized_functions_are_found_and_mended_by_one_line_each(
    powertune: Command, service: Path, template: str
) -> None:
    expected = {name: line_of_memory(template, name, memory_mb) for name, (_, memory_mb) in BAD.items()}
    before = {path: path.read_bytes() for path in service.rglob("*") if path.is_file()}

    code, out = powertune("gate", "recorded.csv", "--template", template, "-q", "-f", "github", "--save", "gate.json")
    assert code == 1
    found = re.findall(r"^::error file=(.*?),line=(\d+),title=powertune (\S+?)::(?:\S*\.)?(\w+):", out, re.MULTILINE)
    assert {name.capitalize(): (file, int(line), rule) for file, line, rule, name in found} == {
        name: (*expected[name], rule) for name, (rule, _) in BAD.items()
    }

    code, out = powertune("apply", "gate.json", "--template", template, "-q")
    assert (code, len(out.splitlines())) == (0, 2)
    (service / "gate.json").unlink()
    changed = [path for path in service.rglob("*") if path.is_file() and path.read_bytes() != before[path]]
    assert [path.relative_to(service).as_posix() for path in changed] == [expected["Audit"][0]]
    was, now = before[changed[0]].split(b"\n"), changed[0].read_bytes().split(b"\n")
    assert len(was) == len(now)
    assert [number for number, (one, other) in enumerate(zip(was, now, strict=True), 1) if one != other] == sorted(
        line for _, line in expected.values()
    )

    # A plan is made anew after its sources were edited; here these themselves are read.
    again = "main.tf" if template == "plan.json" else template
    assert powertune("gate", "recorded.csv", "--template", again, "-q")[0] == 0
