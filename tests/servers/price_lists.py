"""AWS's price list of Lambda as its offer files and its API lay it out, with prices of the tests' own, over HTTP."""

import gzip
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

TERM = "JRTCKXETXF"
"""Code of every on-demand term of AWS's lists."""

Bands = Sequence[tuple[str, str, str]]
"""Begin, end and price, as text."""

X86_TIERS: Bands = (
    ("0", "6000000000", "0.0000166667"),
    ("6000000000", "15000000000", "0.0000150000"),
    ("15000000000", "Inf", "0.0000133334"),
)
ARM_TIERS: Bands = (
    ("0", "7500000000", "0.0000133334"),
    ("7500000000", "18750000000", "0.0000120001"),
    ("18750000000", "Inf", "0.0000106667"),
)


def flat(price: str) -> Bands:
    return [("0", "Inf", price)]


@dataclass
class ListedProduct:
    """A product of the list, and its bands."""

    group: str
    usage_type: str
    bands: Bands
    unit: str = "Lambda-GB-Second"
    attributes: dict[str, str] = field(default_factory=dict)
    """What differs from the usual attributes."""


def usual_products() -> list[ListedProduct]:
    """Return what us-east-1 has: the prices of 2026-09, with what stands beside them."""
    requests, storage = "Requests", "GB-Seconds"
    return [
        ListedProduct("AWS-Lambda-Duration", "Lambda-GB-Second", X86_TIERS),
        ListedProduct("AWS-Lambda-Duration-ARM", "Lambda-GB-Second-ARM", ARM_TIERS),
        ListedProduct("AWS-Lambda-Requests", "Request", flat("0.0000002000"), requests),
        ListedProduct("AWS-Lambda-Requests-ARM", "Request-ARM", flat("0.0000002000"), requests),
        ListedProduct("AWS-Lambda-Storage-Duration", "Lambda-Storage-GB-Second", flat("0.0000000309"), storage),
        ListedProduct("AWS-Lambda-Storage-Duration-ARM", "Lambda-Storage-GB-Second-ARM", flat("0.0000000309"), storage),
        ListedProduct("AWS-Lambda-Provisioned-Concurrency", "Lambda-Provisioned-Concurrency", flat("0.0000041667")),
        ListedProduct(
            "AWS-Lambda-Provisioned-Concurrency-ARM", "Lambda-Provisioned-Concurrency-ARM", flat("0.0000033334")
        ),
        ListedProduct("AWS-Lambda-Duration-Provisioned", "Lambda-Provisioned-GB-Second", flat("0.0000097222")),
        ListedProduct("AWS-Lambda-Duration-Provisioned-ARM", "Lambda-Provisioned-GB-Second-ARM", flat("0.0000077778")),
        ListedProduct("AWS-Lambda-Edge-Duration", "Lambda-Edge-GB-Second", flat("0.0000500100")),
        ListedProduct("AWS-Lambda-Edge-Requests", "Lambda-Edge-Request", flat("0.0000006000"), "Request"),
        ListedProduct("AWS-Lambda-SnapStart", "Lambda-SnapStart-Cached-GB-S", flat("0.0000015046"), storage),
        ListedProduct("AWS-Lambda-SnapStart", "Lambda-SnapStart-Restored-GB", flat("0.0001397998"), "GB"),
        # What must not be taken for any of the above.
        ListedProduct(
            "AWS-Lambda-Requests",
            "Global-Request",
            flat("0.0000000000"),
            requests,
            {"location": "Any", "regionCode": ""},
        ),
        ListedProduct(
            "AWS-Lambda-Duration", "Global-Lambda-GB-Second", flat("0.0000000000"), attributes={"location": "Any"}
        ),
        ListedProduct("AWS-Lambda-Processed-Bytes", "Lambda-Streaming-GB", flat("0.0080000000"), "Processed-Gigabytes"),
        ListedProduct("AWS-Lambda-MicroVM-vCPU", "Lambda-MicroVM-vCPU-Second", flat("0.0000276944"), "vCPU-Seconds"),
    ]


