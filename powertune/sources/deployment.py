"""How a function is deployed: its interpreter, layers, environment variables, and what Lambda adds to them."""

import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from powertune import text
from powertune.aws_lambda.memory import MAX_LAYERS
from powertune.errors import BadInputError, UsageError

# What would lead the function's interpreter to another's libraries.
_OF_OUR_INTERPRETER = ("PYTHONHOME", "PYTHONPATH", "PYTHONSAFEPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
_SHORTEST_SECRET = 6
"""In characters. What is shorter, such as `true` or `prod`, is a word like others."""
_QUOTES = ('"', "'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """How the handler is deployed, as far as it differs from being imported here."""

    isolate: bool = False
    """Whether it runs in a process of its own."""
    python: str | None = None
    """Its interpreter, or the folder of its virtual environment: one means that it is isolated."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Its environment variables, besides those that Lambda sets."""
    layers: Sequence[str] = ()
    """Folders that are laid over each other as /opt, in their order."""
    storage_mb: int | None = None
    """Size of /tmp, where that was said: then it is held, if it can be."""

    @property
    def is_isolated(self) -> bool:
        """Whether it runs in a process of its own."""
        return self.isolate or self.python is not None

    def masked(self, words: str) -> str:
        """Return words with `$NAME` for what its environment variables hold: errors quote passwords."""
        for name, value in sorted(self.environment.items(), key=lambda item: len(item[1]), reverse=True):
            for quoted in (value, text.printable(value, limit=len(words))):
                if len(quoted) >= _SHORTEST_SECRET:
                    words = words.replace(quoted, f"${name}")
        return words


def log_stream_name() -> str:
    """Return a log stream name of today in Lambda's form."""
    return f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"


def lambda_environment(
    function_name: str, handler: str, memory_mb: int, log_stream: str, region: str | None
) -> dict[str, str]:
    """Return the environment variables that Lambda sets and handlers read (developer guide, 2026-11-23)."""
    place = {"AWS_DEFAULT_REGION": region, "AWS_REGION": region} if region else {}
    return {
        **place,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function_name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "LAMBDA_TASK_ROOT": os.getcwd(),  # noqa: PTH109 - an environment variable is text
        "_HANDLER": handler,
    }


def process_environment(own: Mapping[str, str], of_lambda: Mapping[str, str], deployment: Deployment) -> dict[str, str]:
    """Return the whole environment of a handler's process.

    What is there already stays, for credentials and the like, but for what belongs to another interpreter. The time
    zone is Lambda's; programs and libraries of layers are found first.
    """
    kept = {name: value for name, value in own.items() if not deployment.python or name not in _OF_OUR_INTERPRETER}
    newest_first = [Path(layer) for layer in reversed(deployment.layers)]
    paths = {
        name: os.pathsep.join(
            [*(str(layer / inside) for layer in newest_first), *([kept[name]] if kept.get(name) else [])]
        )
        for name, inside in (("PATH", "bin"), ("LD_LIBRARY_PATH", "lib"))
        if newest_first
    }
    return {**kept, "LANG": "en_US.UTF-8", "TZ": ":UTC", **paths, **of_lambda, **deployment.environment}


def checked_layers(folders: Sequence[str]) -> tuple[str, ...]:
    """Return the full paths of layers. Raises UsageError for more than Lambda takes, BadInputError for no folder."""
    if len(folders) > MAX_LAYERS:
        raise UsageError(f"{len(folders)} layers are more than Lambda's {MAX_LAYERS}", hint="merge some of them")
    for folder in folders:
        shown = text.printable(folder, limit=120)
        if not Path(folder).is_dir():
            raise BadInputError(
                f"the layer {shown} is no folder", hint="unpack it: --layer takes the folder that becomes /opt"
            )
    return tuple(str(Path(folder).absolute()) for folder in folders)


def environment_from(files: Sequence[str], pairs: Sequence[str]) -> dict[str, str]:
    """Return environment variables from files of `NAME=value` lines, and from such pairs, which count before files.

    Messages name lines and variables, never values. Raises UsageError and BadInputError.
    """
    found: dict[str, str] = {}
    for file in files:
        found |= _read_environment(file)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not _is_name(name):
            shown = text.printable(name, limit=40) if equals else "an --env"
            raise UsageError(f"{shown} is no NAME=value", hint="write --env STAGE=test")
        found[name] = value
    for name, value in found.items():
        if "\0" in value:
            raise BadInputError(f"the value of {name} holds a NUL character", hint="no environment variable can")
    return found


def _read_environment(file: str) -> dict[str, str]:
    shown = text.printable(file, limit=120)
    try:
        content = Path(file).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadInputError(f"{shown} is not UTF-8 text", hint="--env-file takes NAME=value lines") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "that is no file name"
        raise BadInputError(f"{shown} cannot be read: {why}", hint="--env-file takes NAME=value lines") from None
    found: dict[str, str] = {}
    for number, line in enumerate(content.splitlines(), 1):
        written = line.strip().removeprefix("export ").strip()
        if not written or written.startswith("#"):
            continue
        name, equals, value = written.partition("=")
        if not equals or not _is_name(name.strip()):
            raise BadInputError(f"line {number} of {shown} is no NAME=value", hint="write one variable a line")
        found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    """Return a value as shells and `docker --env-file` alike would mostly take it: without quotes around it."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
        return value[1:-1]
    return value.split(" #", 1)[0].rstrip()


def _is_name(name: str) -> bool:
    return name.isidentifier() and name.isascii()
