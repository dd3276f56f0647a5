import grpc._common

from kuma_sd.mads import grpc_stream


def test_a_thread_that_waits_for_grpc_is_woken_by_what_it_waits_for_alone() -> None:
    assert grpc_stream
    waits: list[float] = []

    def wait(timeout: float) -> bool:
        waits.append(timeout)
        return True

    grpc._common.wait(wait, lambda: bool(waits))
    assert waits == [3600.0], "this grpc takes its longest wait from elsewhere: look again at what an idle daemon does"
