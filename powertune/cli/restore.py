"""`powertune restore`: puts back what an interrupted run left changed."""

from typing import Annotated

import typer

from powertune import text

EXAMPLES = """
Examples: powertune restore

powertune restore orders --region eu-west-1
"""


def restore(
    function: Annotated[
        str | None, typer.Argument(metavar="[FUNCTION]", help="One function; without it all that runs left behind.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Its region. \\[default: AWS_REGION]")] = None,
    profile: Annotated[str | None, typer.Option(help="Profile of the AWS configuration.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Put the memory back even over a deploy, or while a run seems to go on.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,  # noqa: ARG001 - main() looks for it
) -> None:
    """Put back what an interrupted tuning run left changed: the function's memory, and temporary versions.

    Goes by the journal that each run keeps on this machine until everything is put back; for a named function also by
    the mark on its versions, where the run was started elsewhere.
    """
    # Imported here: what talks to AWS must not slow down --help and usage errors.
    from powertune.sources.aws.restore import restore as put_back  # noqa: PLC0415

    nothing = True
    for done in put_back(function, region=region, profile=profile, force=force):
        nothing = False
        memory = f"$LATEST has its {done.memory_mb} MB{' again' if done.was_foreign else ''}"
        if done.memory_mb is None:
            memory = (
                "$LATEST keeps what somebody else gave it" if done.was_deployed else "$LATEST had been put back before"
            )
        print(f"{text.printable(done.name)}: {memory}, {text.count(len(done.deleted), 'temporary version')} deleted")
        if done.recording:
            print(f"  what it had measured is kept: powertune estimate {text.printable(done.recording)}")
    if nothing:
        print("There is nothing to put back.")