@dataclass
class PriceList:
    """A list to be changed by the test, and then given out."""

    region: str = "us-east-1"
    published: str = "2026-10-30T18:00:00Z"
    currency: str = "USD"
    prefix: str = ""
    """Of usage types, which only us-east-1 has none of."""
    products: list[ListedProduct] = field(default_factory=usual_products)

    def product(self, group: str) -> ListedProduct:
        """Return the first product of a group."""
        return next(product for product in self.products if product.group == group)

    def set_bands(self, group: str, bands: Bands) -> None:
        self.product(group).bands = bands

    def leave_out(self, *groups: str) -> None:
        self.products = [product for product in self.products if product.group not in groups]

    def _entries(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        for number, product in enumerate(self.products):
            sku = f"SKU{number:013d}"
            attributes = {
                "servicecode": "AWSLambda",
                "location": f"Location of {self.region}",
                "locationType": "AWS Region",
                "group": product.group,
                "groupDescription": "",
                "usagetype": self.prefix + product.usage_type,
                "operation": "",
                "regionCode": self.region,
                "servicename": "AWS Lambda",
                **product.attributes,
            }
            dimensions = {
                f"{sku}.{TERM}.RATE{band:06d}": {
                    "rateCode": f"{sku}.{TERM}.RATE{band:06d}",
                    "description": f"AWS Lambda - {product.group} - Tier-{band + 1}",
                    "beginRange": begin,
                    "endRange": end,
                    "unit": product.unit,
                    "pricePerUnit": {self.currency: price},
                    "appliesTo": [],
                }
                for band, (begin, end, price) in enumerate(product.bands)
            }
            term = {
                "offerTermCode": TERM,
                "sku": sku,
                "effectiveDate": f"{self.published[:8]}01T00:00:00Z",
                "priceDimensions": dimensions,
                "termAttributes": {},
            }
            yield sku, {"sku": sku, "productFamily": "Serverless", "attributes": attributes}, {f"{sku}.{TERM}": term}

    def offer_file(self) -> dict[str, Any]:
        """Return what index.json of the region holds."""
        entries = list(self._entries())
        return {
            "formatVersion": "v1.0",
            "disclaimer": "",
            "offerCode": "AWSLambda",
            "version": "20261030180000",
            "publicationDate": self.published,
            "products": {sku: product for sku, product, _ in entries},
            "terms": {"OnDemand": {sku: terms for sku, _, terms in entries}},
            "attributesList": {},
        }

    def api_items(self) -> list[str]:
        """Return what GetProducts has in PriceList."""
        return [
            json.dumps(
                {
                    "product": product,
                    "serviceCode": "AWSLambda",
                    "terms": {"OnDemand": terms},
                    "version": "20261030180000",
                    "publicationDate": self.published,
                }
            )
            for _, product, terms in self._entries()
        ]

    def content(self) -> bytes:
        return json.dumps(self.offer_file()).encode()


@dataclass
class Answer:
    """What the server says to a request for one path."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    claimed_length: int | None = None
    """Content-Length, where that is not the length."""
    delay_s: float = 0.0
    """Before the first byte."""
    drip_s: float = 0.0
    """Between one byte and the next."""

    @classmethod
    def packed(cls, content: bytes) -> "Answer":
        return cls(gzip.compress(content), headers={"Content-Encoding": "gzip"})


class PriceListServer:
    """Gives out offer files on 127.0.0.1; 404 for all that it was not told of."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def give(self, price_list: PriceList, answer: Answer | None = None) -> None:
        """Give out a region's list, or another answer in its place."""
        partition = "cn" if price_list.region.startswith("cn-") else "aws"
        path = f"/offers/v1.0/{partition}/AWSLambda/current/{price_list.region}/index.json"
        self.answers[path] = answer or Answer(price_list.content())

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        answer = self.answers.get(handler.path, Answer(b"<Error><Code>NoSuchKey</Code></Error>", 404))
        try:
            time.sleep(answer.delay_s)
            handler.send_response(answer.status)
            length = len(answer.body) if answer.claimed_length is None else answer.claimed_length
            for name, value in ({"Content-Length": str(length)} | answer.headers).items():
                handler.send_header(name, value)
            handler.end_headers()
            if answer.drip_s:
                for number in range(len(answer.body)):
                    handler.wfile.write(answer.body[number : number + 1])
                    handler.wfile.flush()
                    time.sleep(answer.drip_s)
            else:
                handler.wfile.write(answer.body)
        except OSError:  # the client had enough of it
            pass
