"""Rules: what the parser accepts and refuses, what matches, and what text comes out."""

import contextlib
import re
import shutil
import string
import subprocess
from pathlib import Path

import polars as pl
import pytest

from fabricscope.analyzers.policy import Alert, Policy, parse_rules
from fabricscope.analyzers.policy.metrics import metric_name, metrics_of, texts_of
from fabricscope.analyzers.policy.snippets import MAX_ENTRIES, access_list, nftables
from fabricscope.errors import ConfigError
from fabricscope.records import TABLES

NASTY = 'x"; flush ruleset\n} # \x1b[31m \u2028'


def rule_text(match: str = "application = 'dns'", extra: str = "", name: str = "one") -> str:
    return f'[[rule]]\nname = "{name}"\ntags = ["{name}"]\n{extra}\n[rule.match]\n{match}\n'


def flow(**changes: object) -> dict[str, object]:
    return {
        "src": "10.1.2.3", "dst": "10.9.0.1", "src_port": 40_000, "dst_port": 53,
        "protocol": "udp", "kind": "udp", "start_ns": 1_000_000_000, "end_ns": 3_000_000_000,
        "a_to_b_bytes": 4_000_000, "b_to_a_bytes": 1_000, "a_to_b_packets": 3_000,
        "b_to_a_packets": 10, "a_to_b_gap_p99": 25.0, "application": "dns",
        "behaviour": "bulk_transfer", **changes,
    }  # fmt: skip


def matched(text: str, *rows: dict[str, object], table: str = "flows") -> list[int]:
    """Return the rows that the last rule of `text` tags."""
    rules = parse_rules(text, "rules.toml")
    tags = Policy(rules).apply({table: pl.DataFrame(rows)}).tags[table]
    last = rules.rules[-1].tags[0]
    return [row for row, found in enumerate(tags) if last in found]


@pytest.mark.parametrize(
    ("match", "hits"),
    [
        ("application = 'dns'", [0, 1]),
        ("application = ['ssh', 'd?s']", [0, 1, 2]),
        ("application = '*'", [0, 1, 2]),
        ("behaviour = 'bulk_*'\napplication = 'dns'", [0]),
        ("host = '10.9.0.0/16'", [0, 1]),
        ("src = '10.9.0.1'", []),
        ("dst = ['fd00::/8', '192.0.2.1']", [2]),
        ("port = 53", [0, 1]),
        ("port = ['22', '39999-40000']", [0, 1, 2]),
        ("dst_port = 22", [2]),
        ("a_to_b_gap_p99_us = { min = 20, max = 30 }", [0]),
        ("bytes = { min = 4_001_000 }", [0, 2]),
        ("bytes.max = 4_000_999", [1, 3]),
        ("duration_s = { min = 2 }", [0, 1, 2]),
        ("rate_gbps = { min = 0.016 }", [0, 2]),
        ("subject = '10.1.2.3 40000 -> 10.9.0.1 53 udp'", [0, 1]),
        ("kind = 'udp'\nprotocol = 'tcp'", []),
    ],
)
def test_conditions(match: str, hits: list[int]) -> None:
    rows = [
        flow(),
        flow(a_to_b_bytes=100, behaviour="request_response", a_to_b_gap_p99=None),
        flow(src="fd00::1", dst="fd00::2", dst_port=22, application="ssh", protocol="sctp",
             a_to_b_gap_p99=None),
        flow(application=None, behaviour=None, src="02:00:00:00:00:01", dst="lid:5", src_port=0,
             dst_port=0, a_to_b_bytes=0, b_to_a_bytes=0, kind="arp", start_ns=3_000_000_000,
             protocol="arp", a_to_b_gap_p99=None),
    ]  # fmt: skip
    found = matched(rule_text(match), *rows)
    assert found == hits


def test_every_printable_character_stands_for_itself() -> None:
    for character in string.printable + "é\u2028":
        if character in "*?":
            continue
        quoted = f'"\\u{ord(character):04x}"'
        rows = [flow(application=character), flow(application="ab"), flow(application="")]
        assert matched(rule_text(f"application = {quoted}"), *rows) == [0], repr(character)


