"""Names of a home's files."""

from pathlib import Path

import pytest

from hookline.log.home import Home, domain_of_live_name, domain_of_stem, log_stem


def test_every_path_lies_below_the_root() -> None:
    home = Home(Path("/h"))
    assert str(home.live("worker")) == "/h/coordination/events/worker-events.jsonl"
    assert str(home.segments) == "/h/coordination/events/segments"
    assert str(home.deliveries) == "/h/coordination/deliveries.jsonl"
    assert str(home.handlers) == "/h/scripts/events/handlers"


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("worker-events.jsonl", "worker"),
        ("zombie-cleanup-events.jsonl", "zombie-cleanup"),
        ("worker-events.jsonl.swp", None),
        ("-events.jsonl", None),
        (".worker-events.jsonl", None),
        ("../x-events.jsonl", None),
        ("deliveries.jsonl", None),
    ],
)
def test_a_live_log_is_known_by_its_name(name: str, domain: str | None) -> None:
    assert domain_of_live_name(name) == domain


def test_the_journal_is_no_domain() -> None:
    assert domain_of_stem("deliveries") is None
    assert domain_of_stem(log_stem("deliveries")) == "deliveries"
