"""The link to the chart of AWS Lambda Power Tuning, to open or to paste."""

from powertune.model.tuning_run import TuningRun
from powertune.report import Style
from powertune.report.alpt import chart_url


def render(run: TuningRun, _style: Style) -> str:
    """Return the link on a line of its own."""
    return f"{chart_url(run)}\n"
