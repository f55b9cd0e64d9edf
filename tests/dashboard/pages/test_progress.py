"""How far a task is, in every state."""

from dash import html

from fabricscope.dashboard.pages.progress import show_progress
from fabricscope.dashboard.tasks import Task


def test_a_bar_while_it_goes_on_and_a_sentence_after() -> None:
    text, bar = show_progress(Task("running", 1, 4), "Working", "Done in time")
    assert text.children == "Working: 25 %"
    assert isinstance(bar, html.Progress)
    assert bar.value == "0.2500"
    assert show_progress(Task("running"), "Working", "")[0].children == "Working ..."
    assert show_progress(Task("done"), "", "Done in time")[0].children == "Done in time"
    assert "waiting" in show_progress(Task("waiting"), "Working", "")[0].children
    assert show_progress(Task("cancelled"), "", "")[0].children == "Called off."
    failed = show_progress(Task("failed", problem="No such file."), "", "")[0]
    assert "problem" in failed.className
