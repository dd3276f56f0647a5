"""The guard against a model of its rules."""

from guard_model import MESHES, NAMES, Model, World, as_snapshot, as_world
from hypothesis import given, settings
from hypothesis import strategies as st

from kuma_sd.pipeline.guard import Guard

worlds = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2))
steps = st.tuples(
    worlds | st.just({}) | st.just(dict.fromkeys(NAMES, 0)),
    st.sampled_from([0.0, 1.0, 5.0, 10.0, 11.0]),  # how long after the last one
    st.sampled_from([False, False, False, True]),  # over a new connection
    st.sampled_from([True, True, True, False]),  # complete
)


@settings(max_examples=500, deadline=None)
@given(st.lists(steps, max_size=12), st.sampled_from([0.0, 10.0, float("inf")]), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_what_is_published_is_what_the_rules_say(
    story: list[tuple[World, float, bool, bool]], hold: float, max_drop: float
) -> None:
    guard, model = Guard("", max_drop, hold), Model(max_drop, hold)
    now, connected = 100.0, -1000.0
    last: tuple[World, float, bool] | None = None
    for world, pause, reconnected, complete in story:
        due = guard.deadline
        while last and due is not None and due < now + pause:
            expected = model.admit(last[0], last[1], due, complete=last[2])
            assert as_world(guard.admit(as_snapshot(last[0], last[1], complete=last[2]), due)) == expected
            due = guard.deadline
        now += pause
        connected = now if reconnected else connected
        last = (world, connected, complete)
        expected = model.admit(world, connected, now, complete=complete)
        assert as_world(guard.admit(as_snapshot(world, connected, complete=complete), now)) == expected
        assert guard.status.held == {
            mesh: count for mesh in MESHES if (count := sum(key[0] == mesh for key in model.held))
        }
