"""What pages show instead of data."""

from fabricscope.dashboard.pages.states import empty_state, panel, problem_state


def test_an_empty_page_says_what_to_run() -> None:
    text = str(empty_state("Nothing", "because", "run this"))
    assert all(part in text for part in ("Nothing", "because", "run this"))
    assert "Pre(" not in str(empty_state("Nothing", "because"))


def test_problems_are_one_line_of_text() -> None:
    assert "\\x0a" in str(problem_state("a\nb"))


def test_panels_carry_what_they_are_given() -> None:
    one = panel("Title", "inside", note="how to read it", className="wide", id="x")
    assert one.className == "panel wide"
    assert one.id == "x"
    assert "how to read it" in str(one)
