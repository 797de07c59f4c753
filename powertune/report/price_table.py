"""The prices in force, and what a refresh changed in them, for people and pipelines."""

import csv
import io
import json
import textwrap
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from powertune import text
from powertune.aws_lambda.price_book import ARCHITECTURES, RegionPrices, row_document, sources
from powertune.aws_lambda.price_list import price_names
from powertune.report import Style

FORMATS = ("table", "json", "csv")
_UNKNOWN = "unknown"
_TIERS, _WIDTH = 3, 79


def render(rows: Sequence[RegionPrices], format_name: str, style: Style) -> str:
    """Return the rows in one of FORMATS, ending in a newline."""
    return {"table": _table, "json": _json, "csv": _csv}[format_name](rows, style)


def changes(before: RegionPrices | None, after: RegionPrices) -> list[str]:
    """Return what differs between two states of a region's prices, one change a line: `a request: $1 -> $2`."""
    old, new = price_names(before) if before else {}, price_names(after)
    found = []
    for name, price in new.items():
        if price != old.get(name):
            was = _sign(after.currency, old.get(name))
            found.append(f"{name}: {was} -> {_sign(after.currency, price)}")
    return found


def _plain(price: Decimal | None) -> str:
    return "" if price is None else f"{price:f}"


def _json(rows: Sequence[RegionPrices], _style: Style) -> str:
    return json.dumps([_document(row) for row in rows], indent=1) + "\n"


def _document(row: RegionPrices) -> dict[str, Any]:
    return {
        "region": row.region,
        "currency": row.currency,
        "as_of": row.as_of,
        "basis": row.basis,
        "source": sources().get(row.source, row.source),
        **{
            f"per_gb_second_{architecture}": [
                {"up_to_gb_seconds": None if limit is None else float(limit), "price": float(price)}
                for limit, price in row.tiers.get(architecture, ())
            ]
            or None
            for architecture in ARCHITECTURES
        },
        "tiers_derived": row.tiers_derived,
        "per_request": _number(row.per_request),
        "storage_gb_second": _number(row.storage_gb_second),
        **{
            f"provisioned_{architecture}": (found := row.provisioned.get(architecture))
            and {
                "capacity_gb_second": float(found.capacity_gb_second),
                "duration_gb_second": float(found.duration_gb_second),
            }
            for architecture in ARCHITECTURES
        },
        "snapstart": row.snapstart
        and {
            "cache_gb_second": float(row.snapstart.cache_gb_second),
            "restore_gb": float(row.snapstart.restore_gb),
            "as_of": row.snapstart.as_of,
        },
        "edge": row.edge
        and {
            "per_gb_second": float(row.edge.per_gb_second),
            "per_request": float(row.edge.per_request),
            "as_of": row.edge.as_of,
        },
    }


def _number(price: Decimal | None) -> float | None:
    return None if price is None else float(price)


def _csv(rows: Sequence[RegionPrices], _style: Style) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    tiers = [f"{architecture}_tier{tier}" for architecture in ARCHITECTURES for tier in range(1, _TIERS + 1)]
    provisioned = [f"provisioned_{part}_{name}" for name in ARCHITECTURES for part in ("capacity", "duration")]
    others = ["snapstart_cache_gb_second", "snapstart_restore_gb", "edge_per_gb_second", "edge_per_request"]
    writer.writerow(
        ["region", "currency", "as_of", *tiers, "per_request", "storage_gb_second", "basis", *provisioned, *others]
    )
    for row in rows:
        document = row_document(row)
        prices = [
            (document[name] or [])[tier][1] if tier < len(document[name] or []) else ""
            for name in ARCHITECTURES
            for tier in range(_TIERS)
        ]
        capacity = [price for name in ARCHITECTURES for price in document["provisioned"][name] or ("", "")]
        snapstart, edge = document["snapstart"] or {}, document["edge"] or {}
        writer.writerow(
            [
                row.region, row.currency, row.as_of or "", *prices, _plain(row.per_request),
                _plain(row.storage_gb_second), row.basis, *capacity, snapstart.get("cache_gb_second", ""),
                snapstart.get("restore_gb", ""), edge.get("per_gb_second", ""), edge.get("per_request", ""),
            ]
        )  # fmt: skip
    return out.getvalue()


def _table(rows: Sequence[RegionPrices], style: Style) -> str:
    lines = [f"{'Region':<15}{'x86_64':>14}{'arm64':>14}{'storage':>14}{'requests':>9}  as of"]
    lines.append(f"{'':<15}{'GB-second':>14}{'GB-second':>14}{'GB-second':>14}{'million':>9}")
    for row in rows:
        first = [next((price for _, price in row.tiers.get(name, ())), None) for name in ARCHITECTURES]
        cells = [_sign(row.currency, price) for price in (*first, row.storage_gb_second)]
        request = text.money(float(row.per_request * 1_000_000), row.currency) if row.per_request else _UNKNOWN
        figures = "".join(f"{cell:>14}" for cell in cells)
        mark = " *" if row.basis == "refreshed" else ""
        lines.append(f"{row.region:<15}{figures}{request:>9}  {row.as_of or _UNKNOWN}{mark}")
    if len(rows) == 1:
        lines += ["", *_details(rows[0])]
    elif any(row.basis == "refreshed" for row in rows):
        lines += ["", "* read from the AWS Price List by powertune prices refresh; the others ship with powertune"]
    drawn = "\n".join(lines) + "\n"
    return drawn.encode("ascii", "backslashreplace").decode("ascii") if style.ascii_only else drawn


def _sign(currency: str, price: Decimal | None) -> str:
    return _UNKNOWN if price is None else f"{text.symbol(currency)}{price:f}"


def _details(row: RegionPrices) -> list[str]:
    """Return everything that is known of a region's prices, and where it comes from."""
    lines = []
    for architecture in ARCHITECTURES:
        for limit, price in row.tiers.get(architecture, ()):
            reach = f"up to {limit / 10**9:g} billion GB-seconds a month" if limit else "beyond"
            lines.append(f"{architecture:<8}{_sign(row.currency, price):>15}  {reach}")
    if row.tiers_derived:
        lines += _wrapped(
            "The second and third tiers are derived: the first at 0.9 and 0.8, as in every published list."
        )
    lines.append("")
    for architecture in ARCHITECTURES:
        found = row.provisioned.get(architecture)
        capacity, duration = (found.capacity_gb_second, found.duration_gb_second) if found else (None, None)
        lines.append(f"Provisioned concurrency on {architecture}, a GB-second: {_sign(row.currency, capacity)} ready,")
        lines.append(f"  {_sign(row.currency, duration)} busy")
    if row.snapstart:
        cache, restore = row.snapstart.cache_gb_second, row.snapstart.restore_gb
        lines.append(f"SnapStart, {row.snapstart.as_of}: {_sign(row.currency, cache)} for a GB-second of a snapshot,")
        lines.append(f"  {_sign(row.currency, restore)} for a GB restored")
    else:
        lines.append(f"SnapStart: {_UNKNOWN}")
    if row.edge:
        duration, request = row.edge.per_gb_second, row.edge.per_request
        lines.append(f"Lambda@Edge, {row.edge.as_of}: {_sign(row.currency, duration)} for a GB-second,")
        lines.append(f"  {_sign(row.currency, request)} for a request")
    basis = "Refreshed on this machine" if row.basis == "refreshed" else "Shipped with powertune"
    origin = f"{basis}, as of {row.as_of or _UNKNOWN}: {sources().get(row.source, row.source)}"
    return [*lines, "", *_wrapped(origin)]


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, _WIDTH, break_on_hyphens=False)