def test_many_long_patterns_stay_within_the_engine() -> None:
    patterns = ", ".join(f'"*{number:03d}{"?*" * 120}"' for number in range(256))
    assert matched(rule_text(f"application = [{patterns}]"), flow(), flow(application="x")) == []


def test_tags_of_earlier_rules() -> None:
    text = rule_text() + rule_text("tag = 'one'\ndst_port = 53", name="two")
    assert matched(text, flow(), flow(dst_port=5), flow(application="http")) == [0]


def alerting(extra: str = "", match: str = "application = 'dns'") -> str:
    return rule_text(match, f"alert = ['log']\n{extra}") + (
        '[destination.log]\ntype = "json"\nfile = "-"\n'
    )


def test_alerts_are_given_once_and_are_bounded() -> None:
    policy = Policy(parse_rules(alerting("max_alerts = 3"), "rules.toml"))
    rows = pl.DataFrame([flow(src_port=port) for port in range(5)])
    first = policy.apply({"flows": rows}).alerts
    assert len(first) == 3
    assert policy.apply({"flows": rows}).alerts == []
    count = policy.counts["one"]
    assert (count.matched, count.alerts, count.repeated, count.suppressed) == (10, 3, 3, 4)


def test_alert_says_what_the_rule_looked_at() -> None:
    text = alerting('severity = "critical"\ndescription = "why"', "bytes = { min = 1000 }")
    (alert,) = (
        Policy(parse_rules(text, "rules.toml")).apply({"flows": pl.DataFrame([flow()])}).alerts
    )
    assert (alert.severity, alert.description, alert.time_ns) == ("critical", "why", 3_000_000_000)
    assert alert.values["bytes"] == 4_001_000
    assert alert.values["src"] == "10.1.2.3"
    assert alert.tags == ("one",)
    assert alert.destinations == ("log",)


def test_texts_are_cut_and_odd_numbers_dropped() -> None:
    text = alerting("", "application = '*'\nrate_gbps = { min = 0 }")
    rows = [flow(application="x" * 9_000, a_to_b_bytes=float("inf"))]
    (alert,) = Policy(parse_rules(text, "f")).apply({"flows": pl.DataFrame(rows)}).alerts
    assert len(alert.values["application"]) == 256
    assert alert.values["rate_gbps"] is None


def test_missing_columns_and_tables_are_told() -> None:
    policy = Policy(parse_rules(rule_text(), "rules.toml"))
    outcome = policy.apply({"flows": pl.DataFrame([flow()]).drop("application")})
    assert outcome.tags == {"flows": [[]]}
    assert policy.counts["one"].missing == {"application"}
    assert policy.apply({}).tags == {}


@pytest.mark.parametrize("table", list(TABLES))
def test_every_table_can_be_matched_and_alerted_on(table: str) -> None:
    """All metrics and texts of a table at once, on a frame as the analyzers make it."""
    conditions = [f"{name} = {{ min = 0 }}" for name in metrics_of(table)]
    free = [name for name in texts_of(table) if name not in ("behaviour", "severity")]
    conditions += [f"{name} = '*'" for name in free]
    text = alerting(f'table = "{table}"', "\n".join(conditions))
    columns = {
        column.name: pl.Series([None, None]).cast(pl.String)
        if column.dtype == "String"
        else pl.Series([1, 2]).cast(getattr(pl, column.dtype.partition("(")[0]))
        for column in TABLES[table]
        if not column.dtype.startswith("List")
    }
    columns |= {name: pl.Series(["x", "y"]) for name in free}
    columns |= {n: pl.Series(["10.0.0.1", "::1"]) for n in ("src", "dst") if n in columns}
    columns |= {n: pl.Series(["s", "t"]) for n in ("subject", "severity") if n in columns}
    policy = Policy(parse_rules(text, "rules.toml"))
    assert len(policy.apply({table: pl.DataFrame(columns)}).alerts) == 2
    assert not policy.counts["one"].missing


def test_units_end_the_names_of_metrics() -> None:
    units = {"us": "us", "ns": "ns", "B": "bytes", "Gb/s": "gbps", "packets": "packets"}
    for columns in TABLES.values():
        for column in columns:
            if column.unit:
                assert units[column.unit] in metric_name(column).split("_"), column


