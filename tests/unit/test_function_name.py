"""Names of Lambda functions: every form that the API takes, and nothing that could name something else."""

import pytest

from powertune.aws_lambda.function_name import (
    FunctionName,
    checked_alias,
    checked_region,
    parse_function,
    partition_of,
)
from powertune.aws_lambda.pricing import regions
from powertune.errors import UsageError

ACCOUNT = "123456789012"
NAMES: list[tuple[str, FunctionName, str]] = [
    ("orders", FunctionName("orders"), "arn:aws:lambda:*:*:function:orders"),
    ("my-Orders_2", FunctionName("my-Orders_2"), "arn:aws:lambda:*:*:function:my-Orders_2"),
    ("function:orders", FunctionName("orders"), "arn:aws:lambda:*:*:function:orders"),
    ("function", FunctionName("function"), "arn:aws:lambda:*:*:function:function"),
    (
        f"{ACCOUNT}:function:orders",
        FunctionName("orders", account=ACCOUNT),
        f"arn:aws:lambda:*:{ACCOUNT}:function:orders",
    ),
    (
        f"cn-north-1:{ACCOUNT}:function:orders",
        FunctionName("orders", account=ACCOUNT, region="cn-north-1"),
        f"arn:aws-cn:lambda:cn-north-1:{ACCOUNT}:function:orders",
    ),
    (
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:orders",
        FunctionName("orders", account=ACCOUNT, region="eu-west-1", partition="aws"),
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:orders",
    ),
    (
        f"arn:aws-us-gov:lambda:us-gov-west-1:{ACCOUNT}:function:orders",
        FunctionName("orders", account=ACCOUNT, region="us-gov-west-1", partition="aws-us-gov"),
        f"arn:aws-us-gov:lambda:us-gov-west-1:{ACCOUNT}:function:orders",
    ),
]


@pytest.mark.parametrize("qualifier", [None, "$LATEST", "7", "prod", "blue_green-2"])
@pytest.mark.parametrize(("spec", "named", "arn"), NAMES)
def test_every_form_names_the_function_with_and_without_a_qualifier(
    spec: str, named: FunctionName, arn: str, qualifier: str | None
) -> None:
    found = parse_function(spec if qualifier is None else f"{spec}:{qualifier}")
    if spec == "function" and qualifier not in (None, "$LATEST"):
        # As the API reads it: `function:` is a prefix wherever a name follows.
        assert found == FunctionName(str(qualifier))
        return
    assert found == FunctionName(named.name, qualifier, named.account, named.region, named.partition)
    assert found.arn_pattern == arn


@pytest.mark.parametrize(
    "spec",
    [
        "",
        " ",
        "orders ",
        "orders\n",
        "orders:",
        "orders:a b",
        "orders:$latest",
        "orders:prod:1",
        "*",
        "orders*",
        "orders?",
        "bücher",
        "orders/v1",
        f"{ACCOUNT}:orders",
        "12345:function:orders",
        "१२३४५६७८९०१२:function:orders",
        f"eu-west-1:{ACCOUNT}:orders",
        "eu-west-1:function:orders",
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}:orders",
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:",
        f"arn:aws:lambda:*:{ACCOUNT}:function:orders",
        f"arn:aws:lambda::{ACCOUNT}:function:orders",
        f"arn:aws:lambda:eu-west-1:{ACCOUNT}:layer:orders:1",
        f"arn:elsewhere:lambda:eu-west-1:{ACCOUNT}:function:orders",
        "arn:aws:s3:::bucket",
        "\x1b[31morders",
        "a" * 100_000 + "!",
    ],
)
def test_what_names_no_function_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="does not name a Lambda function") as caught:
        parse_function(spec)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 200


def test_a_name_is_at_most_64_characters_long() -> None:
    assert parse_function("a" * 64).name == "a" * 64
    with pytest.raises(UsageError, match="longer than 64"):
        parse_function("a" * 65)


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("shop.orders:handler", "powertune dry-run"),
        ("orders.handler", "powertune dry-run"),
        ("arn:aws:s3:::bucket", "arn:aws:lambda:REGION:ACCOUNT:function:NAME"),
        ("orders!", "ACCOUNT:function:NAME"),
        ("./orders.py", "ACCOUNT:function:NAME"),
    ],
)
def test_the_hint_follows_from_what_was_probably_meant(spec: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_function(spec)
    assert hint in caught.value.hint


@pytest.mark.parametrize("region", regions())
def test_every_region_with_a_price_is_taken_for_a_region(region: str) -> None:
    assert checked_region(region) == region
    assert parse_function(f"{region}:{ACCOUNT}:function:orders").region == region


@pytest.mark.parametrize("region", ["", "europe", "eu-west", "EU-WEST-1", "eu-west-1a", "*", "eu-west-1\n"])
def test_what_is_not_written_like_a_region_is_refused(region: str) -> None:
    with pytest.raises(UsageError, match="region"):
        checked_region(region)


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        (None, "aws"),
        ("us-east-1", "aws"),
        ("us-east-9", "aws"),
        ("cn-northwest-1", "aws-cn"),
        ("us-gov-east-1", "aws-us-gov"),
        ("eusc-de-east-1", "aws-eusc"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("us-isof-south-1", "aws-iso-f"),
    ],
)
def test_the_partition_follows_from_the_region(region: str | None, partition: str) -> None:
    assert partition_of(region) == partition


@pytest.mark.parametrize("name", ["prod", "blue-green_2", "1a", "a" * 128])
def test_an_alias_may_be_called_so(name: str) -> None:
    assert checked_alias(name) == name


@pytest.mark.parametrize("name", ["", "12", "$LATEST", "a b", "a:b", "a" * 129, "prod\n", "12\n"])
def test_an_alias_may_not_be_called_so(name: str) -> None:
    with pytest.raises(UsageError, match="alias"):
        checked_alias(name)
