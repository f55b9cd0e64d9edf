"""`fabricscope dissect` on a terminal: packets as trees of layers and fields."""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from fabricscope.cli.screen import Screen
from fabricscope.collectors.dissect import DissectedPacket, dissect, parse_frames


def print_dissection(path: str, frames: str, console: Console) -> None:
    """Dissect the frames of a list such as `10,12-15` and print them as they come.

    Raises what parse_frames and dissect raise; packets before the error are printed.
    """
    print_packets(dissect(path, parse_frames(frames)), console)


def print_packets(packets: Iterable[DissectedPacket], console: Console) -> None:
    """Print packets as trees on a terminal, as indented lines elsewhere."""
    screen = Screen(console)
    show = _print_tree if console.is_terminal and screen.unicode else _print_lines
    for number, packet in enumerate(packets):
        if number:
            console.print()
        show(packet, screen)


def _describe(packet: DissectedPacket) -> str:
    captured = (
        f", {packet.captured_length:,} captured"
        if packet.captured_length < packet.wire_length
        else ""
    )
    return f"Frame {packet.frame}  {packet.time}  {packet.wire_length:,} bytes{captured}"


def _print_tree(packet: DissectedPacket, screen: Screen) -> None:
    tree = Tree(screen.text(_describe(packet), "bold"), guide_style="dim")
    for layer in packet.layers:
        path = [tree.add(screen.text(layer.name, "bold cyan"))]
        for field in layer.fields:
            del path[field.depth + 1 :]
            path.append(path[-1].add(_split(screen, field.text)))
    screen.console.print(tree)


def _split(screen: Screen, text: str) -> Text:
    """Return `name: value` with the value set off."""
    name, separator, value = screen.clean(text).partition(": ")
    return Text.assemble((name + separator, "dim" if separator else ""), value)


def _print_lines(packet: DissectedPacket, screen: Screen) -> None:
    screen.line((_describe(packet), "bold"))
    for layer in packet.layers:
        screen.line((layer.name, "bold"), indent=2)
        for field in layer.fields:
            screen.line((field.text, ""), indent=4 + 2 * field.depth, wrap=False)
