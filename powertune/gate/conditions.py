"""Conditions of `--fail-if`: `p95>800ms`, `cost>+5%`, `memory!=recommended`. A small language.

    condition = field, operator, value
    operator  = ">" | ">=" | "<" | "<=" | "==" | "!="
    value     = number, [unit] | sign, number, "%" | "recommended"

A signed percentage is a change against the baseline, each as it is or was configured. A condition holds where it holds
over the whole interval of the figure: `==` and `!=` are for `memory`, which has none.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from powertune import text
from powertune.errors import UsageError
from powertune.gate.figures import Figure
from powertune.model.judgement import CheckResult

_UNITS: Mapping[str, Mapping[str, float]] = {
    "cost": {"": 1.0, "$": 1.0, "usd": 1.0},
    "usd_per_million": {"": 1.0, "$": 1.0, "usd": 1.0},
    "usd_per_month": {"": 1.0, "$": 1.0, "usd": 1.0},
    "duration": {"": 1.0, "ms": 1.0, "s": 1000.0},
    "p95": {"": 1.0, "ms": 1.0, "s": 1000.0},
    "memory": {"": 1.0, "mb": 1.0, "gb": 1024.0},
    "saving": {"": 1.0, "%": 1.0},
}
"""Fields and their units, each in that of the check."""
FIELDS = tuple(_UNITS)
UNIT_OF: Mapping[str, str] = {
    "cost": "USD per million",
    "usd_per_million": "USD per million",
    "usd_per_month": "USD per month",
    "duration": "ms",
    "p95": "ms",
    "memory": "MB",
    "saving": "%",
}
_RELATIVE = ("cost", "usd_per_million", "duration", "memory")
"""Fields whose change against the baseline can be asked for."""
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_RECOMMENDED = "recommended"
_CONDITION = re.compile(
    r"\s*(?P<field>[A-Za-z_][A-Za-z0-9_-]*)\s*(?P<operator>>=|<=|==|!=|>|<)\s*(?P<value>\S.*?)\s*", re.DOTALL
)
_NUMBER = re.compile(
    r"(?P<dollar>\$)?\s*(?P<sign>[+-])?(?P<number>[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})\s*(?P<unit>%|[A-Za-z]*)"
)
_EXAMPLES = "write it like 'cost>+5%', 'p95>800ms', 'usd_per_million>20' or 'memory!=recommended'"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `value` is in the field's own unit, in per cent where it is relative, None for `recommended`."""

    text: str
    field: str
    operator: str
    value: float | None
    relative: bool = False

    @property
    def unit(self) -> str:
        """The unit of figure and value."""
        return "%" if self.relative else UNIT_OF[self.field]

    def holds(self, figure: Figure, value: float) -> CheckResult:
        """Return `fail` where the condition holds over the whole interval of a figure, `pass` where it nowhere does."""
        ends = figure.ci95 or (figure.value, figure.value)
        found = [_OPERATORS[self.operator](end, value) for end in ends]
        if all(found):
            return "fail"
        return "unknown" if any(found) else "pass"


def parse_condition(spec: str) -> Condition:
    """Return the condition that `spec` writes. Raises UsageError, whose hint lists fields or units."""
    shown = text.printable(spec, limit=60)
    found = _CONDITION.fullmatch(spec)
    if not found:
        raise UsageError(f"--fail-if {shown!r} is no condition", hint=_EXAMPLES)
    field, sign_of_comparison, value = found["field"].lower().replace("-", "_"), found["operator"], found["value"]
    if field not in _UNITS:
        near = text.nearest(field, FIELDS)
        raise UsageError(
            f"--fail-if {shown!r}: there is no field {text.printable(field, limit=40)!r}",
            hint=f"{near + ' ' if near else ''}the fields are {', '.join(FIELDS)}",
        )
    is_equality = sign_of_comparison in ("==", "!=")
    if is_equality and field != "memory":
        raise UsageError(
            f"--fail-if {shown!r}: {field} is an estimate and never equals a number exactly", hint="compare with > or <"
        )
    if value.lower() == _RECOMMENDED:
        if field != "memory":
            raise UsageError(f"--fail-if {shown!r}: only memory is recommended", hint="write memory!=recommended")
        return Condition(shown, field, sign_of_comparison, None)
    return _with_number(shown, field, sign_of_comparison, value)


def _with_number(shown: str, field: str, comparison: str, value: str) -> Condition:
    number = _NUMBER.fullmatch(value)
    if not number:
        raise UsageError(f"--fail-if {shown!r}: {text.printable(value, limit=40)!r} is no number", hint=_EXAMPLES)
    unit = number["unit"].lower() or ("$" if number["dollar"] else "")
    amount = float(number["number"])
    if number["sign"]:
        if field not in _RELATIVE or unit != "%":
            raise UsageError(
                f"--fail-if {shown!r}: a sign makes it a change against the baseline, in per cent",
                hint=f"such changes are known of {', '.join(_RELATIVE)}, as in 'cost>+5%'",
            )
        return Condition(shown, field, comparison, -amount if number["sign"] == "-" else amount, relative=True)
    units = _UNITS[field]
    if unit not in units or (number["dollar"] and "$" not in units):
        if unit == "%" and field in _RELATIVE:
            hint = f"for a change against the baseline write {field}{comparison}+{number['number']}%"
        else:
            hint = f"{field} takes {', '.join(name for name in units if name)} or nothing"
        raise UsageError(f"--fail-if {shown!r}: {field} has no unit {unit!r}", hint=hint)
    return Condition(shown, field, comparison, amount * units[unit])
