"""The flow of bytes from hosts over applications to behaviours."""

from fabricscope.dashboard.figures.sankey import draw_sankey


def row(src: str, application: str, behaviour: str | None, size: int) -> dict[str, object]:
    return {"src": src, "application": application, "behaviour": behaviour, "bytes": size}


def test_bytes_are_kept_from_left_to_right() -> None:
    rows = [row("a", "http", "bulk", 10), row("b", "http", None, 5), row("b", "dns", "bulk", 1)]
    trace = draw_sankey(rows).data[0]
    assert list(trace.node.label) == ["a", "b", "http", "dns", "bulk", "unclear"]
    assert sum(trace.link.value) == 2 * 16
    links = dict(zip(zip(trace.link.source, trace.link.target), trace.link.value, strict=True))  # noqa: B905
    assert links[(0, 2)] == 10
    assert links[(2, 5)] == 5
    assert list(trace.node.customdata)[2] == "15 B"


def test_many_hosts_are_others_and_names_are_text() -> None:
    rows = [row(f"h{number:02}", "<b>x</b>", "bulk", 100 - number) for number in range(20)]
    trace = draw_sankey(rows).data[0]
    assert "8 other hosts" in trace.node.label
    assert "&lt;b&gt;x&lt;/b&gt;" in trace.node.label
    assert len(trace.node.label) == 12 + 1 + 1 + 1


def test_names_of_small_ones_do_not_lie_upon_each_other() -> None:
    rows = [row("big", "gloo", "bulk", 100_000)]
    rows += [row(f"h{number}", "arp", "idle", 1) for number in range(5)]
    assert list(draw_sankey(rows).data[0].node.label) == [
        "big", "5 other hosts", "gloo", "arp", "bulk", "idle"
    ]  # fmt: skip


def test_without_bytes_it_says_so() -> None:
    assert "No traffic" in draw_sankey([]).layout.annotations[0].text
