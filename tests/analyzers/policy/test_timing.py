"""Rules over live data as they are written: what is accepted, and what is said of mistakes."""

import pytest

from fabricscope.analyzers.policy.metrics import LIVE_TABLES, metrics_of, texts_of
from fabricscope.analyzers.policy.rules import parse_rules
from fabricscope.analyzers.policy.timing import DEFAULT_GROUPS, Timing, groupable
from fabricscope.errors import ConfigError

HEAD = '[[rule]]\nname = "one"\ntable = "link_samples"\n'
MATCH = "[rule.match]\nscore = { max = 60 }\n"


def timing_of(extra: str) -> Timing:
    (rule,) = parse_rules(HEAD + extra + MATCH, "r.toml").rules
    assert rule.timing is not None
    return rule.timing


def test_durations() -> None:
    timing = timing_of('for = "5s"\nover = "1.5m"\nclear_for = "500ms"\nrepeat = "1h"\n')
    assert timing.hold_ns == 5_000_000_000
    assert timing.over_ns == 90_000_000_000
    assert timing.clear_for_ns == 500_000_000
    assert timing.repeat_ns == 3_600_000_000_000
    assert timing.expire_ns == 60_000_000_000
    assert timing.group_by == ("link", "direction", "source")


def test_a_rule_never_expires_before_it_can_fire() -> None:
    assert timing_of('for = "5m"\n').expire_ns == 300_000_000_000


def test_absence_of_everything_is_one_subject() -> None:
    assert timing_of('absent = "5s"\n').group_by == ()
    assert timing_of('absent = "5s"\ngroup_by = "link"\n').group_by == ("link",)


@pytest.mark.parametrize("table", LIVE_TABLES)
def test_every_table_can_be_told_apart(table: str) -> None:
    assert set(DEFAULT_GROUPS[table]) <= set(groupable(table))
    assert metrics_of(table)
    assert "collector" in texts_of(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "for = 5\n" + MATCH, "line 4: for: 5 is no time; write a text such as \"5s\""),
        (HEAD + 'for = "5 weeks"\n' + MATCH, "line 4: for: '5 weeks' is no time"),
        (HEAD + 'over = "1h"\n' + MATCH, "line 4: over: 1h is more than 0.166667 hours"),
        (HEAD + 'four = "5s"\n' + MATCH, "line 4: four: unknown key; did you mean for?"),
        (HEAD + 'group_by = ["lnk"]\n' + MATCH, "line 4: group_by: 'lnk' tells no rows apart; did"),
        (HEAD + 'absent = "1s"\nfor = "1s"\n' + MATCH, "line 5: for: a rule about absence fires"),
        (HEAD + 'description = "{scor}"\n' + MATCH, "line 4: description: {scor} is no column"),
        (HEAD + "clear = 3\n" + MATCH, r"line 4: clear: expected a table [rule.clear]"),
        (HEAD + MATCH + "[rule.clear]\nscroe.min = 1\n", "line 7: scroe: table link_samples "),
        (HEAD + MATCH + "[rule.clear]\nscore = 7\n", "line 7: score: expected a range"),
        (HEAD + "tags = ['x']\n" + MATCH, "line 4: tags: rows of link_samples cannot be tagged"),
        (HEAD + "[rule.match]\nlnk = 'x'\n", "line 5: lnk: table link_samples has no such column"),
        (HEAD + "[rule.match]\ntag = 'x'\n", "line 5: tag: table link_samples has no such column"),
        (HEAD.replace("link_s", "lnk_s") + MATCH, "line 3: table: there is no table lnk_samples"),
        ('[[rule]]\nname = "a"\ntags = ["x"]\nfor = "5s"\n[rule.match]\nbytes.min = 1\n',
         "line 4: for: only tables of live data know it: tap_samples"),
        ("[defaults]\nof = []\n", "line 2: of: unknown key; did you mean off?"),
        ("[defaults]\nalert = ['x']\n", "line 2: alert: there is no [destination.x]"),
        ("[[maintenance]]\nstart = 1\n", "line 2: start: expected a date and time"),
    ],
)  # fmt: skip
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rules(text, "r.toml")
    assert f"r.toml, {message}" in str(caught.value)


def test_optical_power_is_below_zero() -> None:
    text = HEAD + "[rule.match]\nrx_power_dbm = { max = -10 }\n"
    assert parse_rules(text, "r.toml").rules[0].metrics["rx_power_dbm"].high == -10
    with pytest.raises(ConfigError, match="no column is below 0"):
        parse_rules(HEAD + "[rule.match]\nscore = { max = -10 }\n", "r.toml")
