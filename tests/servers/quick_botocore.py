"""botocore without what takes it long: it reads its descriptions of services once a process, and waits little."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from botocore.loaders import JSONFileLoader, Loader, create_loader
from botocore.retries.standard import ExponentialBackoff

_load_once = lru_cache(maxsize=None)(partial(JSONFileLoader.load_file, JSONFileLoader()))
_list_once = lru_cache(maxsize=None)(partial(Loader.list_available_services, create_loader()))


def make_quick(set_attribute: Callable[[object, str, Any], None]) -> None:
    """Change botocore by means of `set_attribute`: setattr, or that of a monkeypatch."""
    set_attribute(JSONFileLoader, "load_file", lambda _, path: _load_once(path))
    set_attribute(Loader, "list_available_services", lambda _, type_name: _list_once(type_name))
    set_attribute(ExponentialBackoff, "delay_amount", lambda _, context: 0.001 * 2**context.attempt_number)
