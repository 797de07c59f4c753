"""Prices newer than those that ship: asked of AWS, kept in the user's cache folder, and found there again.

With credentials the Price List API is asked, without them the offer files that AWS publishes. An answer that cannot be
trusted, or none, leaves what was known before as it was.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from powertune import text
from powertune.aws_lambda.price_book import (
    RegionPrices,
    UnknownPlaceError,
    read_row,
    region_prices,
    regions,
    row_document,
)
from powertune.aws_lambda.price_list import Offer, PriceListError, read_api_products, read_offer_file, region_row
from powertune.errors import AwsError, BadInputError, UsageError
from powertune.sources.cache import cache_folder, keep

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from powertune.sources.aws.clients import Aws

_FORMAT = 1
_CACHE_NAME = "prices.json"
_MOST_CACHE_BYTES = 4 * 1024 * 1024
_MOST_BYTES, _MOST_FILE_BYTES = 64 * 1024 * 1024, 1024 * 1024 * 1024
"""Of one region's list, unpacked, which had 676 kB on 2026-09-06; and of a file, which may hold all regions."""
_TIMEOUT_S = 20.0
_TIMEOUTS_IN_ALL = 6
"""How many times the timeout for a single answer a whole list may take."""
_SIDE_BY_SIDE = 4
_CHUNK_BYTES = 256 * 1024
_GZIP_MAGIC = b"\x1f\x8b"

# Hosts of the offer files: AWS Price List documentation, and that of the China regions (docs.amazonaws.cn), 2026.
_HOST, _CHINA_HOST = "https://pricing.us-east-1.amazonaws.com", "https://pricing.cn-north-1.amazonaws.com.cn"
_SOVEREIGN = "eusc-"


class UnreachableError(AwsError):
    """There is no connection to a host."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The rows that an earlier refresh has left, and what is wrong with them, if anything."""

    rows: Mapping[str, RegionPrices] = field(default_factory=dict)
    problem: str | None = None
    """Why the file was ignored."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a region: its prices before and after, or why those of before stay."""

    region: str
    before: RegionPrices | None
    after: RegionPrices | None = None
    problem: str | None = None


def cache_path() -> Path:
    """Return the file for refreshed prices: in POWERTUNE_CACHE_DIR, else in the user's cache folder of the platform."""
    return cache_folder() / _CACHE_NAME


def refreshed_prices() -> Refreshed:
    """Return what earlier refreshes have left. A file that is damaged is ignored, and `problem` says so."""
    path = cache_path()
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_CACHE_BYTES + 1)
        return Refreshed(_cached_rows(content))
    except FileNotFoundError:
        return Refreshed()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else text.printable(error, limit=80)
        return Refreshed(problem=f"the refreshed prices in {text.printable(path)} are ignored: {why}")


def _cached_rows(content: bytes) -> dict[str, RegionPrices]:
    if len(content) > _MOST_CACHE_BYTES:
        raise ValueError("it is far too large")
    document = json.loads(content)
    if document["format"] != _FORMAT:
        raise ValueError("another version of powertune wrote it")
    return {name: read_row(name, row, basis="refreshed") for name, row in document["regions"].items()}


