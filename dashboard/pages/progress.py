"""How far a task is, as a bar or a sentence."""

from typing import Any

from dash import html
from dash.development.base_component import Component

from fabricscope.dashboard.pages.states import problem_state
from fabricscope.dashboard.quantities import format_share
from fabricscope.dashboard.tasks import Task

__all__ = ["show_progress"]


def show_progress(task: Task, doing: str, done: str) -> list[Component]:
    """Return a bar while the task goes on, then `done`, or what went wrong."""
    if task.state == "failed":
        return [problem_state(task.problem)]
    if task.state == "cancelled":
        return [html.P("Called off.", className="quiet")]
    if task.state == "done":
        return [html.P(done, className="health good verdict")]
    if task.state == "waiting":
        return [html.P(f"{doing}: waiting until other work has ended.", className="quiet")]
    share = task.share
    text = f"{doing}: {format_share(share)}" if share is not None else f"{doing} ..."
    value: dict[str, Any] = {} if share is None else {"value": f"{share:.4f}", "max": "1"}
    return [html.P(text, role="status"), html.Progress(**value, className="progress")]
