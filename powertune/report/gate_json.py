"""The file of a gate result itself."""

import json

from powertune.model.gate_file import to_dict
from powertune.model.judgement import GateResult
from powertune.report import Style


def render(result: GateResult, _style: Style) -> str:
    """Return the gate file: JSON text, ASCII only."""
    return json.dumps(to_dict(result), indent=1, allow_nan=False) + "\n"
