"""`powertune prices` shows what every cost rests on, with its date, and does not hide what is unknown."""

import csv
import io
import json

import pytest

from powertune.aws_lambda.pricing import regions
from powertune.cli.main import main


def out(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["prices", *arguments]) == 0
    return capfd.readouterr().out


def test_every_region_is_listed_with_its_date(capfd: pytest.CaptureFixture[str]) -> None:
    lines = {line.split()[0]: line for line in out(capfd).splitlines()[2:]}
    assert set(lines) == set(regions())
    assert lines["us-east-1"].split() == [
        "us-east-1", "$0.0000166667", "$0.0000133334", "$0.0000000309", "$0.20", "2026-09-19",
    ]  # fmt: skip
    assert lines["cn-north-1"].split()[1] == "¥0.000113477"
    assert "unknown" in lines["mx-central-1"]
    assert max(map(len, lines.values())) <= 80


def test_one_region_is_shown_with_its_tiers_and_whether_they_were_derived(capfd: pytest.CaptureFixture[str]) -> None:
    listed = out(capfd, "--region", "us-east-1")
    assert "$0.000015  up to 15 billion" in listed
    assert "derived" not in listed
    assert "derived" in out(capfd, "--region", "af-south-1")


def test_json_and_csv_hold_the_same_prices(capfd: pytest.CaptureFixture[str]) -> None:
    documents = json.loads(out(capfd, "-f", "json"))
    rows = list(csv.DictReader(io.StringIO(out(capfd, "-f", "csv"))))
    assert [document["region"] for document in documents] == [row["region"] for row in rows]
    for document, row in zip(documents, rows, strict=True):
        tiers = document["per_gb_second_arm64"]
        assert (tiers and tiers[2]["price"]) == (float(row["arm64_tier3"]) if row["arm64_tier3"] else None)
        assert document["per_request"] == (float(row["per_request"]) if row["per_request"] else None)


def test_an_unknown_region_is_told_with_those_that_are_near(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "--region", "eu-west-11"]) == 2
    assert "eu-west-1" in capfd.readouterr().err


def test_a_price_that_is_not_known_asks_for_the_option_that_gives_it(capfd: pytest.CaptureFixture[str]) -> None:
    command = ["dry-run", "powertune.examples.waiting:handler", "-p", '{"seconds": 0}', "--region", "mx-central-1"]
    assert main(command) == 2
    assert "--price-gb-second" in capfd.readouterr().err
    assert main([*command, "--price-gb-second", "0.00001", "--price-request", "0.0000002", "-n", "1", "-q"]) == 0
    assert "(given)" in capfd.readouterr().out
