"""What stops a whole run: one family of errors, each with a way out and an exit code."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the `powertune` command. Scripts rely on them; see the README."""

    DONE = 0
    FINDING = 1
    USAGE = 2
    BAD_INPUT = 3
    AWS = 4
    FUNCTION_FAILED = 5
    INCONCLUSIVE = 6
    BUG = 70
    INTERRUPTED = 130


class PowertuneError(Exception):
    """The run cannot go on. `message` says what is wrong, `hint` what to do about it."""

    exit_code: ExitCode = ExitCode.BAD_INPUT

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PowertuneError):
    """An option or an argument is wrong."""

    exit_code = ExitCode.USAGE


class BadInputError(PowertuneError):
    """A file, payload, recording or handler cannot be used."""

    exit_code = ExitCode.BAD_INPUT


class PriceUnknownError(UsageError):
    """The price table does not know this region or architecture."""


class FunctionFailedError(PowertuneError):
    """The function failed before any size could be measured."""

    exit_code = ExitCode.FUNCTION_FAILED


class AwsError(PowertuneError):
    """AWS refused, could not be reached, or holds the function in a state that cannot be tuned."""

    exit_code = ExitCode.AWS


class InterruptedRunError(PowertuneError):
    """The user, or whoever ended the process, stopped the run; what it had changed was put back."""

    exit_code = ExitCode.INTERRUPTED
