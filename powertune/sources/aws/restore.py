"""Putting back what a run left behind that was killed: from its journal, or by the mark on its versions."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from powertune import text
from powertune.errors import AwsError, PowertuneError
from powertune.sources.aws.changes import Changes, DeployedMeanwhileError, marked_versions
from powertune.sources.aws.clients import Aws
from powertune.sources.aws.journal import Journal, journals
from powertune.sources.aws.target import connect, settled_configuration


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done to one function."""

    name: str
    run_id: str
    memory_mb: int | None
    """What `$LATEST` has now; None where the run itself had put it back, and others may have changed it since."""
    was_foreign: bool
    """Whether it had another memory size before."""
    deleted: tuple[str, ...]
    recording: Path | None
    """Where the runs are that the interrupted run had measured."""


def restore(
    function: str | None = None, *, region: str | None = None, profile: str | None = None, force: bool = False
) -> Iterator[Restored]:
    """Put back what the journals tell of, of one function or of all; without a journal, go by the mark on versions.

    `force` restores the memory even where the function was deployed meanwhile, and where the run seems to be going on.
    Raises PowertuneError for what cannot be put back; its journal stays.
    """
    if function is None:
        for journal in list(journals()):
            yield from _from_journal(
                journal, Aws(journal.entry.region, profile=profile or journal.entry.profile), force
            )
        return
    aws, named = connect(function, region=region, profile=profile)
    reference = named.arn_pattern if named.account and named.region else named.name
    arn = str(settled_configuration(aws, reference)["FunctionArn"]).removesuffix(":$LATEST")
    for journal in [found for found in journals() if found.entry.function_arn == arn]:
        yield from _from_journal(journal, aws, force)
    yield from _by_mark(aws, arn)


def _from_journal(journal: Journal, aws: Aws, force: bool) -> Iterator[Restored]:  # noqa: FBT001 - passed through
    entry = journal.entry
    name = entry.function_arn.rsplit(":", 1)[1]
    if journal.is_running and not force:
        raise AwsError(
            f"the run that changes {name} seems to be going on on this machine",
            hint="end it first (it puts the function back itself), or insist with --force",
        )
    changes = Changes(
        aws,
        entry.function_arn,
        run_id=entry.run_id,
        memory_mb=entry.memory_mb,
        sizes_mb=entry.sizes_mb,
        deployed=None if force else entry.deployed,
        is_back=entry.is_back and not force,
    )
    deployed: DeployedMeanwhileError | None = None
    was_foreign = False
    try:
        was_foreign = changes.put_back()
    except DeployedMeanwhileError as error:
        deployed = error
    deleted = changes.delete_versions()
    if deployed is not None and deployed.memory_is_ours:
        raise AwsError(deployed.message, hint=f"{deployed.hint}; powertune restore {name} --force does that, too")
    journal.forget()
    recording = journal.recording_path if journal.has_recording else None
    memory_mb = entry.memory_mb if was_foreign or not entry.is_back else None
    yield Restored(name, entry.run_id, memory_mb, was_foreign, tuple(deleted), recording)


def _by_mark(aws: Aws, function_arn: str) -> Iterator[Restored]:
    marked = marked_versions(aws, function_arn)
    for run_id in sorted({item.run_id for item in marked}):
        of_run = [item for item in marked if item.run_id == run_id]
        # The mark tells what the function had; sizes that the run may have given it beyond those it published are
        # not known, so that only one of these is taken for its doing.
        changes = Changes(
            aws,
            function_arn,
            run_id=run_id,
            memory_mb=of_run[0].was_mb,
            sizes_mb=[item.memory_mb for item in of_run],
        )
        name = function_arn.rsplit(":", 1)[1]
        problem: PowertuneError | None = None
        was_foreign = False
        try:
            was_foreign = changes.put_back()
        except DeployedMeanwhileError as error:
            problem = error
        deleted = changes.delete_versions()
        if problem is not None:
            raise AwsError(
                f"{text.count(len(deleted), 'version')} of an interrupted run deleted, but: {problem.message}",
                hint=problem.hint,
            )
        yield Restored(name, run_id, of_run[0].was_mb, was_foreign, tuple(deleted), None)