def refresh(
    asked: Sequence[str] | None = None,
    *,
    profile: str | None = None,
    today: date | None = None,
    timeout_s: float = _TIMEOUT_S,
    notice: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Ask AWS for the prices of regions, all whose lists are public if None, and keep those that can be trusted.

    `notice` is told, in a sentence, where the API did not answer and the public files are read instead. Raises
    UnknownPlaceError for a name that can be no region, BadInputError where the cache cannot be written.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only refreshing needs it

    known = refreshed_prices().rows
    public = [name for name in regions(known) if not name.startswith(_SOVEREIGN)]
    names = list(dict.fromkeys(asked or public))
    before = {name: _in_force(name, known) for name in names}
    lists = _PriceLists(profile, timeout_s, notice)
    day = today or date.today()  # noqa: DTZ011 - dates of lists are days, and a day more or less does not matter

    def one(name: str) -> Outcome:
        try:
            return Outcome(name, before[name], region_row(lists.of(name), name, known=before[name], today=day))
        except (AwsError, PriceListError) as error:
            return Outcome(name, before[name], problem=error.message)

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        outcomes = list(pool.map(one, names))
    _keep(outcomes)
    return outcomes


def refresh_from_file(path: str, asked: Sequence[str] | None = None, *, today: date | None = None) -> list[Outcome]:
    """Take the prices of regions, all that it has if None, from an offer file that was downloaded elsewhere.

    The file is `index.json` of one region or of all, gzip or not, or what `aws pricing get-products` prints. Raises
    BadInputError for a file that is none.
    """
    offer = _read_file(path)
    known = refreshed_prices().rows
    outcomes = []
    for name in dict.fromkeys(asked or offer.regions()):
        before = _in_force(name, known)
        try:
            day = today or date.today()  # noqa: DTZ011 - as above
            outcomes.append(Outcome(name, before, region_row(offer, name, known=before, today=day)))
        except PriceListError as error:
            outcomes.append(Outcome(name, before, problem=error.message))
    _keep(outcomes)
    return outcomes


def _in_force(region: str, known: Mapping[str, RegionPrices]) -> RegionPrices | None:
    """Return the row in force; None for a region that is newer than the table."""
    try:
        return region_prices(region, known)
    except UnknownPlaceError:
        from powertune.aws_lambda.function_name import checked_region  # noqa: PLC0415 - few need it

        checked_region(region)
        return None


class _PriceLists:
    """Price lists by region, from the API as long as it answers, else from the public files."""

    def __init__(self, profile: str | None, timeout_s: float, notice: Callable[[str], None]) -> None:
        self._profile = profile
        self._timeout_s = timeout_s
        self._notice = notice
        self._clients: dict[str, Aws | None] = {}
        self._lock = threading.Lock()
        self._mirror = os.environ.get("POWERTUNE_PRICE_LIST_URL")
        self._unreachable: dict[bool, UnreachableError] = {}
        """What a host answered that cannot be connected to, by whether it is China's: it need not be tried for each."""

    def of(self, region: str) -> Offer:
        """Return a region's price list. Raises PowertuneError."""
        endpoint = _api_region(region)
        aws = None if self._mirror else self._client(endpoint)
        if aws is not None:
            try:
                return read_api_products(_api_products(aws, region))
            except AwsError as error:
                with self._lock:
                    if self._clients[endpoint] is not None:
                        self._give_up(endpoint, error)
        return read_offer_file(_json(self._download(region)))

    def _download(self, region: str) -> bytes:
        url, host = self._url(region), region.startswith("cn-")
        if host in self._unreachable:
            raise self._unreachable[host]
        try:
            return download(url, self._timeout_s)
        except UnreachableError as error:
            self._unreachable[host] = error
            raise

    def _client(self, endpoint: str) -> "Aws | None":
        """Return clients of an endpoint of the API; None without credentials, or where it has failed before."""
        from powertune.sources.aws.clients import Aws  # noqa: PLC0415 - loads boto3

        with self._lock:
            if endpoint not in self._clients:
                aws = Aws(endpoint, profile=self._profile)
                try:
                    self._clients[endpoint] = aws if aws.has_credentials else None
                except AwsError as error:
                    self._give_up(endpoint, error)
            return self._clients[endpoint]

    def _give_up(self, endpoint: str, error: AwsError) -> None:
        self._clients[endpoint] = None
        self._notice(f"{error.message}; the public price lists are read instead")

    def _url(self, region: str) -> str:
        if region.startswith(_SOVEREIGN) and not self._mirror:
            raise AwsError(
                f"no public address of the price list of {region} is known, but --from-file reads one",
                hint="give --from-file, or credentials of that partition",
            )
        is_china = region.startswith("cn-")
        host = self._mirror or (_CHINA_HOST if is_china else _HOST)
        return f"{host.rstrip('/')}/offers/v1.0/{'cn' if is_china else 'aws'}/AWSLambda/current/{region}/index.json"


def _api_region(region: str) -> str:
    """Return where the Price List API of a region's partition is. Source: botocore's endpoints, 2026-11."""
    if region.startswith("cn-"):
        return "cn-northwest-1"
    return "eusc-de-east-1" if region.startswith(_SOVEREIGN) else "us-east-1"


def _api_products(aws: "Aws", region: str) -> list[str]:
    from powertune.sources.aws.clients import told  # noqa: PLC0415 - loads boto3

    wanted = {"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}
    with told("reading the price list"):
        pages = aws.pricing.get_paginator("get_products").paginate(
            ServiceCode="AWSLambda", Filters=[wanted], FormatVersion="aws_v1"
        )
        return [item for page in pages for item in page["PriceList"]]


def download(url: str, timeout_s: float = _TIMEOUT_S) -> bytes:
    """Return what is at a URL, unpacked. Raises AwsError, also for an answer that is too long or takes too long."""
    # Late, as what these take in memory would hide what a dry run's handler imports.
    from http.client import HTTPException  # noqa: PLC0415
    from urllib.error import HTTPError, URLError  # noqa: PLC0415
    from urllib.request import Request, urlopen  # noqa: PLC0415

    if not url.startswith(("https://", "http://")):
        raise UsageError(f"{text.printable(url, limit=80)} is no web address", hint="mend POWERTUNE_PRICE_LIST_URL")
    kind: type[AwsError] = AwsError
    try:
        request = Request(url, headers={"Accept-Encoding": "gzip", "User-Agent": "powertune"})  # noqa: S310 - see above
        with urlopen(request, timeout=timeout_s) as response:  # noqa: S310 - likewise
            return _content(response, time.monotonic() + timeout_s * _TIMEOUTS_IN_ALL)
    except HTTPError as error:
        with error:
            why = f"HTTP {error.code} {error.reason}"
    except URLError as error:
        kind, why = UnreachableError, f"{error.reason}"
    except (OSError, HTTPException, ValueError) as error:  # TimeoutError among them
        why = f"{error}" or type(error).__name__
    raise kind(
        f"{text.printable(url, limit=120)} could not be read: {text.printable(why, limit=120)}",
        hint="check the network and the proxy, or download it elsewhere and give --from-file",
    )


def _content(response: "HTTPResponse", deadline: float) -> bytes:
    """Return the body, as large and as late as is allowed. Raises ValueError, OSError."""
    import zlib  # noqa: PLC0415 - late, as above

    is_packed = response.headers.get("Content-Encoding", "").lower() == "gzip"
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if is_packed else None
    content, received = bytearray(), 0
    while chunk := response.read1(_CHUNK_BYTES):
        received += len(chunk)
        room = _MOST_BYTES + 1 - len(content)
        try:
            content += unpacker.decompress(chunk, room) if unpacker else chunk
        except zlib.error as error:
            raise ValueError("it is damaged") from error
        if len(content) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("it arrives too slowly")
    expected = response.headers.get("Content-Length", "")
    if (unpacker and not unpacker.eof) or (expected.isdecimal() and received < int(expected)):
        raise ValueError("it was cut off")
    return bytes(content)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise PriceListError("the price list is cut off, or no JSON") from error


def _read_file(path: str) -> Offer:
    import gzip  # noqa: PLC0415 - late, as above
    import zlib  # noqa: PLC0415

    shown = text.printable(path)
    try:
        with Path(path).open("rb") as stream:
            is_packed = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            stream.seek(0)
            with gzip.open(stream) if is_packed else stream as unpacked:
                content = unpacked.read(_MOST_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise BadInputError(f"{shown} cannot be read: {why}", hint="give an index.json of AWS's price list") from error
    if len(content) > _MOST_FILE_BYTES:
        raise BadInputError(f"{shown} is too large for a price list", hint="give the index.json of one region")
    document = _json(content)
    pages = document.get("PriceList") if isinstance(document, dict) else None
    return read_api_products(pages) if isinstance(pages, list) else read_offer_file(document)


def _keep(outcomes: Iterable[Outcome]) -> None:
    """Write what was refreshed beside what other refreshes have left: whole or not at all. Raises BadInputError."""
    new = {outcome.region: outcome.after for outcome in outcomes if outcome.after is not None}
    if not new:
        return
    rows = {**refreshed_prices().rows, **new}
    document = {"format": _FORMAT, "regions": {name: row_document(rows[name]) for name in sorted(rows)}}
    keep(cache_path(), json.dumps(document, indent=1) + "\n")
