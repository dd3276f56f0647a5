from pathlib import Path

from kuma_sd.system.memory import give_back


def resident() -> int:
    """Return how much memory this process has, in pages."""
    return int(Path("/proc/self/statm").read_text().split()[1])


def test_what_is_freed_goes_back_to_the_system() -> None:
    # Too large for Python's own allocator, too small to be mapped each for itself; every hundredth stays in between.
    pieces = [bytes(4000) for _ in range(20_000)]
    kept = pieces[::100]
    full = resident()
    del pieces
    give_back()
    assert full - resident() > 20_000 * 4000 // 4096 // 2
    assert len(kept) == 200
