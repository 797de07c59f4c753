"""Log groups, and the functions that they are named after."""

import re

_LAMBDAS = re.compile(r"(?:^|:)/aws/lambda/(?:[a-z0-9-]+\.)?(?P<function>[a-zA-Z0-9_-]{1,140})(?::\*)?$")
"""Of functions at the edge the region stands before the name: `/aws/lambda/us-east-1.orders`."""


def function_of_log_group(name: str | None) -> str | None:
    """Return the function whose log group this is, by name, ARN, or as Logs Insights has it; None for other groups."""
    matched = _LAMBDAS.search(name or "")
    return matched["function"] if matched else None
