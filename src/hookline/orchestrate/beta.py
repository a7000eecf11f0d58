"""The beta distribution: what is believed of a rate after so many successes and failures. Pure."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

_TINY: Final = 1e-300
_PRECISION: Final = 1e-10
_TERMS_MAX: Final = 10_000
_HALVINGS: Final = 30
"""Of an interval of length 1: with them a quantile is known to 1e-9."""


class Beta(NamedTuple):
    """A beta distribution; `Beta(1.0, 1.0)`, which holds every rate for equally likely, is the
    belief before the first outcome. `a - 1` successes and `b - 1` failures were seen."""

    a: float = 1.0
    b: float = 1.0

    @property
    def mean(self) -> float:
        """The probability that the next outcome is a success."""
        return self.a / (self.a + self.b)

    def after(self, successes: float, failures: float) -> "Beta":
        """The belief after outcomes, which may count for less than one each."""
        return Beta(self.a + successes, self.b + failures)

    def cdf(self, rate: float) -> float:
        """How likely the rate is at most this: the regularized incomplete beta function, by the
        continued fraction of DLMF 8.17.22 (https://dlmf.nist.gov/8.17#v)."""
        if not 0.0 < rate < 1.0:
            return 0.0 if rate <= 0.0 else 1.0
        a, b = self
        # On the other side of the mean the fraction converges slowly: there, by symmetry.
        if rate > (a + 1.0) / (a + b + 2.0):
            return 1.0 - Beta(b, a).cdf(1.0 - rate)
        log = a * math.log(rate) + b * math.log1p(-rate)
        log -= math.log(a) + math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
        return math.exp(log) * _fraction(rate, a, b)

    def quantile(self, probability: float) -> float:
        """The rate that the true one does not exceed with this probability, by bisection."""
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if self.cdf(middle) < probability:
                low = middle
            else:
                high = middle
        return (low + high) / 2


def _fraction(rate: float, a: float, b: float) -> float:
    """The continued fraction by the modified method of Lentz."""
    c, d = 1.0, 1.0 / _not_zero(1.0 - (a + b) * rate / (a + 1.0))
    fraction = d
    for m in range(1, _TERMS_MAX):
        even = m * (b - m) * rate / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * rate / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _not_zero(1.0 + term * d)
            c = _not_zero(1.0 + term / c)
            fraction *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            break
    return fraction


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


_QUADRATURE: Final = 16


def chances_of_being_best(beliefs: Sequence[Beta]) -> list[float]:
    """How likely each of these rates is the highest; together 1, of none nothing.

    To choose each as often as it is likely to be the best is the rule of Thompson (Biometrika 25,
    1933); whoever is not known well keeps a share of it, and so becomes known. The chance of one is
    the mean, over quantiles of its own belief, of how likely all the others are below.
    """
    chances = []
    for belief in beliefs:
        rates = [belief.quantile((m + 0.5) / _QUADRATURE) for m in range(_QUADRATURE)]
        others = list(beliefs)
        others.remove(belief)
        chances.append(math.fsum(math.prod(each.cdf(rate) for each in others) for rate in rates))
    # One of them is the highest, so the total is far from 0; near 1 it is by the quadrature.
    total = math.fsum(chances)
    return [chance / total for chance in chances]
