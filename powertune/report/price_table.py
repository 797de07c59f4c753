"""The price table in force, for people and pipelines."""

import csv
import io
import json
from collections.abc import Sequence
from decimal import Decimal

from powertune import text
from powertune.aws_lambda.pricing import RegionPrices
from powertune.report import Style

FORMATS = ("table", "json", "csv")
_UNKNOWN = "unknown"
_TIERS = 3


def render(rows: Sequence[RegionPrices], format_name: str, style: Style) -> str:
    """Return the rows in one of FORMATS, ending in a newline."""
    return {"table": _table, "json": _json, "csv": _csv}[format_name](rows, style)


def _plain(price: Decimal | None) -> str:
    return "" if price is None else f"{price:f}"


def _json(rows: Sequence[RegionPrices], _style: Style) -> str:
    document = [
        {
            "region": row.region,
            "currency": row.currency,
            "as_of": row.as_of,
            **{
                f"per_gb_second_{architecture}": [
                    {"up_to_gb_seconds": limit and float(limit), "price": float(price)} for limit, price in tiers
                ]
                or None
                for architecture, tiers in row.tiers.items()
            },
            "tiers_derived": row.tiers_derived,
            "per_request": row.per_request and float(row.per_request),
            "storage_gb_second": row.storage_gb_second and float(row.storage_gb_second),
        }
        for row in rows
    ]
    return json.dumps(document, indent=1) + "\n"


def _csv(rows: Sequence[RegionPrices], _style: Style) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    tiers = [f"{architecture}_tier{tier}" for architecture in ("x86_64", "arm64") for tier in range(1, _TIERS + 1)]
    writer.writerow(["region", "currency", "as_of", *tiers, "per_request", "storage_gb_second"])
    for row in rows:
        prices = [_plain(tiers[tier][1]) if tiers else "" for tiers in row.tiers.values() for tier in range(_TIERS)]
        request, storage = _plain(row.per_request), _plain(row.storage_gb_second)
        writer.writerow([row.region, row.currency, row.as_of or "", *prices, request, storage])
    return out.getvalue()


def _table(rows: Sequence[RegionPrices], style: Style) -> str:
    lines = [f"{'Region':<15}{'x86_64':>14}{'arm64':>14}{'storage':>14}{'requests':>11}  as of"]
    lines.append(f"{'':<15}{'GB-second':>14}{'GB-second':>14}{'GB-second':>14}{'million':>11}")
    for row in rows:
        first = [tiers[0][1] if tiers else None for tiers in row.tiers.values()]
        cells = [_sign(row, price) for price in (*first, row.storage_gb_second)]
        request = text.money(float(row.per_request * 1_000_000), row.currency) if row.per_request else _UNKNOWN
        figures = "".join(f"{cell:>14}" for cell in cells)
        lines.append(f"{row.region:<15}{figures}{request:>11}  {row.as_of or _UNKNOWN}")
    if len(rows) == 1:
        lines += ["", *_tiers(rows[0])]
    drawn = "\n".join(lines) + "\n"
    return drawn.encode("ascii", "backslashreplace").decode("ascii") if style.ascii_only else drawn


def _sign(row: RegionPrices, price: Decimal | None) -> str:
    return _UNKNOWN if price is None else f"{text.symbol(row.currency)}{price:f}"


def _tiers(row: RegionPrices) -> list[str]:
    lines = []
    for architecture, tiers in row.tiers.items():
        for limit, price in tiers:
            reach = f"up to {limit / 10**9:g} billion GB-seconds a month" if limit else "beyond"
            lines.append(f"{architecture:<8}{_sign(row, price):>15}  {reach}")
    if row.tiers_derived:
        lines.append("The second and third tiers are derived: the first at 0.9 and 0.8, as in every published list.")
    return lines
