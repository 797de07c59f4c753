"""An edit is read again before it is handed out: the sizes that were wanted are there, and nothing else changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from powertune.errors import BadInputError
from powertune.model.configured import Configured, ConfiguredFunction
from powertune.text import printable


def functions_changed(
    before: Sequence[ConfiguredFunction],
    after: Sequence[ConfiguredFunction],
    memory_mb: Mapping[str, int],
    *,
    shown: str,
) -> tuple[str, ...]:
    """Return the names of functions with another memory size than before.

    `before` and `after` are all functions as they were and as they are read from the edited text. Raises BadInputError
    where a wanted size is not read back, or the edit changed more than memory: a value that decides memory may decide
    other things too.
    """
    hint = f"edit {shown} by hand"
    if [function.name for function in before] != [function.name for function in after]:
        raise BadInputError(f"with the memory, functions of {shown} would change", hint=hint)
    for was, now in zip(before, after, strict=True):
        wanted = memory_mb.get(was.name)
        if wanted is not None and now.memory_mb.value != wanted:
            name = printable(was.name, limit=80)
            raise BadInputError(f"the memory of {name} cannot be set to {wanted} MB in {shown}", hint=hint)
        if _all_but_memory(was) != _all_but_memory(now):
            name = printable(was.name, limit=80)
            raise BadInputError(f"what decides the memory of {name} decides more than that in {shown}", hint=hint)
    return tuple(was.name for was, now in zip(before, after, strict=True) if was.memory_mb.value != now.memory_mb.value)


def _all_but_memory(function: ConfiguredFunction) -> tuple[object, ...]:
    """Return what an edit must leave as it was. A variable may say how much memory there is, and follow it."""
    configured: tuple[Configured[Any], ...] = (
        function.architecture,
        function.timeout_s,
        function.ephemeral_storage_mb,
        function.runtime,
        function.handler,
        function.code_path,
        function.function_name,
        *function.layers,
    )
    return tuple((value.value, value.unresolved) for value in configured)
