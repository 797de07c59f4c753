"""The command line: one file a command. Parses, wires, sets the exit code; nothing is computed here."""
