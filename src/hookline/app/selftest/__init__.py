"""The bus put to the test: the storm, and the oracle that judges what came of it."""
