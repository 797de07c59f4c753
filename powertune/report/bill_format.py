"""A bill line by line, for a person with a calculator, and for pipelines."""

import csv
import io
import json
import textwrap
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from powertune import text
from powertune.aws_lambda.bill import HOURS_PER_MONTH, Bill, Line, ProvisionedMonth, figure, total
from powertune.aws_lambda.price_book import sources
from powertune.report import Style

FORMATS = ("table", "json", "csv")
_WIDTH, _NAMES = 79, 11
_MILLION = 1_000_000


def render(bill: Bill, format_name: str, style: Style) -> str:
    """Return the bill in one of FORMATS, ending in a newline."""
    return {"table": _table, "json": _json, "csv": _csv}[format_name](bill, style)


def _json(bill: Bill, _style: Style) -> str:
    prices, use = bill.rates.prices, bill.provisioned
    one = total(bill.lines)
    document: dict[str, Any] = {
        "memory_mb": bill.memory_mb,
        "duration_ms": bill.duration_ms,
        "init_ms": bill.init_ms,
        "billed_ms": bill.billed_ms,
        "region": prices.region,
        "architecture": prices.architecture,
        "currency": prices.currency,
        "as_of": prices.as_of,
        "basis": prices.basis,
        "lines": [_document(line) for line in bill.lines],
        "per_invocation": float(one),
        "per_million": float(one * _MILLION),
        "month": {"lines": [_document(line) for line in bill.month], "per_month": float(total(bill.month))}
        if bill.month
        else None,
        "provisioned": use
        and {
            "invocations": float(use.invocations),
            "lines": [_document(line) for line in use.lines],
            "per_month": float(total(use.lines)),
            "on_demand_lines": [_document(line) for line in use.on_demand],
            "on_demand_per_month": float(total(use.on_demand)),
            "break_even_utilization": None if use.break_even is None else float(use.break_even),
        },
    }
    return json.dumps(document, indent=1) + "\n"


def _document(line: Line) -> dict[str, Any]:
    return {
        "name": line.name,
        "how": line.how,
        "quantity": float(line.quantity),
        "unit": line.unit,
        "price": float(line.price),
        "amount": float(line.amount),
    }


def _csv(bill: Bill, _style: Style) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["of", "name", "how", "quantity", "unit", "price", "amount", "currency"])
    use = bill.provisioned
    parts: list[tuple[str, Sequence[Line]]] = [("invocation", bill.lines), ("month", bill.month)]
    parts += [("provisioned month", use.lines), ("month on demand", use.on_demand)] if use else []
    for of, lines in parts:
        for line in lines:
            figures = (line.quantity, line.unit, line.price, line.amount)
            cells = [f"{cell:f}" if isinstance(cell, Decimal) else cell for cell in figures]
            writer.writerow([of, line.name, line.how, *cells, bill.rates.prices.currency])
    return out.getvalue()


def _table(bill: Bill, style: Style) -> str:
    prices = bill.rates.prices
    currency, one = prices.currency, total(bill.lines)
    where = f"{'Lambda@Edge' if prices.is_edge else prices.architecture}, {text.printable(prices.region, limit=30)}"
    lines = [f"{bill.memory_mb} MB for {_ms(bill.duration_ms)}, {where}", ""]
    lines += [
        _named("Billed", f"{_rounding(bill)} = {bill.billed_ms:,} ms"),
        _named("Memory", f"{bill.memory_mb:,} MB / 1,024 = {figure(Decimal(bill.memory_mb) / 1024)} GB"),
        *_charges(bill.lines, currency),
        _sum("One invocation", exact(one, currency)),
        _sum("A million", exact(one * _MILLION, currency)),
    ]
    if bill.month:
        month = total(bill.month)
        lines += ["", f"A month of {figure(bill.rates.invocations_per_month or Decimal(0))} invocations"]
        lines += [*_charges(bill.month, currency), _sum("A month", exact(month, currency))]
    if bill.provisioned:
        lines += ["", *_provisioned(bill, bill.provisioned)]
    drawn = "\n".join([*lines, "", *textwrap.wrap(_note(bill), _WIDTH, break_on_hyphens=False)]) + "\n"
    return drawn.encode("ascii", "backslashreplace").decode("ascii") if style.ascii_only else drawn


def _ms(milliseconds: float) -> str:
    return f"{figure(Decimal(str(milliseconds)))} ms"


def _rounding(bill: Bill) -> str:
    is_cold = bill.init_ms is not None and not bill.rates.cold_start_rate
    what = f"{_ms(bill.duration_ms)} + {_ms(bill.init_ms or 0.0)} of init" if is_cold else _ms(bill.duration_ms)
    return f"{what}, rounded up to 1 ms"


def _provisioned(bill: Bill, use: ProvisionedMonth) -> list[str]:
    currency, count = bill.rates.prices.currency, bill.rates.provisioned
    environments = text.count(count.environments if count else 0, "provisioned environment")
    ready, on_demand = total(use.lines), total(use.on_demand)
    pays = "It costs more than on demand however busy the environments are."
    if use.break_even is not None:
        pays = f"It costs less than on demand where they are more than {figure(round(use.break_even * 100, 2))} % busy."
    return [
        f"A month of {environments}, {HOURS_PER_MONTH} hours, for {use.invocations:,.0f} invocations",
        *_charges(use.lines, currency),
        _sum("Provisioned", exact(ready, currency)),
        "The same on demand",
        *_charges(use.on_demand, currency),
        _sum("On demand", exact(on_demand, currency)),
        pays,
        "Requests cost the same and are left out, as is what AWS bills for init when it",
        "provisions and recycles environments. No invocation may find all of them busy.",
    ]


def _charges(lines: Iterable[Line], currency: str) -> list[str]:
    found = []
    for line in lines:
        unit = line.unit.removesuffix("s") if line.quantity == 1 and line.unit == "requests" else line.unit
        quantity, price = f"{figure(line.quantity)} {unit}", exact(line.price, currency)
        if not line.unit:
            steps = [f"{line.how} {price}"]
        elif line.how:
            steps = [f"{line.how} = {quantity}", f"x {price}"]
        else:
            steps = [f"{quantity} x {price}"]
        *before, last = [_named(line.name if number == 0 else "", step) for number, step in enumerate(steps)]
        amount = f"= {exact(line.amount, currency)}"
        room = _WIDTH - len(last)
        found += [*before, last + amount.rjust(room)] if len(amount) < room else [*before, last, amount.rjust(_WIDTH)]
    return found


def _named(name: str, what: str) -> str:
    return f"{name:<{_NAMES}}{what}"


def _sum(name: str, amount: str) -> str:
    return f"{name}{amount:>{_WIDTH - len(name)}}"


def exact(amount: Decimal, currency: str) -> str:
    """Return an amount with its currency sign and all its digits, up to 15 that count."""
    return f"{'-' if amount < 0 else ''}{text.symbol(currency)}{figure(abs(amount))}"


def _note(bill: Bill) -> str:
    """Return where the prices come from."""
    prices = bill.rates.prices
    if prices.basis == "override":
        return "Prices: as given with --price-gb-second and --price-request, the rest as powertune prices shows"
    note = f"Prices of {prices.as_of}: {sources().get(prices.source, prices.source)}"
    if bill.rates.snapstart_versions and prices.snapstart:
        note += f"; SnapStart's of {prices.snapstart.as_of}"
    return note
