"""How often a login may fail."""

from fabricscope.dashboard.security.attempts import ADDRESS_TRIES, NAME_TRIES, Attempts


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_address_waits_after_a_few_failures() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    assert [attempts.wait_s("1.2.3.4", f"u{n}") for n in range(ADDRESS_TRIES)] == [0.0] * 5
    assert attempts.wait_s("1.2.3.4", "u") == 60.0
    assert attempts.wait_s("1.2.3.5", "u") == 0.0
    clock.now += 60.0
    assert attempts.wait_s("1.2.3.4", "u") == 0.0


def test_a_name_waits_whatever_the_address() -> None:
    attempts = Attempts(Clock())
    waits = [attempts.wait_s(f"10.0.0.{n}", "ada") for n in range(NAME_TRIES + 1)]
    assert waits == [0.0] * NAME_TRIES + [60.0]
    assert attempts.refused == 1


def test_a_success_forgets_the_failures() -> None:
    attempts = Attempts(Clock())
    for _ in range(3):
        for _ in range(ADDRESS_TRIES - 1):
            assert attempts.wait_s("1.2.3.4", "ada") == 0.0
        attempts.succeed("1.2.3.4", "ada")


def test_a_thousand_tries_a_minute_cost_few_hashes() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    allowed = 0
    for _ in range(1_000):
        allowed += attempts.wait_s("1.2.3.4", "ada") == 0.0
        clock.now += 0.06
    assert allowed <= 2 * ADDRESS_TRIES
    assert attempts.refused >= 990
