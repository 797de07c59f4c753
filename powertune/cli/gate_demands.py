"""What is demanded of functions, by the command line and the settings, and the baseline that they are held against."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from powertune import text
from powertune.errors import BadInputError
from powertune.gate.conditions import Condition
from powertune.gate.rules import FailOn
from powertune.gate.verdict import Demands
from powertune.model.run_warning import RunWarning
from powertune.model.tuning_run import TuningRun
from powertune.sources.baseline import baseline_on_main, read_baseline

if TYPE_CHECKING:
    from powertune.charging import Options
    from powertune.settings import Settings

_MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What holds for all functions, and where to look for what holds for one."""

    settings: "Settings"
    given: Collection[str]
    """Options that the command line itself has: settings of a function do not count against these."""
    options: "Options"
    said: "Options"
    """Those of `options` that somebody gave."""
    fail_on: FailOn
    conditions: Sequence[Condition]

    def otherwise(self, run: TuningRun) -> bool:
        """Tell whether a saved run was made otherwise than is asked for now."""
        kept: Mapping[str, object] = {
            **run.choice,
            "strategy": run.recommendation.strategy,
            "region": run.pricing.region,
            "architecture": run.pricing.architecture,
        }
        return any(kept.get(name) != value for name, value in self.said.items())

    def options_of(self, function: str) -> "Options":
        """Return how to choose and what to charge for a function."""
        found = self.settings.defaults_for("gate", function, self.given)
        options: Options = {**self.options}
        if "strategy" in found:
            options["strategy"] = found["strategy"].value
        if "tolerance" in found:
            options["tolerance"] = found["tolerance"].value / 100
        if "invocations_per_month" in found:
            options["invocations_per_month"] = found["invocations_per_month"].value
        return options

    def demands_of_all(self, functions: Sequence[str]) -> Mapping[str, Demands]:
        """Return what each of the functions, which are judged at once, is to keep to."""
        return {
            name: Demands(
                self.settings.function(name, "gate").budgets, self.conditions, self.fail_on, functions=len(functions)
            )
            for name in functions
        }


@dataclass(frozen=True, slots=True)
class Baseline:
    """Runs to compare with, by the function's name."""

    runs: Mapping[str | None, TuningRun]
    warnings: Sequence[RunWarning] = ()

    def of(self, function: str) -> TuningRun | None:
        """Return the run of a function, None where the baseline does not know it."""
        if function in self.runs:
            return self.runs[function]
        # A single run that names no function is of whatever it is compared with.
        return self.runs.get(None) if len(self.runs) == 1 else None


def find_baseline(named: str | None, default: str, demands: Mapping[str, Demands]) -> Baseline:
    """Return the runs in the file that is `named`, else in the `default` one as the main branch has it.

    Where there is none, a warning says so, unless demands cannot be judged without: that raises BadInputError, as does
    a file that cannot be used.
    """
    if named is not None:
        return _with_news(read_baseline(named), demands)
    found = baseline_on_main(default)
    if found is not None:
        return _with_news(found[0], demands)
    shown = text.printable(default)
    if any(one.need_baseline for one in demands.values()):
        raise BadInputError(
            f"there is no baseline: git has no {shown} on the main branch, and what is demanded is a change against it",
            hint="name one with --baseline FILE, made with powertune gate --save FILE; in CI, fetch the main branch",
        )
    warning = RunWarning(
        "no-baseline",
        f"nothing to compare with, so nothing is said of regressions: git has no {shown} on the main branch",
        f"make one there with powertune gate --save {shown}, or name one with --baseline FILE",
    )
    return Baseline({}, [warning])


def _with_news(runs: Sequence[TuningRun], demands: Mapping[str, Demands]) -> Baseline:
    """Return runs as a baseline, which says which functions it does not know."""
    baseline = Baseline({run.function.name: run for run in runs})
    unknown = [text.printable(name, limit=80) for name in demands if baseline.of(name) is None]
    if not unknown:
        return baseline
    more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
    warning = RunWarning(
        "not-in-baseline",
        f"the baseline does not know {', '.join(unknown[:_MOST_NAMED])}{more}: nothing is said of regressions there",
        "make a new one: powertune gate --save FILE",
    )
    return replace(baseline, warnings=[warning])
