"""The bench is for every unit test that runs handlers."""

from testing.unit.bench import make_bench

__all__ = ["make_bench"]
