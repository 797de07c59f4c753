"""`powertune prices` shows what every cost rests on, with its date, and does not hide what is unknown."""

import csv
import io
import json
import re
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

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
    assert lines["us-gov-west-1"].split() == ["us-gov-west-1", "$0.0000166667", "unknown", "unknown", "unknown", "2022"]
    assert lines["cn-north-1"].split()[1] == "¥0.000113477"
    assert "unknown" in lines["mx-central-1"]
    assert max(map(len, lines.values())) <= 80


def test_one_region_is_shown_with_its_tiers_and_whether_they_were_derived(capfd: pytest.CaptureFixture[str]) -> None:
    listed = out(capfd, "--region", "us-east-1")
    assert "$0.000015  up to 15 billion" in listed
    assert "derived" not in listed
    assert "derived" in out(capfd, "--region", "af-south-1")


def test_one_region_is_shown_with_all_that_is_known_of_it_and_where_that_comes_from(
    capfd: pytest.CaptureFixture[str],
) -> None:
    listed = out(capfd, "--region", "us-east-1")
    for price in ("$0.0000041667", "$0.0000077778", "$0.0000015046", "$0.0001397998", "$0.00005001", "$0.0000006"):
        assert price in listed
    assert "Shipped with powertune, as of 2026-09-19: AWS Price List" in listed
    elsewhere = out(capfd, "--region", "eu-west-1")
    assert "SnapStart: unknown" in elsewhere
    assert "Provisioned concurrency on arm64, a GB-second: unknown ready" in elsewhere
    assert "Lambda@Edge" not in elsewhere
    assert max(map(len, listed.splitlines() + elsewhere.splitlines())) <= 80


def test_csv_and_json_hold_everything_that_is_known(capfd: pytest.CaptureFixture[str]) -> None:
    (document,) = json.loads(out(capfd, "--region", "us-east-1", "-f", "json"))
    (row,) = csv.DictReader(io.StringIO(out(capfd, "--region", "us-east-1", "-f", "csv")))
    assert document["provisioned_arm64"]["capacity_gb_second"] == float(row["provisioned_capacity_arm64"]) == 3.3334e-6
    assert document["snapstart"]["restore_gb"] == float(row["snapstart_restore_gb"]) == 0.0001397998
    assert document["edge"]["per_request"] == float(row["edge_per_request"]) == 6e-7
    assert (document["basis"], row["basis"]) == ("list", "list")


# One invocation, line by line.

MOBILE_BACKEND = """\
1536 MB for 120 ms, x86_64, us-east-1

Billed     120 ms, rounded up to 1 ms = 120 ms
Memory     1,536 MB / 1,024 = 1.5 GB
Duration   0.12 s x 1.5 GB = 0.18 GB-s
           x $0.0000166667                                    = $0.000003000006
Requests   1 request x $0.0000002                                  = $0.0000002
One invocation                                                  $0.000003200006
A million                                                             $3.200006

A month of 3,000,000 invocations
Duration   360,000 s x 1.5 GB - 400,000 free = 140,000 GB-s
           x $0.0000166667                                          = $2.333338
Requests   3,000,000 - 1,000,000 free = 2,000,000 requests
           x $0.0000002                                                  = $0.4
A month                                                               $2.733338

Prices of 2026-09-19: AWS Price List, offer AWSLambda, us-east-1, published
2026-09-19, as quoted by third parties
"""


def test_a_bill_is_explained_so_that_a_calculator_can_check_it(capfd: pytest.CaptureFixture[str]) -> None:
    month = ("--invocations-per-month", "3000000", "--free-tier")
    assert out(capfd, "--explain", "1536:120", *month) == MOBILE_BACKEND


EVERY_CHARGE = [
    ["512:142.3"],
    ["512MB=142.3ms", "--init", "400.5"],
    ["512:142.3", "--init", "400.5", "--cold-start-rate", "2.5", "--arch", "arm64"],
    ["2048:77", "--ephemeral-storage", "4096", "--discount", "17", "--event-kb", "900"],
    ["1024:2000", "--snapstart", "2", "--cold-start-rate", "1", "--init", "100", "--invocations-per-month", "7440000"],
    ["512:143", "--provisioned", "10", "--utilization", "40", "--discount", "12", "--invocations-per-month", "1e6"],
    ["128:10", "--edge", "--invocations-per-month", "1e7"],
    ["1024:1000", "--region", "cn-north-1", "--invocations-per-month", "1.7e10"],
    ["1024:1000", "--gb-seconds-per-month", "1.3e10"],
    ["10240:900000", "--price-gb-second", "0.00001", "--price-request", "0"],
]


