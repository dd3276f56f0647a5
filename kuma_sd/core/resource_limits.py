"""Say which resource is exhausted and which limit to raise, where an error shows that."""

import errno
import os
import resource

_OF_LIBRARIES = {
    os.strerror(errno.EMFILE): errno.EMFILE,
    os.strerror(errno.ENFILE): errno.ENFILE,
    os.strerror(errno.ENOMEM): errno.ENOMEM,
    "failed to map segment": errno.ENOMEM,
}
"""What the dynamic linker says when it cannot load a library, and the error number that it means (dlerror(3))."""

_NO_THREAD = "can't start new thread"
"""What Python says when the kernel refuses a thread (RuntimeError, in all versions since 3.0)."""


def exhausted_resource(error: BaseException) -> str:
    """Return which resource is exhausted and which limit to raise; empty if the error does not show that."""
    number = _number_of(error)
    if number == errno.EMFILE:
        return (
            f"too many open files: this process may have {_shown(resource.RLIMIT_NOFILE)}; raise the limit "
            "(ulimit -n, LimitNOFILE= of a systemd unit)"
        )
    if number == errno.ENFILE:
        return "too many open files on this machine; raise the limit (sysctl fs.file-max)"
    if number == errno.ENOMEM:
        return (
            f"out of memory{_address_space()}; give it more (MemoryMax= of a systemd unit, the memory limit of a "
            "container)"
        )
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return (
            f"too many threads: this user may have {_shown(resource.RLIMIT_NPROC)}{_address_space()}; raise the limit "
            "(ulimit -u, TasksMax= of a systemd unit, the pids limit of a container)"
        )
    return ""


def _number_of(error: BaseException) -> int | None:
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(error, ImportError):
        return next((number for text, number in _OF_LIBRARIES.items() if text in str(error)), None)
    return error.errno if isinstance(error, OSError) else None


def _address_space() -> str:
    """Return a remark if the address space is limited, for want of which threads and libraries fail too."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return "" if limit == resource.RLIM_INFINITY else f", in {limit // 2**10} KiB of address space (ulimit -v)"


def _shown(limit: int) -> str:
    soft, _ = resource.getrlimit(limit)
    return "any number" if soft == resource.RLIM_INFINITY else str(soft)
