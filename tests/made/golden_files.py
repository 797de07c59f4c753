"""Golden files: what people see, written down."""

import re
from pathlib import Path

import powertune
from powertune.report import Style

_HERE = Path(__file__).parents[1] / "golden"

STYLES = {
    "80": Style(80),
    "120": Style(120),
    "80-color": Style(80, color=True),
    "80-ascii": Style(80, ascii_only=True),
    "56": Style(56),
}


def steady(rendered: str) -> str:
    """Return what was rendered without what changes from run to run."""
    rendered = re.sub(r'"created_at": "[^"]*"', '"created_at": "2026-11-23T12:00:00+00:00"', rendered)
    rendered = re.sub(r">powertune [\d.]+, [^<]*<", ">powertune 0.0.0, 2026-11-23T12:00:00+00:00<", rendered)
    return rendered.replace(f'"version": "{powertune.__version__}"', '"version": "0.0.0"')


def check(name: str, rendered: str, *, update: bool) -> None:
    """Compare with the golden file of that name, which is written anew where `update` is set."""
    golden = _HERE / name
    if update:
        golden.write_text(rendered, encoding="utf-8")
    assert golden.exists(), "run pytest --update-golden, and look at the new file"
    assert rendered == golden.read_text(encoding="utf-8")
