"""Those that are measured beside us, each used as its own documentation shows it."""
