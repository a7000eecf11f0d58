"""The bench is for the tests of Python handlers too."""

from testing.unit.bench import make_bench

__all__ = ["make_bench"]
