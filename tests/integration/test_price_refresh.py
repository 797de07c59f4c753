"""`powertune prices refresh`: a price list over HTTP, whole and broken; the API; what is kept, and what is not."""

import gzip
import json
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from price_lists import Answer, PriceList, PriceListServer, flat

import powertune
from powertune.aws_lambda.price_book import region_prices, regions
from powertune.aws_lambda.pricing import find_prices
from powertune.cli.main import main
from powertune.errors import AwsError, BadInputError, UsageError
from powertune.model.invocation import Invocation
from powertune.sources import price_refresh
from powertune.sources.aws import clients
from powertune.sources.price_refresh import (
    Outcome,
    cache_path,
    download,
    refresh,
    refresh_from_file,
    refreshed_prices,
)

TODAY = date(2026, 11, 23)
NEW = "0.0000150000"
"""A price of a GB-second that the shipped table does not have."""


@pytest.fixture(scope="module")
def running_server() -> Iterator[PriceListServer]:
    with PriceListServer() as server:
        yield server


@pytest.fixture
def server(running_server: PriceListServer, monkeypatch: pytest.MonkeyPatch) -> PriceListServer:
    """The server, which powertune reads in place of AWS's."""
    running_server.answers.clear()
    running_server.requests.clear()
    monkeypatch.setenv("POWERTUNE_PRICE_LIST_URL", running_server.url)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return running_server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POWERTUNE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "prices.json"


def cheaper(region: str = "us-east-1", published: str = "2026-10-30T18:00:00Z") -> PriceList:
    """Return the usual list with one price that has changed."""
    price_list = PriceList(region=region, published=published)
    price_list.set_bands("AWS-Lambda-Duration", [("0", "6000000000", NEW), *price_list.products[0].bands[1:]])
    return price_list


def first_price(region: str = "us-east-1") -> Decimal:
    return find_prices(region, "x86_64", refreshed=refreshed_prices().rows).per_gb_second()


def one(outcomes: list[Outcome]) -> Outcome:
    (outcome,) = outcomes
    return outcome


def asked(region: str = "us-east-1", **given: Any) -> Outcome:
    return one(refresh([region], today=TODAY, **given))


# A list that is well.


def test_a_good_list_is_kept_and_counts_from_then_on(server: PriceListServer, cache: Path) -> None:
    server.give(cheaper())
    assert first_price() == Decimal("0.0000166667")
    outcome = asked()
    assert outcome.problem is None
    assert outcome.before == region_prices("us-east-1")
    assert first_price() == Decimal(NEW)
    prices = find_prices("us-east-1", "x86_64", refreshed=refreshed_prices().rows)
    assert (prices.basis, prices.as_of, prices.source) == ("refreshed", "2026-10-30", "refreshed")
    assert json.loads(cache.read_text())["regions"].keys() == {"us-east-1"}
    assert server.requests == ["/offers/v1.0/aws/AWSLambda/current/us-east-1/index.json"]


def test_a_packed_list_is_unpacked(server: PriceListServer) -> None:
    server.give(cheaper(), Answer.packed(cheaper().content()))
    assert asked().problem is None
    assert first_price() == Decimal(NEW)


def test_a_list_in_any_order_is_the_same_list(server: PriceListServer) -> None:
    price_list = cheaper()
    server.give(price_list)
    straight = asked().after
    price_list.products.reverse()
    for product in price_list.products:
        product.bands = list(reversed(product.bands))
    server.give(price_list)
    assert asked().after == straight


def test_regions_are_kept_side_by_side_and_one_that_fails_leaves_the_others(server: PriceListServer) -> None:
    server.give(cheaper())
    server.give(cheaper("us-east-2"))
    outcomes = {outcome.region: outcome for outcome in refresh(["us-east-1", "us-east-2", "us-west-2"], today=TODAY)}
    assert [name for name, outcome in outcomes.items() if outcome.after] == ["us-east-1", "us-east-2"]
    assert "HTTP 404" in str(outcomes["us-west-2"].problem)
    server.give(cheaper("us-west-2"))
    asked("us-west-2")
    assert {name for name in regions() if first_price_or_none(name) == Decimal(NEW)} == {
        "us-east-1",
        "us-east-2",
        "us-west-2",
        "ap-southeast-5",  # whose price it is in the table that ships
    }


