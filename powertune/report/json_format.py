"""The run file itself."""

from powertune.model.tuning_run import TuningRun
from powertune.report import Style


def render(run: TuningRun, _style: Style) -> str:
    """Return the run file."""
    return run.to_json()
