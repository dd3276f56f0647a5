"""Start ``kuma-sd``, also as ``python -m kuma_sd``, so that Ctrl-C at any moment just ends it."""

import gc
import signal
import sys


def kuma_sd() -> int:
    """Run ``kuma-sd`` and return its exit status."""
    return _start("main")


def kuma_prometheus_sd() -> int:
    """Run ``kuma-prometheus-sd`` and return its exit status."""
    return _start("main_like_go")


def _start(name: str) -> int:
    # At Ctrl-C the process ends as at SIGTERM. A KeyboardInterrupt may come while modules are loaded, where it is a
    # traceback, and within msgspec a segmentation fault.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Loading modules makes many objects and no garbage, and the end of the process needs nobody to look for any. Both
    # looked for it, in a tenth of the time of a short command.
    gc.set_threshold(100_000)
    from kuma_sd.cli import main  # noqa: PLC0415 (loaded after the signal is prepared)

    status: int = getattr(main, name)()
    gc.freeze()
    return status


if __name__ == "__main__":
    sys.exit(kuma_sd())
