from kuma_sd.testing import assignment


def test_assignments_with_equal_bytes_are_equal() -> None:
    assert assignment("a") == assignment("a")
    assert assignment("a") != assignment("a", service="other")
    assert assignment("a").key == assignment("a", service="other").key
