"""The house keeps its order: imports go down only, and each third-party library is at home in one room."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "powertune"

FOUNDATIONS = {"errors", "text"}
# What each room may import of powertune, besides itself and the foundations.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "text": set(),
    "model": set(),
    "tally": set(),
    "progress_table": {"tally"},
    "progress": {"tally", "progress_table"},
    "aws_lambda": {"model"},
    "analysis": {"aws_lambda", "model"},
    "sources": {"aws_lambda", "model", "progress", "__init__"},
    "report": {"aws_lambda", "model"},
    "templates": {"aws_lambda", "model"},
    "charging": {"aws_lambda", "model", "sources"},
    "profiling": {"analysis", "aws_lambda", "model"},
    "tuning": {"analysis", "aws_lambda", "charging", "model", "profiling", "sources", "__init__"},
    "api": {"aws_lambda", "charging", "model", "progress", "sources", "tuning", "__init__"},
    "cli": {"api", "charging", "tuning", "sources", "report", "aws_lambda", "model", "progress", "__init__"},
    "examples": set(),
    "__main__": {"cli"},
    "__init__": {"api", "tuning", "model", "errors", "sources"},
}
# Third-party libraries, and the rooms or files they may appear in.
AT_HOME: dict[str, set[str]] = {
    "typer": {"cli"},
    "rich": {"report/table.py", "progress.py", "progress_table.py"},
    "numpy": {"analysis", "sources/bulk"},
    "distributed": {"sources/engines.py"},
    "boto3": {"sources/aws"},
    "botocore": {"sources/aws"},
    "hcl2": {"templates/hcl_expressions.py"},
    "lark": {"templates/hcl_expressions.py"},
    "yaml": {"templates/yaml_tree.py"},
    "platformdirs": {"sources/aws/journal.py", "sources/cache.py"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports name the package in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_at_home(path: Path, homes: set[str]) -> bool:
    inside = path.relative_to(PACKAGE)
    return any(home in (part.as_posix() for part in (inside, *inside.parents)) for home in homes)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    room = room_of(path)
    for name in imported(path):
        if name.split(".")[0] == "powertune":
            target = name.split(".")[1]
            known = target if target in MAY_IMPORT else "__init__"
            assert known in {room, *FOUNDATIONS, *MAY_IMPORT[room]}, f"{room} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_third_party_library_is_imported_only_where_it_is_at_home(path: Path) -> None:
    for name in imported(path):
        library = name.split(".")[0]
        assert library not in AT_HOME or is_at_home(path, AT_HOME[library]), f"{library} in {path}"


def test_the_model_is_standard_library_only() -> None:
    import sys  # noqa: PLC0415 - used here alone

    for path in (PACKAGE / "model").glob("*.py"):
        for name in imported(path):
            assert name.split(".")[0] in {*sys.stdlib_module_names, "powertune"}


@pytest.mark.parametrize("file", ["worker.py", "watcher.py"])
def test_what_runs_by_itself_needs_nothing_but_the_standard_library(file: str) -> None:
    import sys  # noqa: PLC0415 - used here alone

    for name in imported(PACKAGE / "sources" / file):
        assert name.split(".")[0] in sys.stdlib_module_names
