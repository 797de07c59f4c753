"""Memory sizes as written on a command line."""

import pytest

from powertune.aws_lambda.memory import DEFAULT_SIZES_MB, checked_size, parse_sizes
from powertune.errors import ExitCode, UsageError


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("512", (512,)),
        ("128,256,1024", (128, 256, 1024)),
        ("1024, 128 ,256", (128, 256, 1024)),
        ("128", (128,)),
        ("10240", (10240,)),
        ("0512", (512,)),
        ("128..320:64", (128, 192, 256, 320)),
        ("128..320", (128, 192, 256, 320)),
        ("128..300:64", (128, 192, 256)),
        ("1769..1769", (1769,)),
        ("1000..1003:1", (1000, 1001, 1002, 1003)),
        ("128..10240:10000", (128, 10128)),
        ("128..256:64,1769", (128, 192, 256, 1769)),
        ("128..256:64,192..320:64", (128, 192, 256, 320)),
        ("192,128..256:64", (128, 192, 256)),
    ],
)
def test_lists_and_ranges_give_sizes_in_ascending_order(text: str, sizes: tuple[int, ...]) -> None:
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize("text", ["all", "ALL", " all "])
def test_all_is_every_64_mb_and_the_size_of_one_vcpu(text: str) -> None:
    sizes = parse_sizes(text)
    assert sizes[:3] == (128, 192, 256)
    assert sizes[-1] == 10_240
    assert set(sizes) - {1769} == {128 + 64 * step for step in range(159)}
    assert 1769 in sizes
    assert list(sizes) == sorted(sizes)


FORMS = "write sizes like 128,256,1024, a range like 128..3008:64, or all"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("127", "127 MB is no Lambda memory size", "choose from 128 to 10240 MB"),
        ("10241", "10241 MB is no Lambda memory size", "choose from 128 to 10240 MB"),
        ("0", "0 MB is no Lambda memory size", "choose from 128 to 10240 MB"),
        ("128,64..256", "64 MB is no Lambda memory size", "choose from 128 to 10240 MB"),
        ("128..20480", "20480 MB is no Lambda memory size", "choose from 128 to 10240 MB"),
        ("128,128", "128 MB is given twice", "leave one of them out"),
        ("256,128,0256", "256 MB is given twice", "leave one of them out"),
        ("", "there is no memory size between two commas or at an end of the list", FORMS),
        ("128,,256", "there is no memory size between two commas or at an end of the list", FORMS),
        ("128,", "there is no memory size between two commas or at an end of the list", FORMS),
        ("128..256:0", "the range 128..256:0 has step 0", "a step is 1 MB or more: 128..256:64"),
        ("512..128:32", "the range 512..128:32 is empty", "put the smaller size first: 128..512:32"),
        ("512..128", "the range 512..128 is empty", "put the smaller size first: 128..512:64"),
        ("512MB", "'512MB' is not a memory size in whole MB", FORMS),
        ("-128", "'-128' is not a memory size in whole MB", FORMS),
        ("1e3", "'1e3' is not a memory size in whole MB", FORMS),
        ("512.0", "'512.0' is not a memory size in whole MB", FORMS),
        ("128-256", "'128-256' is not a memory size in whole MB", FORMS),
        ("128..", "'128..' is not a memory size in whole MB", FORMS),
        ("128 256", "'128 256' is not a memory size in whole MB", FORMS),
        ("all,128", "'all' is not a memory size in whole MB", FORMS),
        ("٥١٢", "'٥١٢' is not a memory size in whole MB", FORMS),
    ],
)
def test_what_is_no_list_of_sizes_is_refused_with_a_way_out(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_sizes(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("text", ["9" * 10_000, "128.." + "9" * 10_000, "x" * 10_000])
def test_endless_input_is_refused_in_a_short_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_sizes(text)
    assert len(caught.value.message) < 100


def test_a_step_beyond_the_range_leaves_its_first_size() -> None:
    assert parse_sizes("128..256:" + "9" * 10_000) == (128,)


def test_a_refused_text_is_shown_without_anything_a_terminal_obeys() -> None:
    with pytest.raises(UsageError) as caught:
        parse_sizes("128,\x1b[2J\u202e")
    assert caught.value.message.isprintable()


def test_a_range_takes_no_digits_that_a_single_size_does_not_take() -> None:
    with pytest.raises(UsageError):
        parse_sizes("١٢٨..٢٥٦")


@pytest.mark.parametrize("size", [128, 1769, 10_240])
def test_a_size_that_lambda_offers_is_returned(size: int) -> None:
    assert checked_size(size) == size


@pytest.mark.parametrize("size", [-128, 0, 127, 10_241])
def test_a_size_that_lambda_does_not_offer_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match=f"^{size} MB is no Lambda memory size"):
        checked_size(size)


def test_the_default_sizes_are_ones_that_lambda_offers_to_restricted_accounts_too() -> None:
    assert tuple(checked_size(size) for size in DEFAULT_SIZES_MB) == tuple(sorted(set(DEFAULT_SIZES_MB)))
    assert max(DEFAULT_SIZES_MB) == 3008
    assert 1769 in DEFAULT_SIZES_MB
