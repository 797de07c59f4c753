"""Whether functions have the memory size they should, keep to their budgets, and are as fast as they were. Pure."""
