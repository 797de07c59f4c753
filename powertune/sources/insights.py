"""CloudWatch Logs Insights as a source: durations of runs in production, added up on AWS's side, by function."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, Self

from powertune import text
from powertune.aws_lambda.bill import HOURS_PER_MONTH
from powertune.aws_lambda.function_name import FunctionName, parse_function
from powertune.errors import BadInputError, PowertuneError, UsageError
from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Invocation
from powertune.model.run_warning import RunWarning
from powertune.model.source import SourceFacts
from powertune.progress import NoProgress, Progress
from powertune.sources.aws.clients import Aws, CredentialsError, DeniedError, NotFoundError, told
from powertune.sources.aws.log_groups import LogGroup, find_log_groups, scan_cost
from powertune.sources.aws.log_queries import LogAnswer, LogQuery, QueryRunner
from powertune.sources.insights_query import MOST_GROUPS, Row, Window, function_of, query_text, read_rows
from powertune.sources.insights_weeks import pool, weekly_doubts

_LOOKUPS_AT_ONCE = 4
"""GetFunctionConfiguration shares 15 requests a second with all control-plane calls of an account."""
_MOST_NAMED = 3
_DAY_S = 86_400
_GIGABYTE, _MEGABYTE = 1e9, 1e6


class InsightsSource:
    """What the logs say of one function. Everything was queried before; entering and leaving it do nothing."""

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        function: FunctionFacts,
        days: float | None = None,
        details: Mapping[str, object] | None = None,
        warnings: Sequence[RunWarning] = (),
    ) -> None:
        """Take a function's rows, and over how many days they were recorded."""
        self._aggregates = pool(rows)
        self._facts = SourceFacts(
            kind="insights",
            billed=False,
            default_samples=1,
            aggregates=tuple(self._aggregates),
            function=function,
            details=details or {},
            warnings=(*warnings, *weekly_doubts(rows)),
            invocations_per_month=sum(row.runs for row in rows) / days * HOURS_PER_MONTH / 24 if days else None,
        )

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Do nothing."""

    @property
    def sizes(self) -> Sequence[int]:
        """Memory sizes in MB that the function ran with."""
        return sorted({aggregate.memory_mb for aggregate in self._aggregates})

    @property
    def facts(self) -> SourceFacts:
        """What the logs hold."""
        return self._facts

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        """Yield nothing: only summaries left AWS."""
        del plan
        return iter(())


@dataclass(frozen=True, slots=True)
class Survey:
    """What is to be asked of which log groups, before anything is spent."""

    aws: Aws
    window: Window
    now: float
    """Seconds since the epoch."""
    groups: tuple[LogGroup, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Log groups that are not asked, each with the reason."""
    function: str | None = None
    """The one function that is wanted."""
    configurations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Configurations that were read already, by function."""

    @property
    def bytes_expected(self) -> tuple[float, float]:
        """From how many to how many bytes the query will scan in the groups whose size is known."""
        spans = [found for group in self.groups if (found := self._bytes_in(group))]
        return sum(low for low, _ in spans), sum(high for _, high in spans)

    @property
    def of_unknown_size(self) -> list[str]:
        """Log groups of which nothing is known, by name."""
        return [group.name for group in self.groups if self._bytes_in(group) is None]

    def queries(self) -> list[LogQuery]:
        """Return the queries: each over at most 50 log groups, all of the same class, as the service demands."""
        classes: dict[bool, list[LogGroup]] = defaultdict(list)
        for group in self.groups:
            classes[group.log_class == "STANDARD"].append(group)
        return [
            self._query(groups[first : first + MOST_GROUPS], discovered=discovered)
            for discovered, groups in sorted(classes.items(), reverse=True)
            for first in range(0, len(groups), MOST_GROUPS)
        ]

    def _query(self, groups: Sequence[LogGroup], *, discovered: bool) -> LogQuery:
        # What lies before the first event that can be there is refused, or at best scanned for nothing.
        oldest = [int(group.oldest_at(self.now) or 0) for group in groups]
        return LogQuery(
            query_text(discovered=discovered),
            tuple(group.name for group in groups),
            max(self.window.since, min(oldest)),
            self.window.until,
        )

    def _bytes_in(self, group: LogGroup) -> tuple[float, float] | None:
        return group.bytes_between(self.window.since, self.window.until, self.now)


@dataclass(frozen=True, slots=True)
class Scan:
    """What the logs answered: a source for each function, in order of name."""

    sources: tuple[InsightsSource, ...]
    bytes_scanned: float
    warnings: tuple[RunWarning, ...] = ()
    """About log groups whose functions are missing for a reason."""


def survey(
    aws: Aws,
    window: Window,
    *,
    function: FunctionName | None = None,
    log_groups: Sequence[str] = (),
    prefixes: Sequence[str] = (),
    now: datetime,
) -> Survey:
    """Find out what there is to scan; nothing is scanned yet.

    `function` alone stands for its own log group; beside log groups it chooses among the functions in them. Raises
    PowertuneError for log groups that do not exist, and where none is left to ask.
    """
    configurations = {}
    names = list(log_groups)
    if function is not None:
        configuration = _configuration(aws, function)
        if configuration is not None:
            configurations[function.name] = configuration
        if not log_groups and not prefixes:
            named = ((configuration or {}).get("LoggingConfig") or {}).get("LogGroup")
            names = [named or f"/aws/lambda/{function.name}"]
    found = find_log_groups(aws, names, prefixes)
    left_out = {group.name: reason for group in found if (reason := _obstacle(group, window, now.timestamp()))}
    groups = tuple(group for group in found if group.name not in left_out)
    if not groups:
        asked = text.printable(", ".join([*names, *(f"{prefix}*" for prefix in prefixes)]), limit=100)
        why = f": {next(iter(left_out.values()))}" if left_out else ""
        raise BadInputError(
            f"there is no log group to ask in {aws.region} among {asked}{why}",
            hint="check --prefix, --region and --since; a function has a log group once it has run",
        )
    return Survey(aws, window, now.timestamp(), groups, left_out, function.name if function else None, configurations)


def _obstacle(group: LogGroup, window: Window, now: float) -> str | None:
    """Return why a log group cannot be asked, or None."""
    if group.log_class == "DELIVERY":
        return "Logs Insights does not read groups of the class Delivery"
    oldest = group.oldest_at(now)
    return "it holds nothing that old" if oldest is not None and oldest > window.until else None


def scan(
    surveyed: Survey, *, architecture: str | None = None, concurrency: int = 4, progress: Progress | None = None
) -> Scan:
    """Run the queries, which costs money, and return what they found, by function.

    `architecture` is what all functions are known to run on. Tells `progress` what was scanned, however it ends. Raises
    PowertuneError where nothing was answered or found.
    """
    progress = progress or NoProgress()
    runner = QueryRunner(surveyed.aws, concurrency=concurrency, progress=progress)
    try:
        answers = runner.run(surveyed.queries())
    finally:
        if runner.bytes_scanned:
            cost = text.money(scan_cost(runner.bytes_scanned))
            progress.note(f"Scanned {in_bytes(runner.bytes_scanned)}, about {cost} at the price of us-east-1")
    errors = [answer.error for answer in answers if answer.error]
    if len(errors) == len(answers):
        raise errors[0]
    found: dict[str, list[Row]] = defaultdict(list)
    doubts: dict[str, list[RunWarning]] = defaultdict(list)
    for answer in answers:
        rows, damaged = read_rows(answer.results)
        about = list(_about_answer(answer, damaged))
        for name in dict.fromkeys(row.function for row in rows):
            doubts[name] += about
        for row in rows:
            found[row.function].append(row)
    if surveyed.function is not None:
        found = {surveyed.function: found[surveyed.function]} if surveyed.function in found else {}
    if not found:
        raise errors[0] if errors else _nothing_found(surveyed)
    configurations = _configurations(surveyed, sorted(found), progress)
    if architecture is None:
        for name in found:
            doubts[name] += _about_unknown(name, configurations.get(name))
    sources = tuple(
        _source(surveyed, name, rows, configurations.get(name), doubts[name], runner.bytes_scanned)
        for name, rows in sorted(found.items())
    )
    return Scan(sources, runner.bytes_scanned, tuple(_about_missing(surveyed, answers, found)))


def in_bytes(amount: float) -> str:
    """Return an amount of data as people say it: `1.31 GB`, `12 MB`."""
    if amount >= _GIGABYTE:
        return f"{amount / _GIGABYTE:,.3g} GB" if amount < 1000 * _GIGABYTE else f"{amount / _GIGABYTE:,.0f} GB"
    return f"{amount / _MEGABYTE:.3g} MB" if amount >= _MEGABYTE / 10 else "less than 0.1 MB"


def _source(
    surveyed: Survey,
    name: str,
    rows: Sequence[Row],
    configuration: Mapping[str, Any] | None,
    doubts: Sequence[RunWarning],
    bytes_scanned: float,
) -> InsightsSource:
    warnings = list(doubts)
    is_edge = "." in name and function_of(rows[0].log_group) == name  # else names of functions have no dots
    if is_edge:
        warnings.append(
            RunWarning(
                "edge-function",
                "these are runs of Lambda@Edge, whose prices are others than those of Lambda",
                "give --edge to have them applied",
            )
        )
    window, log_groups = surveyed.window, sorted({row.log_group for row in rows})
    oldest = [group.oldest_at(surveyed.now) or 0.0 for group in surveyed.groups if group.name in log_groups]
    return InsightsSource(
        rows,
        function=_facts(name, configuration, None if is_edge else surveyed.aws.region),
        days=(window.until - max(window.since, min(oldest, default=0.0))) / _DAY_S,
        details={
            "log_groups": log_groups,
            "since": datetime.fromtimestamp(window.since, UTC).isoformat(),
            "until": datetime.fromtimestamp(window.until, UTC).isoformat(),
            "bytes_scanned": int(bytes_scanned),
        },
        warnings=warnings,
    )


def _facts(name: str, configuration: Mapping[str, Any] | None, region: str | None) -> FunctionFacts:
    if configuration is None:
        return FunctionFacts(name, region=region)
    return FunctionFacts(
        name=name,
        runtime=configuration.get("Runtime"),
        architecture=next(iter(configuration.get("Architectures") or ["x86_64"])),
        region=region,
        current_memory_mb=configuration.get("MemorySize"),
        ephemeral_storage_mb=(configuration.get("EphemeralStorage") or {}).get("Size"),
        timeout_s=configuration.get("Timeout"),
    )


def _configuration(aws: Aws, function: FunctionName) -> Mapping[str, Any] | None:
    """Return a function's configuration, None where it may not be read or there is no such function any more."""
    qualifier = {"Qualifier": function.qualifier} if function.qualifier else {}
    try:
        with told("reading the function"):
            answer: dict[str, Any] = aws.control.get_function_configuration(FunctionName=function.name, **qualifier)
    except CredentialsError:
        raise
    except (DeniedError, NotFoundError):
        return None
    return answer


