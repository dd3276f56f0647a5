from kuma_sd.pipeline.backoff import Backoff


def test_waits_grow_up_to_the_bound_and_are_spread() -> None:
    waits = [[backoff.next() for _ in range(10)] for backoff in (Backoff(), Backoff())]
    for number, wait in enumerate(waits[0]):
        bound = min(30.0, 0.5 * 2**number)
        assert bound / 2 <= wait <= bound
    assert waits[0] != waits[1]


def test_after_a_success_it_begins_anew() -> None:
    backoff = Backoff()
    for _ in range(1000):
        assert backoff.next() <= 30.0
    backoff.reset()
    assert backoff.next() <= 0.5


def test_a_server_may_ask_for_a_longer_wait_but_not_for_any() -> None:
    assert Backoff().next(at_least=60.0) == 60.0
    assert Backoff().next(at_least=1e9) == 300.0
    assert Backoff().next(at_least=0.001) >= 0.25
