"""Putting back what a run left behind that was killed: from its journal, or by the mark on its versions."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from powertune import text
from powertune.errors import AwsError, PowertuneError
from powertune.sources.aws.changes import Changes, DeployedMeanwhileError, marked_versions
from powertune.sources.aws.clients import Aws, NotFoundError
from powertune.sources.aws.journal import Journal, journals
from powertune.sources.aws.target import connect, reference_to, settled_configuration


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done to one function."""

    name: str
    run_id: str
    memory_mb: int | None
    """What `$LATEST` has now; None where it was left to others, who may have changed it."""
    was_foreign: bool
    """Whether it had another memory size before."""
    deleted: tuple[str, ...]
    recording: Path | None
    """Where the runs are that the interrupted run had measured."""
    was_deployed: bool = False
    """Whether somebody else has given it another memory since, which was left."""


def restore(
    function: str | None = None, *, region: str | None = None, profile: str | None = None, force: bool = False
) -> Iterator[Restored]:
    """Put back what the journals tell of, of one function or of all; without a journal, go by the mark on versions.

    `force` restores the memory even where the function was deployed meanwhile, and where the run seems to be going on.
    Raises PowertuneError for what cannot be put back, after all else has been; its journal stays.
    """
    if function is None:
        problems: list[PowertuneError] = []
        for journal in list(journals()):
            try:
                aws = Aws(journal.entry.region, profile=profile or journal.entry.profile)
                yield from _from_journal(journal, aws, force)
            except PowertuneError as error:
                problems.append(error)
        if len(problems) > 1:
            more = text.count(len(problems) - 1, "other function")
            raise AwsError(f"{problems[0].message}; nor could {more} be put back", hint=problems[0].hint)
        if problems:
            raise problems[0]
        return
    aws, named = connect(function, region=region, profile=profile)
    arn = str(settled_configuration(aws, reference_to(named))["FunctionArn"]).removesuffix(":$LATEST")
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
    except NotFoundError as error:
        raise AwsError(
            f"{name} is not there any more: {error.message}",
            hint=f"if somebody deleted it, nothing is left to put back: delete {text.printable(journal.path)}, too",
        ) from error
    deleted = changes.delete_versions()
    if deployed is not None and deployed.memory_is_ours:
        raise AwsError(deployed.message, hint=f"{deployed.hint}; powertune restore {name} --force does that, too")
    journal.forget()
    recording = journal.recording_path if journal.has_recording else None
    is_left = deployed is not None or (entry.is_back and not was_foreign)
    memory_mb = None if is_left else entry.memory_mb
    yield Restored(
        name, entry.run_id, memory_mb, was_foreign, tuple(deleted), recording, was_deployed=deployed is not None
    )


def _by_mark(aws: Aws, function_arn: str) -> Iterator[Restored]:
    marked = marked_versions(aws, function_arn)
    for run_id in sorted({item.run_id for item in marked}):
        of_run = [item for item in marked if item.run_id == run_id]
        # The marks tell what the function had, and which sizes the run has given it or was about to: another one is
        # not taken for its doing.
        changes = Changes(
            aws,
            function_arn,
            run_id=run_id,
            memory_mb=of_run[0].was_mb,
            sizes_mb=[size for item in of_run for size in (item.memory_mb, *item.next_mb)],
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
