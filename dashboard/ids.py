"""The ids of all components, by page: callbacks of one page name those of another only from here.

Those of the frame around the pages stand alone; a page's own are in a class of its name.
"""

from typing import Final

URL: Final = "url"
VIEW: Final = "view"
"""dcc.Store: `{"path", "search"}` of the address; `view.read_view` reads it."""
RAW_TICK: Final = "raw-tick"
TICK: Final = "tick"
"""dcc.Store: `{"time_ms", "latest_ms", "problem"}`, new each second, at rest while paused."""
POLL: Final = "poll"
CONTENT: Final = "content"
NAVIGATION: Final = "navigation"
RANGE: Final = "range"
LIVE: Final = "live"
COLLECTOR: Final = "collector"
THEME: Final = "theme"
THEME_BUTTON: Final = "theme-button"
HELP_BUTTON: Final = "help-button"
HELP: Final = "help"
STALE: Final = "stale"
STRIP: Final = "strip"
PROBLEM: Final = "problem"
"""dcc.Store: one sentence of what a page's callback met, shown in the strip."""
SPAN: Final = "span"
ZOOM: Final = "zoom"
"""dcc.Store: the stretch of time that a chart was zoomed to, `[from_ms, to_ms]`."""
PATH: Final = "path"
"""dcc.Store: the path alone, which changes with the page only."""
FALLBACK: Final = "fallback"
HELP_CLOSE: Final = "help-close"
ACCOUNT: Final = "account"
LOG_OUT: Final = "log-out"
TIME_GRAPH: Final = "time-graph"


def time_graph(name: str) -> dict[str, str]:
    """Return the id of a graph whose x axis is time: zooming it zooms the whole page."""
    return {"type": TIME_GRAPH, "name": name}


class Fabric:
    """The map of the fabric."""

    EMPTY: Final = "fabric-empty"
    BODY: Final = "fabric-body"
    TILES: Final = "fabric-tiles"
    MAP: Final = "fabric-map"
    KEY: Final = "fabric-key"
    STATE: Final = "fabric-state"
    """dcc.Store: what `data.map_state` returns, with the key of the map that it belongs to."""
    DRAWN: Final = "fabric-drawn"
    DETAIL: Final = "fabric-detail"
    CHOICE: Final = "fabric-choice"
    STEP: Final = "fabric-step"
    MOMENT: Final = "fabric-moment"
    PLAY: Final = "fabric-play"
    PLAYER: Final = "fabric-player"
    WORST: Final = "fabric-worst"
    BUSIEST: Final = "fabric-busiest"
    ALERTS: Final = "fabric-alerts"
    STORY: Final = "fabric-story"


class Links:
    """The table of links and the page of one."""

    PACKETS: Final = "links-packets"
    EMPTY: Final = "links-empty"
    TABLE: Final = "links-table"
    GRID: Final = "links-grid"
    SEARCH: Final = "links-search"
    HEALTH: Final = "links-health"
    ORDER: Final = "links-order"
    COUNT: Final = "links-count"
    SAVE: Final = "links-save"
    DOWNLOAD: Final = "links-download"
    STORY: Final = "links-story"
    HEAD: Final = "links-head"
    SIDE: Final = "links-side"
    LOAD: Final = "links-load"
    SCORE: Final = "links-score"
    EVENTS: Final = "links-events"
    LATENCY: Final = "links-latency"


class Rdma:
    """Queue pairs."""

    BODY: Final = "rdma-body"
    EMPTY: Final = "rdma-empty"
    TILES: Final = "rdma-tiles"
    EVENTS: Final = "rdma-events"
    MESSAGES: Final = "rdma-messages"
    ROUND_TRIPS: Final = "rdma-round-trips"
    MATRIX: Final = "rdma-matrix"
    STALLED: Final = "rdma-stalled"
    STALLED_NOTE: Final = "rdma-stalled-note"
    QUEUE_PAIRS: Final = "rdma-queue-pairs"
    SAVE: Final = "rdma-save"
    DOWNLOAD: Final = "rdma-download"


class Training:
    """Jobs and iterations."""

    BODY: Final = "training-body"
    EMPTY: Final = "training-empty"
    VERDICTS: Final = "training-verdicts"
    FACTS: Final = "training-facts"
    PACKETS: Final = "training-packets"
    ITERATIONS: Final = "training-iterations"
    BANDWIDTH: Final = "training-bandwidth"
    RANKS: Final = "training-ranks"
    STORAGE: Final = "training-storage"
    TABLE: Final = "training-table"


class Traffic:
    """Applications and behaviours."""

    BODY: Final = "traffic-body"
    EMPTY: Final = "traffic-empty"
    TILES: Final = "traffic-tiles"
    RATES: Final = "traffic-rates"
    MAP: Final = "traffic-map"
    SANKEY: Final = "traffic-sankey"
    CONTRADICTIONS: Final = "traffic-contradictions"
    FLOWS: Final = "traffic-flows"
    FLOWS_NOTE: Final = "traffic-flows-note"
    SAVE: Final = "traffic-save"
    DOWNLOAD: Final = "traffic-download"


class Failover:
    """The simulator."""

    BODY: Final = "failover-body"


class Captures:
    """Captures, reports and packets."""

    BODY: Final = "captures-body"
    LIST: Final = "captures-list"
    UPLOAD: Final = "captures-upload"
    """Button; `assets/upload.js` makes it choose and send a file."""
    UPLOAD_STATE: Final = "captures-upload-state"
    UPLOADED: Final = "captures-uploaded"
    """dcc.Store: what the server said to the last upload."""
    FILE: Final = "captures-file"
    STATUS: Final = "captures-status"
    CANCEL: Final = "captures-cancel"
    AGAIN: Final = "captures-again"
    WORK: Final = "captures-work"
    """dcc.Interval: asks for progress while something is under way."""
    SHOWN: Final = "captures-shown"
    REPORT: Final = "captures-report"
    CHAPTERS: Final = "captures-chapters"
    PACKETS_PANEL: Final = "captures-packets-panel"
    SCROLL: Final = "captures-scroll"
    TABS: Final = "captures-tabs"
    SECTION: Final = "captures-section"
    HOST: Final = "captures-host"
    WAY: Final = "captures-way"
    LEAST: Final = "captures-least"
    FRAMES: Final = "captures-frames"
    SHOW: Final = "captures-show"
    PACKETS_SHOWN: Final = "captures-packets-shown"
    PACKETS_NOTE: Final = "captures-packets-note"
    CURVES: Final = "captures-curves"
    FILTER: Final = "captures-filter"
    PACKETS: Final = "captures-packets"
    DISSECTION: Final = "captures-dissection"


class Alerts:
    """Alerts and silences."""

    TILES: Final = "alerts-tiles"
    OPEN: Final = "alerts-open"
    SUBJECT: Final = "alerts-subject"
    NOTE: Final = "alerts-note"
    ACKNOWLEDGE: Final = "alerts-acknowledge"
    FOR: Final = "alerts-for"
    SILENCE: Final = "alerts-silence"
    SAID: Final = "alerts-said"
    SILENCES: Final = "alerts-silences"
    END_SILENCE: Final = "alerts-end-silence"
    HISTORY: Final = "alerts-history"
    TIMELINE: Final = "alerts-timeline"
    REFRESH: Final = "alerts-refresh"


class System:
    """The collectors and the store."""

    EMPTY: Final = "system-empty"
    TILES: Final = "system-tiles"
    TAPS: Final = "system-taps"
    RATES: Final = "system-rates"
    LOSSES: Final = "system-losses"
    STORE: Final = "system-store"
    VERSIONS: Final = "system-versions"
