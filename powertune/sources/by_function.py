"""A recording of many functions, taken apart into one for each."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from powertune.sources.recorded import RecordedSource
from powertune.sources.recording import Origin, Recording


def sources_of(
    recording: Recording, files: Sequence[str], *, architecture: str | None = None, region: str | None = None
) -> list[RecordedSource]:
    """Return a source for each function in a recording, by name; a single one where it has no more than one.

    A function that ran on both architectures, or in several regions, is one for each, unless `architecture` chooses or
    `region` prices all alike. Records that name no function are one together.
    """
    runs = list(recording.kept_runs())
    origins = recording.origins(runs)
    if len({origin.function for origin in origins} - {None}) < 2:  # noqa: PLR2004 - it takes two to be several
        return [RecordedSource(files, recording=recording, architecture=architecture, region=region)]
    place = _places(origins, architecture=architecture, region=region)
    parts: dict[Origin, Recording] = defaultdict(Recording)
    for run in runs:
        parts[place(run.origin)].add_kept(run)
    for key, digest in recording.digests.items():
        parts[place(key.origin)].add_digest(key, digest)
    for origin, aggregate in recording.aggregates:
        parts[place(origin)].add_aggregate(origin, aggregate)
    for (origin, memory_mb), times in recording.cpu_times.items():
        parts[place(origin)].cpu_times[origin, memory_mb] = times
    for wanted, part in parts.items():
        if wanted.function in recording.hints:
            part.hints[wanted.function] = recording.hints[wanted.function]
    # What is true of the files is told once, with the first function.
    ordered = sorted(parts.items(), key=lambda item: _order(item[0]))
    first = ordered[0][1]
    first.damaged, first.invalid, first.complaints = recording.damaged, recording.invalid, recording.complaints
    first.notes, first.silent_files, first.repeats = recording.notes, recording.silent_files, recording.repeats
    first.whole_ms = recording.whole_ms
    return [
        RecordedSource(
            files, recording=part, function=wanted.function, architecture=wanted.architecture, region=wanted.region
        )
        for wanted, part in ordered
    ]


def _places(origins: set[Origin], *, architecture: str | None, region: str | None) -> Callable[[Origin], Origin]:
    """Return what tells which part records of an origin belong to."""
    architectures: dict[str | None, set[str]] = defaultdict(set)
    regions: dict[str | None, set[str]] = defaultdict(set)
    for origin in origins:
        architectures[origin.function] |= {origin.architecture} - {None}  # type: ignore[arg-type] # None was taken out
        regions[origin.function] |= {origin.region} - {None}  # type: ignore[arg-type] # likewise

    def place(origin: Origin) -> Origin:
        own_architecture = origin.architecture if len(architectures[origin.function]) > 1 else None
        own_region = origin.region if len(regions[origin.function]) > 1 else None
        return Origin(origin.function, architecture or own_architecture, region or own_region)

    return place


def _order(origin: Origin) -> tuple[str, str, str]:
    return origin.function or "", origin.architecture or "", origin.region or ""
