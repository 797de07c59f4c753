"""A function as a template deploys it, ready to be run here."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from powertune import text
from powertune.aws_lambda.memory import MAX_CODE_BYTES
from powertune.errors import BadInputError
from powertune.model.configured import ConfiguredFunction

if TYPE_CHECKING:
    from powertune.charging import Options


@dataclass(frozen=True, slots=True)
class FromTemplate:
    """What a dry run needs to know; None for what nobody says."""

    name: str
    """What the template calls it."""
    handler: str
    code: Path
    """Folder or archive."""
    environment: Mapping[str, str]
    layers: Sequence[str]
    """Full paths of folders."""
    timeout_s: float | None
    known: "Options"
    """Memory, /tmp and architecture, in the names of the Python API, as far as they are known."""


def from_template(configured: ConfiguredFunction, *, handler: str | None = None) -> FromTemplate:
    """Return how a function is to be run. `handler`, from the working directory, takes the place of its own.

    What could not be resolved in environment and layers is left out. Raises BadInputError where it is none that
    can be called here.
    """
    if handler is None:
        why = why_not_run(configured)
        if why is not None:
            raise BadInputError(f"{text.printable(configured.name, limit=80)} {why[0]}", hint=why[1])
    settled = {
        "current_memory_mb": configured.memory_mb.value,
        "ephemeral_storage_mb": configured.ephemeral_storage_mb.value,
        "architecture": configured.architecture.value,
    }
    known: Options = {name: value for name, value in settled.items() if value is not None}  # type: ignore[assignment] # the keys are those of Options
    return FromTemplate(
        configured.name,
        handler or configured.handler.value or "",
        Path((configured.code_path.value if handler is None else None) or "."),
        {name: value.value for name, value in configured.environment.items() if value.value is not None},
        [str(Path(layer.value).resolve()) for layer in configured.layers if layer.value is not None],
        configured.timeout_s.value,
        known,
    )


def why_not_run(configured: ConfiguredFunction) -> tuple[str, str] | None:
    """Return why a function cannot be run here, and what to do; None where it can."""
    hint = "judge it by durations: powertune gate RUN"
    if configured.package_type == "Image":
        return "is not run here: it is a container image", hint
    runtime = configured.runtime.value
    if runtime is not None and not runtime.startswith("python"):
        return f"is not run here: its runtime is {text.printable(runtime, limit=40)}, not Python", hint
    for what, value in (("handler", configured.handler), ("code", configured.code_path)):
        if value.value is None:
            why = text.printable(value.unresolved or "the template does not say")
            return f"is not run here: its {what} is not known, {why}", f"set `handler` in the settings, or {hint}"
    return None


@contextmanager
def where_it_runs(code: Path) -> Iterator[None]:
    """Work in the folder of a function's code, unpacked for the time being where it is an archive.

    Raises BadInputError where it is neither, or larger than Lambda takes.
    """
    if code.is_dir():
        with chdir(code):
            yield
        return
    with TemporaryDirectory(prefix="powertune-") as folder:
        try:
            with ZipFile(code) as archive:
                unpacked_bytes = sum(item.file_size for item in archive.infolist())
                if unpacked_bytes > MAX_CODE_BYTES:
                    raise BadInputError(
                        f"its code, {text.printable(code)}, is larger than Lambda takes, unpacked: 250 MB",
                        hint="leave out what it does not need",
                    )
                archive.extractall(folder)
        except (OSError, BadZipFile) as error:
            raise BadInputError(
                f"its code, {text.printable(code)}, is neither a folder nor a zip archive",
                hint="build it first, where it is configured",
            ) from error
        with chdir(folder):
            yield
