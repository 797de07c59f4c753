"""Pick the memory size of an AWS Lambda function from measurements.

The public API, loaded when it is first used: `tune`, `dry_run`, `dry_run_command`, `estimate`, `estimate_all`, `load`;
`AwsSource`, which `tune` measures on AWS with, at a `Pace`; the nouns `Invocation`, `Source`, `TuningRun`; and
`PowertuneError`, the base of all errors.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from powertune.api import dry_run, dry_run_command, estimate, estimate_all, load
    from powertune.errors import PowertuneError
    from powertune.model.invocation import Aggregate, Invocation
    from powertune.model.source import Source, SourceFacts
    from powertune.model.tuning_run import TuningRun
    from powertune.sources.aws.measuring import Pace
    from powertune.sources.aws.source import AwsSource
    from powertune.tuning import tune

__all__ = [
    "Aggregate",
    "AwsSource",
    "Invocation",
    "Pace",
    "PowertuneError",
    "Source",
    "SourceFacts",
    "TuningRun",
    "__version__",
    "dry_run",
    "dry_run_command",
    "estimate",
    "estimate_all",
    "load",
    "tune",
]

_HOMES = {
    "Aggregate": "powertune.model.invocation",
    "AwsSource": "powertune.sources.aws.source",
    "Invocation": "powertune.model.invocation",
    "Pace": "powertune.sources.aws.measuring",
    "PowertuneError": "powertune.errors",
    "Source": "powertune.model.source",
    "SourceFacts": "powertune.model.source",
    "TuningRun": "powertune.model.tuning_run",
    "dry_run": "powertune.api",
    "dry_run_command": "powertune.api",
    "estimate": "powertune.api",
    "estimate_all": "powertune.api",
    "load": "powertune.api",
    "tune": "powertune.tuning",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its room: importing powertune alone stays as fast as importing nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
