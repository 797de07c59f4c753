"""A gate result as JUnit's XML: a suite for each function, a case for each check."""

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from powertune import text
from powertune.model.judgement import Check, GateResult, Judgement
from powertune.report import Style, verdicts

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_NOT_IN_XML = re.compile("[\ufffe\uffff]")
"""What XML 1.0 has no way to write, and `printable` lets pass."""


def render(result: GateResult, _style: Style) -> str:
    """Return the report. What is waived, noted or undecided is a skipped case that says why."""
    root = ET.Element("testsuites", {"name": "powertune gate", **_counts(result.judgements)})
    root.attrib.pop("skipped")  # the published schema knows it in suites alone
    for judgement in result.judgements:
        root.append(_suite(judgement))
    ET.indent(root)
    return f"{_DECLARATION}\n{ET.tostring(root, encoding='unicode')}\n"


def _counts(judgements: Iterable[Judgement]) -> dict[str, str]:
    states = [verdicts.state_of(check) for judgement in judgements for check in judgement.checks]
    failed, passed = states.count("fails"), states.count("passes")
    return {
        "tests": str(len(states)),
        "failures": str(failed),
        "errors": "0",
        "skipped": str(len(states) - failed - passed),
    }


def _suite(judgement: Judgement) -> ET.Element:
    name = _xml(verdicts.name_of(judgement))
    suite = ET.Element("testsuite", {"name": name, **_counts([judgement])})
    if judgement.run:
        suite.set("timestamp", _xml(text.printable(judgement.run.created_at, limit=40)))
    properties = ET.SubElement(suite, "properties")
    for key, value in _facts(judgement).items():
        ET.SubElement(properties, "property", name=key, value=_xml(value))
    for check in judgement.checks:
        suite.append(_case(judgement, check, name))
    return suite


def _facts(judgement: Judgement) -> dict[str, str]:
    """Return what the checks of a function rest on."""
    run, now = judgement.run, judgement.current_memory_mb
    facts = {
        "outcome": judgement.outcome,
        "current_memory_mb": "" if now is None else str(now),
        "recommended_memory_mb": str(judgement.recommended_memory_mb or ""),
        "place": verdicts.place_of(judgement.place),
    }
    if run:
        runs = [size.invocations for size in run.sizes if size.memory_mb == now]
        facts["runs_at_current_memory"] = str(sum(counts.warm or counts.cold for counts in runs))
        facts["prices_as_of"] = text.printable(run.pricing.as_of or "", limit=40)
    return {key: value for key, value in facts.items() if value}


def _case(judgement: Judgement, check: Check, name: str) -> ET.Element:
    case = ET.Element("testcase", classname=name, name=_xml(text.printable(check.rule, limit=100)))
    state, message = verdicts.state_of(check), _xml(verdicts.message_of(check))
    about = (verdicts.place_of(judgement.place), message, verdicts.untold_change(judgement), verdicts.hint_of(check))
    if state == "fails":
        failure = ET.SubElement(case, "failure", type=case.get("name", ""), message=message)
        failure.text = _xml("\n".join(line for line in about if line))
    elif state != "passes":
        why = verdicts.waiver_of(check) or {"noted": "does not fail the gate", "unknown": "undecided"}[state]
        ET.SubElement(case, "skipped", message=_xml(f"{why}: {message}"))
    return case


def _xml(value: str) -> str:
    return _NOT_IN_XML.sub("?", value)
