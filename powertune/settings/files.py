"""Where settings files are, and what they hold."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from powertune import text
from powertune.errors import BadInputError
from powertune.model.configured import Place
from powertune.model.run_warning import RunWarning

PROJECT_FILE, SHARED_FILE, USER_FILE = "powertune.toml", "pyproject.toml", "config.toml"
_SHARED_TABLE = ("tool", "powertune")
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class SettingsFile:
    """A file with settings, read and not yet checked."""

    path: Path
    shown: str
    """As the user would name it."""
    kind: Literal["project", "user"]
    table: Mapping[str, Any]
    prefix: tuple[str, ...]
    """Keys of the table that holds the settings; none where they stand at the top."""
    content: str

    def place(self, *keys: str | int) -> Place:
        """Return where a key of the settings is written, or what of it can be found."""
        path = (*self.prefix, *keys)
        while path and path not in self._lines:
            path = path[:-1]
        return Place(self.shown, self._lines.get(path, 1))

    def origin(self, *keys: str | int) -> str:
        """Return where a key is written, in a word."""
        place = self.place(*keys)
        return f"{place.file}:{place.line}"

    @cached_property
    def _lines(self) -> Mapping[tuple[str | int, ...], int]:
        from powertune.settings.lines import lines_of_keys  # noqa: PLC0415 - not where there are no settings

        try:
            return lines_of_keys(self.content)
        except RecursionError:  # of what tomllib could just about follow
            return {}


def named_file(folder: Path, name: str) -> SettingsFile:
    """Return the file that the user named, relative to `folder`. Raises BadInputError if it cannot be used."""
    path = folder / name
    found = _read(path, "project", name, only_if_said=False)
    if found is None:
        raise BadInputError(
            f"{text.printable(name)} has no table [tool.powertune]", hint="add it, or name a file with settings"
        )
    return found


def project_file(folder: Path, warnings: list[RunWarning]) -> SettingsFile | None:
    """Return the settings of the project that `folder` is in, or None. Adds to `warnings` what is left out.

    The nearest folder upward counts that has a powertune.toml, or a pyproject.toml with a table [tool.powertune]. A
    repository's root is the last one looked into. Files of other users are left out: settings may name what is run.
    """
    start = folder.resolve()
    trusted = {os.getuid(), 0, start.stat().st_uid} if hasattr(os, "getuid") else None
    for parent in (start, *start.parents):
        found = []
        for name in (PROJECT_FILE, SHARED_FILE):
            path = parent / name
            if not _is_file(path):
                continue
            shown = os.path.relpath(path, start).replace(os.sep, "/")
            one = _read(path, "project", shown, only_if_said=name == SHARED_FILE)
            if one is not None and trusted is not None and path.stat().st_uid not in trusted:
                warnings.append(
                    RunWarning(
                        "settings-of-others",
                        f"{text.printable(shown)} belongs to another user, and is left out",
                        f"where it is meant to count, name it: --config {text.printable(shown)}",
                    )
                )
            elif one is not None:
                found.append(one)
        if len(found) > 1:
            warnings.append(
                RunWarning(
                    "settings-twice",
                    f"{text.printable(found[0].shown)} counts, and the table in {found[1].origin()} does not",
                    "keep settings in one of the two",
                )
            )
        if found:
            return found[0]
        if _is_root(parent):
            return None
    return None


def _is_root(folder: Path) -> bool:
    try:
        return (folder / ".git").exists()
    except OSError:  # see _is_file
        return False


def user_file(environ: Mapping[str, str]) -> SettingsFile | None:
    """Return the user's own settings, from POWERTUNE_CONFIG_DIR or the platform's folder, or None."""
    given = environ.get("POWERTUNE_CONFIG_DIR")
    if given:
        folder = Path(given)
    else:
        import platformdirs  # noqa: PLC0415 - late, as it takes time to load

        folder = platformdirs.user_config_path("powertune")
    path = folder / USER_FILE
    return _read(path, "user", str(path), only_if_said=False) if _is_file(path) else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be looked into
        return False


def _read(path: Path, kind: Literal["project", "user"], shown: str, *, only_if_said: bool) -> SettingsFile | None:
    """Return a file's settings; None where it is a pyproject.toml without any. Raises BadInputError.

    With `only_if_said` a file that does not even hold the word is not parsed: most of these are no affair of ours.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise BadInputError(f"{text.printable(shown)} is larger than 1 MB", hint="name a file with settings")
        if only_if_said and b"powertune" not in raw:
            return None
        import tomllib  # noqa: PLC0415 - late, as it takes time to load

        content = raw.decode("utf-8")
        document = tomllib.loads(content)
    except OSError as error:
        raise BadInputError(
            f"{text.printable(shown)} cannot be read: {error.strerror or error}", hint="name another file, or mend it"
        ) from error
    except (ValueError, RecursionError) as error:  # of tomllib, and of text that is no UTF-8
        raise BadInputError(
            f"{text.printable(shown)} is no valid TOML: {error}", hint="mend it, or run with --config ''"
        ) from error
    prefix = _SHARED_TABLE if path.name == SHARED_FILE else ()
    table: Any = document
    for position, key in enumerate(prefix, 1):
        table = table.get(key)
        if table is None:
            return None
        if not isinstance(table, dict):
            raise BadInputError(f"{text.printable(shown)}: {'.'.join(prefix[:position])} is no table", hint="mend it")
    return SettingsFile(path, shown, kind, table, prefix, content)


def files_of(
    folder: Path, environ: Mapping[str, str], config: str | None, warnings: list[RunWarning]
) -> Iterator[SettingsFile]:
    """Yield the files that count, strongest first: those found, or only the one that `config` names; `` for none."""
    if config is not None:
        if config:
            yield named_file(folder, config)
        return
    for found in (project_file(folder, warnings), user_file(environ)):
        if found is not None:
            yield found
