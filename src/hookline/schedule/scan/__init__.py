"""Finding hard-coded timer loops in Python and shell programs, by reading them alone."""
