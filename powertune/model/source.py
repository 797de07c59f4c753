"""Where runs come from, as the tuning loop sees it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from powertune.model.function_facts import FunctionFacts
from powertune.model.invocation import Aggregate, Invocation
from powertune.model.run_warning import RunWarning
from powertune.model.size_profile import Basis, Throttled


class Source(Protocol):
    """A context manager that offers memory sizes and runs (or replays) the function at them.

    A source may also have a `facts` attribute (`SourceFacts`); without it the tuning loop assumes the defaults there.
    """

    @property
    def sizes(self) -> Sequence[int]:
        """Memory sizes in MB that this source can measure."""

    def __enter__(self) -> object:
        """Prepare."""

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None, /
    ) -> bool | None:
        """Put everything back as it was."""

    def measure(self, plan: Mapping[int, int]) -> Iterator[Invocation]:
        """Run a batch, memory size in MB to number of runs, and yield each run as it finishes, in any order.

        A count is an upper bound: a recording yields what it has.
        """


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a source can tell beyond its runs. Read after entering it, when everything is known."""

    kind: str = "custom"
    basis: Basis = "measured"
    """What a size that this source measures may be called."""
    calibrated: bool = True
    """False where durations keep their shape over memory but not their scale: a dry run without an anchor."""
    billed: bool = True
    """Whether its runs cost money now, and so count as spent."""
    default_samples: int = 10
    """Runs per size when the user does not say."""
    aggregates: Sequence[Aggregate] = ()
    """Summary figures that stand beside the runs."""
    function: FunctionFacts = field(default_factory=FunctionFacts)
    details: Mapping[str, object] = field(default_factory=dict)
    """For the `source` object of the run file: where and how, never payloads or secrets."""
    warnings: Sequence[RunWarning] = ()
    unavailable: Mapping[int, str] = field(default_factory=dict)
    """Memory sizes in MB that turned out not to be offered, each with the reason."""
    payload_weights: Mapping[str, float] = field(default_factory=dict)
    """Share of production's calls that each payload stands for, by `Invocation.payload`; empty if all count alike."""
    invocations_per_month: float | None = None
    """At the rate that was recorded, where that is known; what the user says counts before it."""
    duration_at_ms: Callable[[int], float] | None = None
    """Mean duration in ms at any memory size in MB by the CPU law, where CPU time was recorded."""
    throttled: Mapping[int, Throttled] = field(default_factory=dict)
    """By memory size in MB: what calls took under its quota on this machine."""
    common_error: Mapping[int, float] = field(default_factory=dict)
    """By memory size in MB: the share by which all durations there may be off in the same direction, whatever their
    number, at the edge of a 95 % interval."""
    environments: Mapping[str, str] = field(default_factory=dict)
    """Execution environment by request id, for runs whose environment became known only afterwards."""
    stopped: str = ""
    """Why the source makes no further runs at any size, where that is so."""