def first_price_or_none(region: str) -> Decimal | None:
    tiers = region_prices(region, refreshed_prices().rows).tiers["x86_64"]
    return tiers[0][1] if tiers else None


PUBLIC = [name for name in regions() if name != "eusc-de-east-1"]


def test_without_names_every_region_with_a_public_list_is_asked_for(server: PriceListServer) -> None:
    outcomes = refresh(today=TODAY)
    assert [outcome.region for outcome in outcomes] == PUBLIC
    assert len(server.requests) == len(PUBLIC)
    assert "/offers/v1.0/cn/AWSLambda/current/cn-north-1/index.json" in server.requests


def test_a_region_that_is_newer_than_the_table_becomes_known(server: PriceListServer) -> None:
    server.give(PriceList(region="xx-new-1"))
    asked("xx-new-1")
    rows = refreshed_prices().rows
    assert "xx-new-1" in regions(rows)
    assert find_prices("xx-new-1", "arm64", refreshed=rows).per_gb_second() == Decimal("0.0000133334")


def test_a_list_that_is_older_than_the_shipped_table_does_not_count_however_it_got_there(cache: Path) -> None:
    refresh_from_file_of(cheaper())
    document = json.loads(cache.read_text())
    document["regions"]["us-east-1"]["as_of"] = "2026-09-18"
    cache.write_text(json.dumps(document))
    assert first_price() == Decimal("0.0000166667")


# Lists that are not.


def assert_nothing_changed(outcome: Outcome, why: str, cache: Path, content: str) -> None:
    assert outcome.after is None
    assert why in str(outcome.problem)
    assert cache.read_text() == content
    assert [path.name for path in cache.parent.iterdir()] == ["prices.json"]


