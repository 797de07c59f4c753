"""The user's cache folder: what powertune keeps there can be deleted at any time."""

import os
from contextlib import suppress
from pathlib import Path

from powertune import text
from powertune.errors import BadInputError


def cache_folder() -> Path:
    """Return POWERTUNE_CACHE_DIR, else the user's cache folder of the platform."""
    given = os.environ.get("POWERTUNE_CACHE_DIR")
    if given:
        return Path(given)
    import platformdirs  # noqa: PLC0415 - late, as it takes time to load

    return platformdirs.user_cache_path("powertune")


def keep(path: Path, content: str) -> None:
    """Write a file of the cache, whole or not at all. Raises BadInputError."""
    import tempfile  # noqa: PLC0415 - slow to load, and only this needs it

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        temporary = Path(name)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise BadInputError(
            f"{text.printable(path)} cannot be written: {error.strerror or error}",
            hint="set POWERTUNE_CACHE_DIR to a folder you can write to",
        ) from error
