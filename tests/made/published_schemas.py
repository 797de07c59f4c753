"""The published schemas of the formats that pipelines read; see tests/data/README.md for where they are from."""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import xmlschema

_SCHEMAS = Path(__file__).parents[1] / "data" / "schemas"

# GitLab publishes no schema that says what its documentation does (Code Quality report format, 2026): all of these keys
# are needed, severities are five words. Lines begin at 1, and a report of another begin is one that shows nothing.
_GITLAB = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32,}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "properties": {
                    "path": {"type": "string", "minLength": 1, "not": {"pattern": "^\\./"}},
                    "lines": {
                        "type": "object",
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                        "required": ["begin"],
                    },
                },
                "required": ["path", "lines"],
            },
        },
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
    },
}


@cache
def _sarif() -> Any:
    schema = json.loads((_SCHEMAS / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
    return jsonschema.Draft4Validator(schema)


@cache
def _junit() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(_SCHEMAS / "junit-10.xsd"))


def validate(format_name: str, rendered: str) -> None:
    """Raise an error of the validator's where `rendered` is not what the published schema of the format asks for."""
    if format_name == "sarif":
        _sarif().validate(json.loads(rendered))
    elif format_name == "gitlab":
        jsonschema.Draft202012Validator(_GITLAB).validate(json.loads(rendered))
    else:
        _junit().validate(io.BytesIO(rendered.encode("utf-8")))
