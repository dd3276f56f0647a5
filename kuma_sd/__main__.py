"""Start ``kuma-sd``, also as ``python -m kuma_sd``: load the command line so that Ctrl-C prints no traceback."""

import signal
import sys


def kuma_sd() -> int:
    """Run ``kuma-sd`` and return its exit status."""
    return _start("main")


def kuma_prometheus_sd() -> int:
    """Run ``kuma-prometheus-sd`` and return its exit status."""
    return _start("main_like_go")


def _start(name: str) -> int:
    # While modules are loaded, and after the work, Ctrl-C just ends the process: there is nothing to tidy up.
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from kuma_sd.cli import main  # noqa: PLC0415 (loaded after the signal is prepared)

    try:
        if is_default:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status: int = getattr(main, name)()
        if is_default:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(kuma_sd())
