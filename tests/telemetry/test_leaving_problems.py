from kuma_sd.telemetry.problems import problems_of
from kuma_sd.telemetry.status import LeavingStatus, Status

GONE = "was removed from the settings;"


def test_a_control_plane_that_was_removed_is_a_problem_while_its_targets_stay() -> None:
    leaving = LeavingStatus("east", 3), LeavingStatus("", 1)
    found = problems_of(Status("1.0", now=1000.0, started=0.0, leaving=leaving))
    assert [(problem.kind, problem.level, problem.what) for problem in found] == [
        ("leaving", "warning", f"Control plane east {GONE} 3 targets of it still published"),
        ("leaving", "warning", f"The control plane without a name {GONE} 1 target of it still published"),
    ]
    assert problems_of(Status("1.0", now=1000.0, started=0.0)) == []