@pytest.mark.parametrize("arguments", EVERY_CHARGE, ids=" ".join)
def test_the_arithmetic_of_every_line_of_a_bill_is_right(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    shown = out(capfd, "--explain", *arguments)
    assert max(map(len, shown.splitlines())) <= 80
    document = json.loads(out(capfd, "--explain", *arguments, "-f", "json"))
    for line in document["lines"]:
        assert line["amount"] == pytest.approx(line["quantity"] * line["price"], rel=1e-9)
    assert document["per_invocation"] == pytest.approx(sum(line["amount"] for line in document["lines"]), rel=1e-9)
    assert document["per_million"] == pytest.approx(1e6 * document["per_invocation"])
    rows = list(csv.DictReader(io.StringIO(out(capfd, "--explain", *arguments, "-f", "csv"))))
    assert [row["name"] for row in rows if row["of"] == "invocation"] == [line["name"] for line in document["lines"]]
    for row in rows:
        assert Decimal(row["amount"]) == pytest.approx(Decimal(row["quantity"]) * Decimal(row["price"]))


@pytest.mark.parametrize("arguments", EVERY_CHARGE[:6] + EVERY_CHARGE[8:], ids=" ".join)
def test_a_printed_line_can_be_worked_out_from_what_is_printed(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Quantity, price and amount of each `x price = amount` line, as a person would type them."""
    lines = [line.replace(",", "") for line in out(capfd, "--explain", *arguments).splitlines()]
    checked = 0
    for before, line in pairwise(lines):
        found = re.fullmatch(r"\s+x \$(\S+)\s+= \$(\S+)", line)
        if found:
            quantity = before.rsplit("= ", 1)[1].split()[0]
            assert float(quantity) * float(found[1]) == pytest.approx(float(found[2]), rel=1e-9)
            checked += 1
    assert checked


def test_a_provisioned_month_stands_beside_the_same_on_demand(capfd: pytest.CaptureFixture[str]) -> None:
    shown = out(capfd, "--explain", "512:143", "--provisioned", "10", "--utilization", "40")
    assert "A month of 10 provisioned environments, 730 hours, for 73,510,490 invocations" in shown
    assert re.search(r"^Provisioned +\$105\.8503212$", shown, re.MULTILINE)
    assert re.search(r"^On demand +\$87\.6001752$", shown, re.MULTILINE)
    assert "It costs less than on demand where they are more than 60 % busy." in shown
    tokyo = out(
        capfd, "--explain", "512:143", "--provisioned", "1", "--utilization", "40", "--region", "ap-northeast-1"
    )
    assert "It costs more than on demand however busy the environments are." in tokyo
    assert "1 provisioned environment," in tokyo


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--explain", "512"], "--explain 512:143"),
        (["--explain", "512:-1"], "--explain 512:143"),
        (["--explain", "512:900001"], "900,000 ms"),
        (["--explain", "64:10"], "64 MB is no Lambda memory size"),
        (["--explain", "512:1", "--init", "nan"], "--init"),
        (["--explain", "512:1", "--discount", "nan"], "--discount"),
        (["--explain", "512:1", "--provisioned", "3"], "--utilization"),
        (["--explain", "512:1", "--free-tier"], "--invocations-per-month"),
        (["--explain", "512:1", "--cold-start-rate", "3"], "--init"),
        (["--explain", "512:1", "--init", "9", "--invocations-per-month", "5"], "--cold-start-rate"),
        (["--explain", "512:1", "--edge", "--arch", "arm64"], "Lambda@Edge"),
        (["--explain", "512:1", "--region", "mx-central-1"], "powertune prices refresh"),
        (["--explain", "512:1", "-f", "markdown"], "markdown"),
        (["--discount", "3"], "--explain"),
        (["--init", "3"], "--explain"),
        (["--arch", "arm64"], "--explain"),
    ],
    ids=str,
)
def test_a_bill_that_cannot_be_made_says_why(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["prices", *arguments]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert said in captured.err


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


# The options of other commands.


def test_what_is_said_of_payment_reaches_every_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    recording = tmp_path / "durations.csv"
    recording.write_text("memory_mb,duration_ms,billed_ms\n1024,999.5,1000\n2048,600.5,601\n", encoding="utf-8")
    charged = ["--invocations-per-month", "2e6", "--free-tier", "--discount", "17", "--event-kb", "300", "-q"]
    assert main(["estimate", str(recording), "--current", "1024", *charged, "-f", "json"]) == 0
    run = json.loads(capfd.readouterr().out)
    # 1 GB-s at 0.83 x 0.0000166667, and two requests; a month of 2 million less 400,000 GB-s and a million requests.
    cost = run["sizes"][0]["cost"]
    assert cost["usd_per_invocation"] == pytest.approx(0.000013833361 + 0.0000004)
    assert cost["usd_per_month"] == pytest.approx(1_600_000 * 0.000013833361 + 3_000_000 * 0.0000002)
    assert run["choice"]["discount"] == 0.17

    handler = ["dry-run", "powertune.examples.waiting:handler", "-p", '{"seconds": 0}', "-n", "1", "-q", "-f", "json"]
    assert main([*handler, "--provisioned", "4", "--utilization", "25"]) == 0
    run = json.loads(capfd.readouterr().out)
    assert run["pricing"]["per_gb_second"] == pytest.approx(0.0000097222 + 4 * 0.0000041667)
    assert run["choice"]["break_even_utilization"] == 0.6


@pytest.mark.parametrize("option", [["--free-tier"], ["--provisioned", "3"], ["--edge", "--arch", "arm64"]], ids=str)
def test_payment_that_makes_no_sense_is_told_before_anything_runs(
    option: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["dry-run", "no.such:handler", *option]) == 2
    assert "no.such" not in capfd.readouterr().err