def _configurations(surveyed: Survey, names: Sequence[str], progress: Progress) -> dict[str, Mapping[str, Any] | None]:
    """Return the configurations of functions, None for those that cannot be read."""
    known: dict[str, Mapping[str, Any] | None] = dict(surveyed.configurations)
    unknown = [named for name in names if name not in known and (named := _parsed(name))]
    progress.begin("reading configurations, in functions", total=len(unknown))
    with ThreadPoolExecutor(_LOOKUPS_AT_ONCE) as threads:
        for named, configuration in zip(
            unknown, threads.map(partial(_configuration, surveyed.aws), unknown), strict=True
        ):
            known[named.name] = configuration
            progress.step()
    progress.end()
    return known


def _parsed(name: str) -> FunctionName | None:
    try:
        return parse_function(name)
    except UsageError:  # a log group that is not named after a function
        return None


def _about_answer(answer: LogAnswer, damaged: int) -> Iterator[RunWarning]:
    """Yield what is wrong with an answer, for all functions in it."""
    if answer.is_cut:
        yield RunWarning(
            "answer-cut",
            f"the answer was cut at {len(answer.results):,} rows: weeks, sizes or functions are missing",
            "ask for less at once: a later --since, or fewer log groups",
        )
    if damaged:
        yield RunWarning(
            "damaged-records",
            f"{text.count(damaged, 'row')} of the answer could not be read and {_was(damaged)} left out",
            "look for lines in the logs that only look like REPORT records",
        )


