"""Composition: which home, which clock, which parts; the only reader of the environment."""
