"""What a reader should know of a live run beyond its figures: what ended early, money, throttles, lost answers."""

from collections.abc import Iterator

from powertune import text
from powertune.model.run_warning import RunWarning
from powertune.sources.aws.measuring import Measuring
from powertune.sources.aws.size_job import SizeJob
from powertune.sources.aws.spending import Spending


class Findings:
    """Collects how sizes ended."""

    def __init__(self) -> None:
        self.unavailable: dict[int, str] = {}
        """Sizes at which nothing ran, with the reason."""
        self._ran: set[int] = set()
        self._stopped_early: dict[int, str] = {}
        self._cold_missing: dict[int, int] = {}

    def take(self, job: SizeJob) -> None:
        """Take note of a size that is finished."""
        size = job.memory_mb
        if job.has_runs:
            self._ran.add(size)
        if job.stopped and size not in self._ran and job.never_run is None:
            self.unavailable[size] = job.stopped
        elif job.stopped and job.has_successes:  # of a size without any the table tells
            self._stopped_early[size] = job.stopped
        if job.cold_missing and not job.stopped:
            self._cold_missing[size] = job.cold_missing

    def warnings(self, measuring: Measuring, spending: Spending, currency: str) -> Iterator[RunWarning]:
        """Yield what was found, each with what would cure it."""
        if spending.is_exhausted:
            yield RunWarning(
                "spending-limit",
                f"the spending limit of {text.money(spending.limit or 0, currency)} stopped the run at"
                f" {text.money(spending.spent, currency)}: one more run could have gone beyond it",
                "raise --max-spend, or lower the function's timeout, which every run is reckoned to take",
            )
        for size, why in self._stopped_early.items():
            if "spending limit" not in why:
                yield RunWarning(
                    "stopped-early", f"no more runs were made at {size} MB: {why}", "mend that, or leave it out", size
                )
        if measuring.throttles:
            yield RunWarning(
                "throttled",
                f"AWS throttled {text.count(measuring.throttles, 'invocation')}, which were sent again later",
                "take less of the account's concurrency: --max-concurrency, --parallel or --serial",
            )
        if measuring.lost:
            yield RunWarning(
                "lost-answers",
                f"{text.count(measuring.lost, 'invocation')} brought no answer and left no trace in the logs; they"
                " are left out, and count as paid for until the connection was lost",
                "look for what cuts connections; a function that may be repeated can take --idempotent",
            )
        if measuring.unread:
            yield RunWarning(
                "no-report",
                f"of {text.count(measuring.unread, 'invocation')} no REPORT record was found; they are left out",
                "allow logs:FilterLogEvents, and see powertune doctor",
            )
        for size, missing in self._cold_missing.items():
            yield RunWarning(
                "few-cold-starts",
                f"{text.count(missing, 'cold start')} fewer than asked at {size} MB: environments were free again"
                " before the next run came",
                "ask for no more than can run at once (--max-concurrency)",
                size,
            )
