"""Intrinsic functions of CloudFormation in random nests: evaluated as moto evaluates them, or said to be unresolved."""

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from moto.cloudformation.parsing import ResourceMap, clean_json

from powertune.templates import read_template

pytestmark = pytest.mark.benchmark

PARAMETERS = {
    "Size": {"Type": "Number", "Default": "512"},
    "Stage": {"Type": "String", "Default": "dev"},
    "Empty": {"Type": "String", "Default": ""},
    "Comma": {"Type": "String", "Default": "a,b,c"},
}
MAPPINGS = {"Sizes": {"dev": {"Small": "256", "Large": "2048"}, "prod": {"Small": "512", "Large": "4096"}}}


def expression(random: Random, depth: int) -> Any:
    """Return an expression that comes to a text."""
    if depth == 0 or random.random() < 0.2:
        return random.choice(
            ["256", "x", "", "dev", {"Ref": random.choice(sorted(PARAMETERS))}, {"Ref": "AWS::Region"}]
        )
    inner = [expression(random, depth - 1) for _ in range(random.randint(1, 3))]
    subs = ["${Size}", "a-${Stage}-${Empty}", "$${Stage}", "${AWS::Region}b"]
    stage = random.choice(["dev", "prod", {"Ref": "Stage"}])
    forms: list[tuple[str, Any]] = [
        ("Fn::If", [f"C{random.randrange(6)}", inner[0], inner[-1]]),
        ("Fn::Join", [random.choice(["", ",", "-"]), inner]),
        ("Fn::Select", [str(random.randrange(len(inner))), inner]),
        ("Fn::Select", [0, {"Fn::Split": [random.choice([",", "-"]), inner[0]]}]),
        ("Fn::Sub", random.choice(subs)),
        ("Fn::Sub", ["${One}:${Stage}", {"One": inner[0]}]),
        ("Fn::FindInMap", ["Sizes", stage, random.choice(["Small", "Large"])]),
    ]
    return dict([random.choice(forms)])


def condition(random: Random, number: int, depth: int) -> Any:
    """Return a condition that needs no other than those of a lower number."""
    if depth == 0:
        return {"Fn::Equals": [expression(random, 1), expression(random, 1)]}
    inner = [condition(random, number, depth - 1) for _ in range(random.randint(2, 3))]
    match random.randrange(4):
        case 0:
            return {"Fn::And": inner}
        case 1:
            return {"Fn::Or": inner}
        case 2:
            return {"Fn::Not": inner[:1]}
        case _:
            # Twice, as moto takes a condition that is another's name only inside a function.
            return {"Fn::And": [{"Condition": f"C{random.randrange(number)}"}] * 2} if number else inner[0]


def without_if(node: Any) -> bool:
    return "Fn::If" not in json.dumps(node)


def test_expressions_come_to_what_moto_makes_of_them(tmp_path: Path) -> None:
    random = Random(7)  # noqa: S311 - the same nests each time
    counts: Counter[str] = Counter()
    for number in range(400):
        conditions: dict[str, Any] = {}
        while len(conditions) < 6:
            one = condition(random, len(conditions), 2)
            if without_if(one):  # CloudFormation has none in conditions
                conditions[f"C{len(conditions)}"] = one
        variables = {f"V{n}": expression(random, 4) for n in range(10)}
        function = {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": variables}}}
        template = {
            "Parameters": PARAMETERS,
            "Mappings": MAPPINGS,
            "Conditions": conditions,
            "Resources": {"F": function},
        }
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(template), encoding="utf-8")
        [found] = read_template(str(path))
        resources = ResourceMap("id", "name", {}, {}, "eu-west-1", "123456789012", template, None)
        resources.load_mapping()
        resources.load_parameters()
        resources.load_conditions()
        for name, written in variables.items():
            value = found.environment[name]
            if value.value is None:
                assert "AWS::Region" in str(value.unresolved), (written, value)
                counts["unresolved"] += 1
            else:
                expected = clean_json(written, resources)
                assert value.value == expected, (written, conditions)
                counts["equal"] += 1
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    assert counts["equal"] >= 2000