def broken_lists() -> dict[str, tuple[Answer | PriceList, str]]:
    absurd, wrong_currency, old, unknown = cheaper(), cheaper(), cheaper(), cheaper()
    absurd.set_bands("AWS-Lambda-Requests", flat("0.2"))
    absurd.set_bands("AWS-Lambda-Requests-ARM", flat("0.2"))
    wrong_currency.currency = "CNY"
    old.published = "2026-10-29T00:00:00Z"
    for product in unknown.products:
        product.group = product.group.replace("AWS-Lambda", "AWS-Function")
    content = cheaper().content()
    packed = gzip.compress(content)
    gzip_header = {"Content-Encoding": "gzip"}
    return {
        "absurd": (absurd, "far from"),
        "wrong currency": (wrong_currency, "CNY"),
        "old": (old, "older than the prices in force, of 2026-10-30"),
        "unknown groups": (unknown, "no price of"),
        "another service": (
            Answer(json.dumps(cheaper().offer_file() | {"offerCode": "AmazonS3"}).encode()),
            "AmazonS3",
        ),
        "empty": (Answer(), "cut off, or no JSON"),
        "a page of html": (
            Answer(b"<html><body>Sign in to this wireless network</body></html>"),
            "cut off, or no JSON",
        ),
        "cut off": (Answer(content[: len(content) // 2]), "cut off, or no JSON"),
        "cut off before its end": (Answer(content[:5000], claimed_length=len(content)), "could not be read"),
        "packed and cut off": (Answer(packed[: len(packed) // 2], headers=gzip_header), "cut off"),
        "packed and damaged": (Answer(packed[:200] + b"xxxx" + packed[204:], headers=gzip_header), "damaged"),
        "packed it says": (Answer(content, headers=gzip_header), "damaged"),
        "other bytes": (Answer(bytes(range(256)) * 20), "cut off, or no JSON"),
        "404": (Answer(b"", 404), "HTTP 404"),
        "500": (Answer(b"", 500), "HTTP 500"),
        "403": (Answer(b"\x1b[31mno", 403), "HTTP 403"),
        "late": (Answer(content, delay_s=1.0), "timed out"),
        "drop by drop": (Answer(content, drip_s=0.05), "too slowly"),
    }


@pytest.mark.parametrize("name", broken_lists())
def test_a_broken_answer_changes_nothing_and_says_why(name: str, server: PriceListServer, cache: Path) -> None:
    server.give(cheaper())
    asked()
    content = cache.read_text()
    answer, why = broken_lists()[name]
    if isinstance(answer, PriceList):
        server.give(answer)
    else:
        server.give(cheaper(), answer)
    assert_nothing_changed(asked(timeout_s=0.3), why, cache, content)
    assert first_price() == Decimal(NEW)


def test_a_list_without_end_is_left_off(server: PriceListServer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_refresh, "_MOST_BYTES", 10_000)
    server.give(cheaper(), Answer.packed(b" " * 5_000_000))  # 5 kB that become 5 MB
    assert "more than 10,000 bytes" in str(asked().problem)
    server.give(cheaper())
    assert "more than 10,000 bytes" in str(asked().problem)
    assert not cache.exists()


def test_where_nobody_listens_it_is_told(server: PriceListServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTUNE_PRICE_LIST_URL", "http://127.0.0.1:1")
    assert "could not be read" in str(asked().problem)
    assert not server.requests


def test_a_host_that_cannot_be_reached_is_not_tried_for_each_region(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def unreachable(url: str, _timeout_s: float) -> bytes:
        tried.append(url)
        raise price_refresh.UnreachableError("no route", hint="")

    monkeypatch.setenv("POWERTUNE_PRICE_LIST_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(price_refresh, "download", unreachable)
    outcomes = refresh(today=TODAY)
    assert {outcome.problem for outcome in outcomes} == {"no route"}
    assert len(tried) < 10  # those under way at once, of both hosts


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "prices", "http//x"])
def test_only_web_addresses_are_read(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTUNE_PRICE_LIST_URL", url)
    with pytest.raises(UsageError, match="no web address"):
        asked()


def test_the_whole_download_is_an_error_that_names_the_address(server: PriceListServer) -> None:
    with pytest.raises(AwsError, match="HTTP 404") as caught:
        download(f"{server.url}/nothing")
    assert server.url in caught.value.message
    assert "--from-file" in caught.value.hint


def test_a_name_that_is_no_region_is_refused_before_anything_is_asked(server: PriceListServer) -> None:
    with pytest.raises(UsageError):
        refresh(["../../etc"], today=TODAY)
    assert not server.requests


# The cache.


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "3", "null", '{"format": 2, "regions": {}}', '{"format": 1}', '{"format": 1, "regions": []}',
        '{"format": 1, "regions": {"us-east-1": {}}}', "\x00" * 100, "[" * 100_000,
        '{"format": 1, "regions": {"a": 3}}',
    ],
    ids=lambda content: content[:30],
)  # fmt: skip
def test_a_damaged_cache_is_told_and_ignored(content: str, cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text(content)
    found = refreshed_prices()
    assert not found.rows
    assert str(cache) in str(found.problem)
    run = powertune.estimate([Invocation(512, 100.0), Invocation(1024, 60.0)])
    assert run.pricing.basis == "list"
    assert [warning.message for warning in run.warnings if warning.code == "price-cache"] == [found.problem]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["per_request"], "-0.1"), (["per_request"], "0"), (["per_request"], 2e-7), (["per_request"], "x"),
        (["x86_64"], [["6000000000", "0.1"]]), (["x86_64"], [[None, "0.1"], [None, "0.1"]]), (["x86_64"], 3),
        (["x86_64", 0, 1], "NaN"), (["currency"], ""), (["as_of"], 3), (["provisioned"], None),
        (["provisioned", "x86_64"], ["0.1"]), (["snapstart", "cache_gb_second"], None), (["source"], None),
    ],
    ids=str,
)  # fmt: skip
def test_a_damaged_row_is_told_and_ignored(place: list[str | int], value: object, cache: Path) -> None:
    refresh_from_file_of(cheaper())
    document = json.loads(cache.read_text())
    part = document["regions"]["us-east-1"]
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    cache.write_text(json.dumps(document))
    found = refreshed_prices()
    assert not found.rows
    assert "ignored" in str(found.problem)
    assert first_price() == Decimal("0.0000166667")


def test_a_cache_that_is_far_too_large_is_ignored(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_bytes(b" " * 5_000_000)
    assert "far too large" in str(refreshed_prices().problem)


def test_a_refresh_mends_a_damaged_cache(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("{")
    refresh_from_file_of(cheaper())
    assert refreshed_prices().problem is None
    assert first_price() == Decimal(NEW)


def test_what_was_kept_is_read_back_to_the_last_digit() -> None:
    outcome = refresh_from_file_of(cheaper())
    assert refreshed_prices().rows["us-east-1"] == outcome.after


def test_a_cache_that_cannot_be_written_is_told(
    server: PriceListServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("POWERTUNE_CACHE_DIR", str(tmp_path / "file"))
    server.give(cheaper())
    with pytest.raises(BadInputError, match="cannot be written") as caught:
        asked()
    assert "POWERTUNE_CACHE_DIR" in caught.value.hint


def test_without_the_variable_the_cache_is_in_the_folder_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POWERTUNE_CACHE_DIR")
    assert cache_path().parts[-2:] == ("powertune", "prices.json")


def test_two_refreshes_at_once_leave_a_whole_file(server: PriceListServer) -> None:
    for region in ("us-east-1", "us-east-2"):
        server.give(cheaper(region))
    threads = [threading.Thread(target=asked, args=(region,)) for region in ("us-east-1", "us-east-2") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refreshed_prices().problem is None
    assert refreshed_prices().rows


# Files that were downloaded elsewhere.


def refresh_from_file_of(price_list: PriceList, **given: Any) -> Outcome:
    path = cache_path().parent.parent / "index.json"
    path.write_bytes(price_list.content())
    return one(refresh_from_file(str(path), today=TODAY, **given))


def test_a_file_says_itself_which_regions_it_has(tmp_path: Path) -> None:
    document, other = cheaper().offer_file(), cheaper("us-east-2").offer_file()
    document["products"] |= {f"B{sku}": product for sku, product in other["products"].items()}
    document["terms"]["OnDemand"] |= {f"B{sku}": terms for sku, terms in other["terms"]["OnDemand"].items()}
    path = tmp_path / "all.json.gz"
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    outcomes = refresh_from_file(str(path), today=TODAY)
    assert [outcome.region for outcome in outcomes if outcome.after] == ["us-east-1", "us-east-2"]
    assert [outcome.region for outcome in refresh_from_file(str(path), ["us-east-2"], today=TODAY)] == ["us-east-2"]
    assert "no prices of eu-west-1" in str(one(refresh_from_file(str(path), ["eu-west-1"], today=TODAY)).problem)


def test_what_the_aws_command_line_prints_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "products.json"
    path.write_text(json.dumps({"FormatVersion": "aws_v1", "PriceList": cheaper().api_items()}))
    assert one(refresh_from_file(str(path), today=TODAY)).problem is None
    assert first_price() == Decimal(NEW)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\x1f\x8bx", gzip.compress(b"{}", mtime=0)[:-4], b"\xff\xfe{}"], ids=repr
)
def test_a_file_that_is_no_price_list_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_bytes(content)
    with pytest.raises(BadInputError):
        refresh_from_file(str(path), today=TODAY)
    with pytest.raises(BadInputError):
        refresh_from_file(str(tmp_path), today=TODAY)
    with pytest.raises(BadInputError):
        refresh_from_file(str(tmp_path / "none"), today=TODAY)


# The API.


class StubbedAws:
    """Stands in for powertune's connections: a real client of boto3 whose answers are set."""

    def __init__(self, *, has_credentials: bool = True) -> None:
        self.has_credentials = has_credentials
        self.pricing = boto3.client(
            "pricing",
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",  # noqa: S106 - no secret
        )
        self.stub = Stubber(self.pricing)
        self.stub.activate()
        self.endpoints: list[str] = []

    def __call__(self, region: str, *, profile: str | None = None) -> "StubbedAws":
        self.endpoints.append(region)
        self.profile = profile
        return self

    def expect(
        self, items: list[str], *, region: str = "us-east-1", at: str | None = None, following: str | None = None
    ) -> None:
        """Answer the next request, which must be for page `at`, with items and the name of the page that follows."""
        wanted: dict[str, Any] = {
            "ServiceCode": "AWSLambda",
            "Filters": [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}],
            "FormatVersion": "aws_v1",
        }
        answer: dict[str, Any] = {"FormatVersion": "aws_v1", "PriceList": items}
        if at:
            wanted["NextToken"] = at
        if following:
            answer["NextToken"] = following
        self.stub.add_response("get_products", answer, wanted)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> StubbedAws:
    monkeypatch.delenv("POWERTUNE_PRICE_LIST_URL", raising=False)
    stubbed = StubbedAws()
    monkeypatch.setattr(clients, "Aws", stubbed)
    return stubbed


def test_with_credentials_the_api_is_asked_page_by_page(aws: StubbedAws) -> None:
    items = cheaper().api_items()
    aws.expect(items[:5], following="more")
    aws.expect(items[5:], at="more")
    assert asked(profile="billing").problem is None
    assert first_price() == Decimal(NEW)
    assert (aws.endpoints, aws.profile) == (["us-east-1"], "billing")
    aws.stub.assert_no_pending_responses()


def test_each_partition_has_an_endpoint_of_its_own(aws: StubbedAws) -> None:
    price_list = PriceList(region="cn-north-1", currency="CNY")
    price_list.products = price_list.products[:1] + price_list.products[2:3]
    price_list.set_bands("AWS-Lambda-Duration", flat("0.000113477"))
    price_list.set_bands("AWS-Lambda-Requests", flat("0.00000136"))
    aws.expect(price_list.api_items(), region="cn-north-1")
    # The table has three derived tiers, so that a list with one is believed.
    assert asked("cn-north-1").problem is None
    assert aws.endpoints == ["cn-northwest-1"]


def test_an_answer_of_the_api_that_cannot_be_true_is_not_made_good_by_another(aws: StubbedAws) -> None:
    price_list = cheaper()
    price_list.currency = "EUR"
    aws.expect(price_list.api_items())
    assert "EUR" in str(asked().problem)
    assert first_price() == Decimal("0.0000166667")


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException", "ThrottlingException"])
def test_where_the_api_refuses_the_public_list_is_read_and_it_is_said_once(
    code: str, aws: StubbedAws, server: PriceListServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POWERTUNE_PRICE_LIST_URL")
    monkeypatch.setattr(price_refresh, "_HOST", server.url)
    for region in ("us-east-1", "us-east-2", "us-west-2"):
        server.give(cheaper(region))
        aws.stub.add_client_error("get_products", code, "no")
    said: list[str] = []
    outcomes = refresh(["us-east-1", "us-east-2", "us-west-2"], today=TODAY, notice=said.append)
    assert all(outcome.problem is None for outcome in outcomes)
    (notice,) = said
    assert "the public price lists are read instead" in notice


def test_without_credentials_the_public_list_is_read(
    server: PriceListServer, monkeypatch: pytest.MonkeyPatch, aws: StubbedAws
) -> None:
    monkeypatch.delenv("POWERTUNE_PRICE_LIST_URL", raising=False)
    monkeypatch.setattr(price_refresh, "_HOST", server.url)
    aws.has_credentials = False
    server.give(cheaper())
    assert asked().problem is None
    assert first_price() == Decimal(NEW)


def test_the_sovereign_cloud_has_no_public_list_that_is_known(aws: StubbedAws) -> None:
    aws.has_credentials = False
    assert "no public address" in str(asked("eusc-de-east-1").problem)
    assert aws.endpoints == ["eusc-de-east-1"]


def test_the_real_client_tells_errors_as_all_others_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    aws = clients.Aws("us-east-1")
    assert aws.has_credentials
    with pytest.raises(AwsError, match="reading the price list"), clients.told("reading the price list"):
        aws.pricing.get_products(ServiceCode="AWSLambda")


# The command.


def command(*arguments: str) -> int:
    return main(["prices", "refresh", *arguments])


def test_the_command_tells_what_changed_and_where_it_is_kept(
    server: PriceListServer, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recent = (date.today() - timedelta(days=1)).isoformat()  # noqa: DTZ011 - as the command
    server.give(cheaper(published=f"{recent}T00:00:00Z"))
    assert command("--region", "us-east-1") == 0
    captured = capfd.readouterr()
    assert captured.out.splitlines() == [
        f"us-east-1       {recent}  1 change",
        "  a GB-second on x86_64: $0.0000166667 -> $0.0000150000",
        f"Kept in {cache}",
    ]
    assert captured.err == ""
    assert command("--region", "us-east-1") == 0
    assert "as before" in capfd.readouterr().out


def test_the_table_marks_what_was_refreshed_with_its_date(
    server: PriceListServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.give(cheaper())
    assert command("--region", "us-east-1", "-q") == 0
    assert capfd.readouterr().out == ""
    assert main(["prices"]) == 0
    listed = capfd.readouterr().out
    (line,) = [line for line in listed.splitlines() if line.startswith("us-east-1 ")]
    assert line.endswith("2026-10-30 *")
    assert "* read from the AWS Price List by powertune prices refresh" in listed
    assert max(map(len, listed.splitlines())) <= 90
    assert main(["prices", "--region", "us-east-1"]) == 0
    assert "Refreshed on this machine, as of 2026-10-30: AWS Price List" in capfd.readouterr().out
    assert main(["prices", "--region", "us-east-1", "-f", "json"]) == 0
    (row,) = json.loads(capfd.readouterr().out)
    assert (row["basis"], row["as_of"]) == ("refreshed", "2026-10-30")


def test_refreshed_prices_are_those_of_a_run(server: PriceListServer) -> None:
    server.give(cheaper())
    asked()
    run = powertune.estimate([Invocation(1024, 1000.0)])
    assert (run.pricing.basis, run.pricing.as_of) == ("refreshed", "2026-10-30")
    assert run.size(1024).cost is not None
    assert run.size(1024).cost.per_invocation == pytest.approx(0.000015 + 0.0000002)  # type: ignore[union-attr] # see above
    given = powertune.estimate([Invocation(1024, 1000.0)], price_gb_second="0.00001")
    assert (given.pricing.basis, given.pricing.per_gb_second) == ("override", 0.00001)


def test_where_one_region_fails_among_all_the_others_are_kept_and_it_is_told(
    server: PriceListServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.give(cheaper())
    assert command() == 0
    captured = capfd.readouterr()
    assert "us-east-1 " in captured.out
    assert captured.err.count("Warning:") == len(PUBLIC) - 1
    assert "stay in force" in captured.err


def test_a_region_that_was_asked_for_and_fails_is_an_error(
    server: PriceListServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.give(cheaper())
    assert command("--region", "us-east-1", "--region", "us-east-2") == 4
    captured = capfd.readouterr()
    assert "us-east-1" in captured.out
    assert "not refreshed: us-east-2" in captured.err
    assert main(["prices", "--region", "us-east-2", "refresh"]) == 4
    assert "us-east-2" in capfd.readouterr().err


def test_a_file_that_cannot_be_believed_is_bad_input(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "index.json"
    path.write_bytes(PriceList(currency="EUR").content())
    assert command("--from-file", str(path)) == 3
    assert "prices are in EUR" in capfd.readouterr().err
    assert command("--from-file", str(tmp_path / "none")) == 3


def test_a_damaged_cache_is_told_by_the_command_that_shows_prices(
    cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cache.parent.mkdir()
    cache.write_text("{")
    assert main(["prices", "--region", "us-east-1"]) == 0
    captured = capfd.readouterr()
    assert "2026-09-19" in captured.out
    assert "are ignored" in captured.err
    assert "\x1b" not in captured.err