def _about_unknown(name: str, configuration: Mapping[str, Any] | None) -> Iterator[RunWarning]:
    if configuration is None:
        yield RunWarning(
            "function-unknown",
            f"the configuration of {text.printable(name, limit=80)} could not be read: it is taken to run on x86_64",
            "give --arch, and --current for its memory size now, or allow lambda:GetFunctionConfiguration",
        )


def _about_missing(
    surveyed: Survey, answers: Sequence[LogAnswer], found: Mapping[str, Sequence[Row]]
) -> Iterator[RunWarning]:
    """Yield which log groups have no share in the result, and why."""
    for reason in dict.fromkeys(surveyed.left_out.values()):
        groups = [name for name, why in surveyed.left_out.items() if why == reason]
        yield RunWarning("log-groups-left-out", f"{_some(groups)} left out: {reason}", "check --since and --until")
    for answer in answers:
        if answer.error is not None:
            yield RunWarning(
                "query-failed", f"{_some(answer.query.log_groups)} left out: {answer.error.message}", answer.error.hint
            )
    heard = {row.log_group for rows in found.values() for row in rows}
    silent = [name for answer in answers if not answer.error for name in answer.query.log_groups if name not in heard]
    if silent and surveyed.function is None:
        yield RunWarning(
            "no-runs",
            f"{_some(silent)} without a run in that time",
            "give an earlier --since; SystemLogLevel WARN hides runs that succeed",
        )


def _nothing_found(surveyed: Survey) -> PowertuneError:
    what = f"runs of {surveyed.function}" if surveyed.function else "runs"
    return BadInputError(
        f"there are no {what} from {surveyed.window.in_words} in {_some([group.name for group in surveyed.groups])}",
        hint="give an earlier --since; SystemLogLevel WARN hides runs that succeed",
    )


def _some(names: Sequence[str]) -> str:
    """Return the names of log groups, or how many there are beyond the first few."""
    shown = ", ".join(text.printable(name, limit=80) for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{shown} and {text.count(more, 'log group')} more" if more > 0 else shown


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
