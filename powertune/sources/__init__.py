"""Where runs come from: the only rooms that run functions or read recordings."""
