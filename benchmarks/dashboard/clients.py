"""Browsers as far as the server can tell: a WebSocket each, a callback asked for at each tick."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

import requests
from websockets.asyncio.client import connect

RAW_TICK = "raw-tick"
TICK_INPUT = "tick"
VIEW_INPUT = "view"


@dataclass
class Client:
    """What one client saw: ticks, and for each callback the seconds until its answer came."""

    ticks: int = 0
    answers_s: list[float] = field(default_factory=list)
    received_bytes: int = 0
    errors: int = 0


def find_callbacks(address: str, marker: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the callback that streams the ticks, and the one whose outputs name `marker`."""
    found = requests.get(f"{address}/_dash-dependencies", timeout=30).json()
    stream = next(one for one in found if one.get("persistent"))
    page = next(one for one in found if marker in one["output"] and not one["clientside_function"])
    return stream, page


async def browse(
    address: str, callbacks: tuple[dict[str, Any], dict[str, Any]], search: str, until: float
) -> Client:
    """Follow the ticks until a time (monotonic), asking for the page's callback at each."""
    stream, page = callbacks
    client = Client()
    asked: dict[str, float] = {}
    url = address.replace("http", "ws", 1) + "/_dash-ws-callback"
    async with connect(url, origin=address, max_size=None) as socket:  # type: ignore[arg-type]
        await socket.send(_request("stream", stream, {}, []))
        count = 0
        while (left := until - time.monotonic()) > 0:
            try:
                text = await asyncio.wait_for(socket.recv(), left)
            except TimeoutError:
                break
            client.received_bytes += len(text)
            found = json.loads(text)
            for message in found if isinstance(found, list) else [found]:
                props = message.get("payload", {})
                if message["type"] == "set_props" and props.get("componentId") == RAW_TICK:
                    client.ticks += 1
                    count += 1
                    values = {
                        TICK_INPUT: props["props"]["data"],
                        VIEW_INPUT: {"path": "/", "search": search},
                    }
                    asked[f"r{count}"] = time.monotonic()
                    await socket.send(_request(f"r{count}", page, values, [f"{TICK_INPUT}.data"]))
                elif message.get("requestId") in asked:
                    client.answers_s.append(time.monotonic() - asked.pop(message["requestId"]))
                    client.errors += "error" in json.dumps(message)[:200]
    return client


def _request(
    number: str, callback: dict[str, Any], values: dict[str, Any], changed: list[str]
) -> str:
    outputs = [
        {"id": _id(name.rpartition(".")[0]), "property": name.rpartition(".")[2]}
        for name in callback["output"].strip(".").split("...")
        if "." in name
    ]
    given = {
        kind: [
            {"id": one["id"], "property": one["property"], "value": values.get(one["id"])}
            for one in callback[kind]
        ]
        for kind in ("inputs", "state")
    }
    payload = {
        "output": callback["output"], "outputs": outputs, "changedPropIds": changed, **given,
    }  # fmt: skip
    return json.dumps(
        {"type": "callback_request", "requestId": number, "rendererId": "r", "payload": payload}
    )


def _id(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text
