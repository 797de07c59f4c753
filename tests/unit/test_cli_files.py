"""Files that a command writes."""

from pathlib import Path

import pytest

from powertune.cli import files
from powertune.errors import UsageError


def test_the_folder_of_baselines_is_made_with_the_first_of_them(tmp_path: Path) -> None:
    baseline = tmp_path / ".powertune" / "baseline.json"
    files.check_writable(str(baseline))
    assert list(tmp_path.iterdir()) == []
    files.write(str(baseline), "{}")
    files.write(str(baseline), "{ }")
    assert baseline.read_text(encoding="utf-8") == "{ }"
    assert list(baseline.parent.iterdir()) == [baseline]


@pytest.mark.parametrize("name", ["results/gate.json", "results/.powertune/baseline.json"])
def test_no_other_folder_is_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        files.check_writable(str(tmp_path / name))
