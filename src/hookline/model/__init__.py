"""The words of Hookline as values and pure functions: no file, no state, no folder."""
