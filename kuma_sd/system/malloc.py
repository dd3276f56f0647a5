"""What the interpreter and the C library do with memory when there are very many small objects and a few large ones."""

import ctypes
import functools
import gc
from collections.abc import Callable

LARGE = 2**20
"""From how many bytes on something is large: worth a system call."""

# What glibc's malloc.h calls them.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def prepare() -> None:
    """Prepare the process for large sets; to be called once, before threads are started.

    Python looks for cycles less often: a target is half a dozen tuples, and 100,000 of them hold no cycle. With its
    defaults, a first response costs a sixth more, all of it for looking at the same tuples again.

    glibc takes all memory from one pool, and large blocks from the system. Else every thread that meets a large
    response gets a pool of its own, and keeps what it once needed: a fifth of all memory at 100,000 targets.
    """
    gc.set_threshold(100_000, 50, 100)
    set_option = _from_libc("mallopt")
    set_option(_M_ARENA_MAX, 1)
    set_option(_M_MMAP_THRESHOLD, LARGE)
    set_option(_M_TRIM_THRESHOLD, LARGE)


def give_back() -> None:
    """Return what is free: a large response leaves many holes behind, which glibc keeps until it is asked."""
    _from_libc("malloc_trim")(0)


@functools.cache
def _from_libc(name: str) -> Callable[..., int]:
    # Other C libraries have no such functions, and need none.
    function: Callable[..., int] = getattr(ctypes.CDLL(None), name, lambda *_: 0)
    return function