BASE = '# rules\n[[rule]]\nname = "a"\ntags = ["t"]\n[rule.match]\napplication = "dns"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"f.toml, line 1: rule: expected at least one"),
        ("[[rule]\n", r"f.toml: this is not valid TOML"),
        ("x = " + "[" * 5_000, r"f.toml: this is not valid TOML"),
        (BASE + "[[rules]]\nname='b'\n", r"line 7: rules: unknown key; did you mean rule\?"),
        ("ruel = 3\n" + BASE, r"line 1: ruel: unknown key; did you mean rule\?"),
        (BASE.replace("tags", "tag"), r"line 4: tag: unknown key; did you mean tags\?"),
        (BASE.replace('"a"', '"a b"'), r"line 3: name: expected 1 to 64"),
        (BASE.replace('"a"', "7"), r"line 3: name: expected a text"),
        (BASE.replace('["t"]', "[3]"), r"line 4: tags: expected a text or a list"),
        (BASE.replace('["t"]', '["; drop"]'), r"line 4: tags: '; drop' has other"),
        (BASE.replace("tags", "#tags"), r"line 3: name: the rule does nothing"),
        (BASE.replace("tags", "export = 'iptables'\n#"), r"line 4: export: 'iptables' is no"),
        (BASE.replace("tags", "alert = 'log'\n#"), r"line 4: alert: there is no \[destination.log"),
        (BASE.replace("tags", "severity = 'warn'\n#"), r"line 4: severity: .*mean warning\?"),
        (BASE.replace("tags", "table = 'flow'\n#"), r"line 4: table: .*mean flows\?"),
        (BASE.replace("tags", "max_alerts = 0\ntags"), r"line 4: max_alerts: expected a number"),
        (BASE + "aplication = 'x'\n", r"line 7: aplication: .*did you mean application\?"),
        (BASE + "gap_p99_us = {min=1}\n", r"line 7: gap_p99_us: .*mean a_to_b_gap_p99_us\?|b_to_a"),
        (BASE + "bytes = 5\n", r"line 7: bytes: expected a range"),
        (BASE + "bytes = { min = 'x' }\n", r"line 7: bytes: min is not a number"),
        (BASE + "bytes = { min = true }\n", r"line 7: bytes: min is not a number"),
        (BASE + "bytes = { min = nan }\n", r"line 7: bytes: min is not a number"),
        (BASE + "bytes = { mni = 1 }\n", r"line 7: bytes: unknown key mni; did you mean min\?"),
        (BASE + "bytes = { min = 2, max = 1 }\n", r"line 7: bytes: impossible range: 2 is above 1"),
        (BASE + "bytes = { max = -1 }\n", r"line 7: bytes: impossible range"),
        (BASE + "port = 65536\n", r"line 7: port: impossible range"),
        (BASE + "port = '9-3'\n", r"line 7: port: impossible range"),
        (BASE + "port = [true]\n", r"line 7: port: True is no port"),
        (BASE + "port = 'http'\n", r"line 7: port: 'http' is no port"),
        (BASE + "host = '10.0.0.1/8'\n", r"line 7: host: '10.0.0.1/8' is no address or prefix"),
        (BASE + "behaviour = 'bulk'\n", r"line 7: behaviour: there is no behaviour 'bulk'"),
        (BASE + "behaviour = []\n", r"line 7: behaviour: expected at least one"),
        (BASE + "tag = 'u'\n", r"line 7: tag: no earlier rule of table flows sets the tag u"),
        (BASE + BASE[8:], r"line 7: name: a is the name of an earlier rule|line 8"),
        (BASE.split("[rule.match]")[0], r"line 2: match: expected a table"),
        (BASE + "[destination.x]\ntype = 'jsno'\n", r"line 8: type: .*did you mean json\?"),
        (BASE + "[destination.x]\ntype = 'json'\n", r"line 7: file: a destination of type json"),
        (BASE + "[destination.x]\ntype='webhook'\nurl='file:///etc'\n", r"line 9: url: expected a"),
        (BASE + "[destination.x]\ntype='webhook'\nurl='http://[::'\n", r"line 9: url: expected a"),
        (BASE + "[destination.x]\ntype='syslog'\naddress='host'\n", r"line 9: address: expected a"),
        (
            BASE + "[destination.x]\ntype='webhook'\nurl='http://h/'\ntimeout_s=1e9\n",
            r"line 10: timeout_s: expected a number from 0.1 to 60",
        ),
        (
            "[[rule]]\nname='f'\ntable='findings'\nseverity='info'\ntags='x'\n"
            "match.severity='high'\n",
            r"line 6: severity: there is no severity 'high'",
        ),
        (
            "[[rule]]\nname='f'\ntable='findings'\nseverity='info'\ntags='x'\n"
            "[rule.match]\nseverity='high'\n",
            r"line 7: severity: there is no severity 'high'",
        ),
    ],
)  # fmt: skip
def test_errors_name_line_key_and_reason(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rules(text, "f.toml")
    assert re.search(message, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


def test_mutated_text_gives_rules_or_one_sentence() -> None:
    """Cut and damaged text: only the documented error may come out."""
    for place in range(len(BASE)):
        for text in (BASE[:place], BASE[:place] + BASE[place + 1 :], BASE[:place] + "[" + BASE):
            with contextlib.suppress(ConfigError):
                parse_rules(text, "f.toml")


def export(kind: str, *rows: dict[str, object]) -> list[Alert]:
    rules = parse_rules(rule_text("subject = '*'", f'export = "{kind}"'), "f")
    return Policy(rules).apply({"flows": pl.DataFrame(rows)}).alerts


def test_nftables_says_that_a_tap_cannot_block() -> None:
    text = nftables(export("nftables", flow()))
    assert text.startswith("# A passive tap cannot block")
    assert "ip saddr 10.1.2.3 ip daddr 10.9.0.1 udp sport 40000 udp dport 53 counter" in text
    assert "ip saddr 10.9.0.1 ip daddr 10.1.2.3 udp sport 53 udp dport 40000 counter" in text


def test_access_list_keeps_families_apart() -> None:
    six = flow(src="fd00::1", dst="fd00::2", protocol="tcp")
    text = access_list(export("acl", flow(), six, flow(protocol="icmp")))
    assert " deny udp host 10.1.2.3 eq 40000 host 10.9.0.1 eq 53\n" in text
    assert " deny tcp host fd00::1 eq 40000 host fd00::2 eq 53\n" in text
    assert " deny ip host 10.1.2.3 host 10.9.0.1\n" in text
    assert text.startswith("! A passive tap cannot block")


@pytest.mark.parametrize("kind", ["nftables", "acl"])
def test_nothing_from_a_packet_gets_into_a_snippet(kind: str) -> None:
    rows = [
        flow(src=NASTY), flow(protocol=NASTY), flow(application=NASTY),
        flow(src="fe80::1%eth0; reboot", dst="fe80::2"), flow(src="fd00::1"),
        flow(src="02:00:00:00:00:01", dst="02:00:00:00:00:02"),
    ]  # fmt: skip
    text = {"nftables": nftables, "acl": access_list}[kind](export(kind, *rows))
    assert "reboot" not in text
    assert "flush" not in text
    assert text.isascii()
    assert re.search(r"^[#!] [34] alerts are left out", text, re.MULTILINE)


def test_entries_are_bounded() -> None:
    rows = [flow(src_port=port) for port in range(MAX_ENTRIES + 5)]
    assert len(export("acl", *rows)) == 1_000  # the rule's own bound
    more = [
        Alert("r", "info", "flows", "", "", 0, (), {"src": "10.0.0.1", "dst": "10.0.0.2",
              "src_port": port, "dst_port": 1, "protocol": "udp"}, (), "acl")
        for port in range(1, MAX_ENTRIES + 6)
    ]  # fmt: skip
    text = access_list(more)
    assert text.count(" deny ") == MAX_ENTRIES
    assert "! 5 alerts are left out" in text


def test_nft_accepts_the_snippet(tmp_path: Path) -> None:
    nft = shutil.which("nft")
    if nft is None:
        pytest.skip("needs nft (Debian package nftables), which is not installed")
    path = tmp_path / "x.nft"
    six = flow(src="fd00::1", dst="fd00::2", protocol="icmpv6")
    path.write_text(nftables(export("nftables", flow(), six)))
    done = subprocess.run([nft, "-c", "-f", str(path)], capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip("nft may not look at the kernel's tables here")
    assert done.returncode == 0, done.stderr
