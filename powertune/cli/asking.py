"""Questions to whoever sits at the terminal."""

import sys

from powertune.errors import UsageError


def ask(question: str, *, yes: bool, no_input: bool, otherwise: str) -> bool:
    """Return the answer to a question, True with `yes`.

    Raises UsageError where nobody can answer, which says `otherwise` what the question is about.
    """
    if yes:
        return True
    if no_input or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{otherwise}, and nobody can be asked", hint="add --yes")
    # Typer's own question would leave a blank on standard output, which is for the result alone.
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    answer = ""
    try:
        answer = sys.stdin.readline()
    finally:
        if not answer.endswith("\n"):  # at Ctrl-C and at Ctrl-D the cursor is still behind the question
            print(file=sys.stderr)
    return answer.strip().lower() in ("y", "yes")
