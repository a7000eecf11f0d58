"""The beta distribution, against values that are known."""

import math

import pytest

from hookline.orchestrate.beta import Beta, chances_of_being_best


@pytest.mark.parametrize(
    ("a", "b", "rate", "probability"),
    [
        (1, 1, 0.3, 0.3),
        (2, 1, 0.5, 0.25),
        (1, 3, 0.2, 1 - 0.8**3),
        (0.5, 0.5, 0.25, 1 / 3),
        # Binomial sums: I_x(a, b) = P(Bin(a + b - 1, x) >= a).
        (3, 5, 0.4, sum(math.comb(7, k) * 0.4**k * 0.6 ** (7 - k) for k in range(3, 8))),
        (40, 11, 0.8, sum(math.comb(50, k) * 0.8**k * 0.2 ** (50 - k) for k in range(40, 51))),
    ],
)
def test_the_cdf_is_the_incomplete_beta_function(a, b, rate, probability):
    assert Beta(a, b).cdf(rate) == pytest.approx(probability, abs=1e-9)
    assert Beta(a, b).quantile(probability) == pytest.approx(rate, abs=1e-8)


def test_outside_of_its_rates_nothing_or_all_lies_below():
    assert (Beta().cdf(-1), Beta().cdf(0), Beta().cdf(1), Beta().cdf(2)) == (0, 0, 1, 1)


def test_of_very_many_outcomes_the_interval_is_that_of_the_normal_distribution():
    belief = Beta().after(300_000, 100_000)
    half = 1.6448536 * math.sqrt(0.75 * 0.25 / 400_000)
    assert belief.quantile(0.05) == pytest.approx(0.75 - half, abs=1e-5)
    assert belief.quantile(0.95) == pytest.approx(0.75 + half, abs=1e-5)


def test_the_mean_is_laplaces_rule():
    assert Beta().mean == 0.5
    assert Beta().after(9, 0).mean == pytest.approx(10 / 11)


def test_the_chance_of_being_the_best_is_that_of_drawing_the_highest(chance):
    beliefs = [Beta(9, 2), Beta(5, 5), Beta(1, 1)]
    wins = [0, 0, 0]
    for _ in range(20_000):
        drawn = [chance.betavariate(*belief) for belief in beliefs]
        wins[drawn.index(max(drawn))] += 1
    for found, won in zip(chances_of_being_best(beliefs), wins, strict=True):
        assert found == pytest.approx(won / 20_000, abs=0.02)


def test_whom_nothing_tells_apart_share_evenly():
    assert chances_of_being_best([Beta(3, 2)] * 4) == pytest.approx([0.25] * 4)
    assert chances_of_being_best([Beta()]) == [1.0]
    assert chances_of_being_best([]) == []


def test_of_two_that_are_far_apart_one_has_it_all():
    assert chances_of_being_best([Beta(100_000, 1), Beta(1, 100_000)]) == pytest.approx([1, 0])
