"""Test kit for plugin authors: builders, contract tests, and a simulated control plane.

A plugin's tests begin like this::

    from kuma_sd.testing import OutputContract, SourceContract, TransformContract

    class TestMyOutput(OutputContract):
        plugin = MY_OUTPUT

        def options(self, directory):
            return MyOptions(path=directory / "targets.json")

    class TestMyTransform(TransformContract):
        plugin = MY_TRANSFORM

    class TestMySource(SourceContract):
        plugin = MY_SOURCE

        @contextlib.contextmanager
        def address(self, directory):
            with something_to_connect_to() as port:
                yield f"mine://127.0.0.1:{port}"

and the real daemon runs against a simulated control plane like this::

    with control_plane("backend-01") as kuma, daemon(tmp_path, f"--cp-address={kuma.url}", "--output=mine") as running:
        running.wait_for("published", output="mine")

``SourceContract`` and the fixtures ``kuma_control_plane`` and ``kuma_sd_daemon`` need pytest; ``pytest_plugins =
["kuma_sd.testing"]`` in the topmost conftest.py registers the fixtures.
"""

import contextlib

from kuma_sd.testing.builders import (
    CODEC,
    Facts,
    JSONCodec,
    assignment,
    context,
    group,
    labels_of,
    publication,
    snapshot,
    target,
)
from kuma_sd.testing.daemon import RunningDaemon, daemon
from kuma_sd.testing.hooks import HookContract, call_hook
from kuma_sd.testing.outputs import OutputContract
from kuma_sd.testing.running import control_plane
from kuma_sd.testing.transforms import TransformContract

__all__ = [
    "CODEC",
    "Facts",
    "HookContract",
    "JSONCodec",
    "OutputContract",
    "RunningDaemon",
    "SourceContract",
    "TransformContract",
    "assignment",
    "call_hook",
    "context",
    "control_plane",
    "daemon",
    "group",
    "kuma_control_plane",
    "kuma_sd_daemon",
    "labels_of",
    "publication",
    "snapshot",
    "target",
]

with contextlib.suppress(ImportError):
    from kuma_sd.testing.fixtures import kuma_control_plane, kuma_sd_daemon
    from kuma_sd.testing.sources import SourceContract
