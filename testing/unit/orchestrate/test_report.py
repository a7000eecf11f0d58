"""The page that a cycle leaves."""

from hookline.orchestrate.report import markdown
from testing.unit.orchestrate.tale import completed, decided, failed, learned


def test_it_shows_experts_failures_and_what_to_look_into():
    tellings = []
    for n in range(12):
        tellings += [decided(9.5, f"t{n}", "dev", 0.9, task_type="code"), failed(9.6, f"t{n}")]
    page = markdown(learned(*tellings), "Learning, 2020-01-11")
    assert page.startswith("# Learning, 2020-01-11\n\nAs of 2020-01-11T00:00:00.000000Z, from ")
    assert "12 decisions, 12 of them with an outcome; 0 ends of tasks" in page
    assert "| dev | 0.07 | 0.00 to 0.21 | 12 of 12 | 0.90 in 12 | 100% |" in page
    assert "| dev | code | 0.07 | 0.00 to 0.21 | 12 |" in page
    assert "| timeout | dev | 12 of 12 | 0 of 0 |  |" in page
    assert "- miscalibrated\\_confidence: trust dev less: 90% claimed in 12 decisions" in page
    assert page.endswith("shown\n")


def test_an_empty_one_says_so():
    page = markdown(learned(), "x")
    for text in ("No decision names an expert.", "None in eight days.", "Nothing.\n"):
        assert text in page


def test_names_are_no_markup():
    name = "a|b](c)<i>`*_\\"
    page = markdown(learned(decided(9, "t", name), completed(9.5, "t")), "x")
    assert "| a\\|b\\](c)\\<i\\>\\`\\*\\_\\\\ | 0.6" in page
