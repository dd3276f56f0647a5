"""Hooks that plugins implement. Each yields descriptions and does no other work."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from kuma_sd.core.model import Labels, Target
    from kuma_sd.plugin.interfaces import OutputPlugin, SourcePlugin, TransformPlugin

PROJECT = "kuma_sd"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def kuma_sd_sources() -> "Iterable[SourcePlugin]":
    """Describe sources of assignments.

    Register the module with this hook as ``source.SCHEME`` in the entry-point group ``kuma_sd.plugins``, once
    for each scheme::

        from kuma_sd import SourcePlugin, hookimpl

        @hookimpl
        def kuma_sd_sources():
            yield SourcePlugin("consul", schemes=("consul",), options=ConsulOptions, open=ConsulSource)
    """
    raise NotImplementedError


@hookspec
def kuma_sd_transforms() -> "Iterable[TransformPlugin]":
    """Describe transforms of label sets.

    Register the module with this hook as ``transform.NAME`` in the entry-point group ``kuma_sd.plugins``::

        from kuma_sd import TransformPlugin, hookimpl

        def without_test_meshes(labels, target):
            return [] if target.mesh.startswith("test-") else [labels]

        @hookimpl
        def kuma_sd_transforms():
            yield TransformPlugin("without_test_meshes", make=lambda options: without_test_meshes)
    """
    raise NotImplementedError


@hookspec
def kuma_sd_outputs() -> "Iterable[OutputPlugin]":
    """Describe outputs for target groups.

    Register the module with this hook as ``output.NAME`` in the entry-point group ``kuma_sd.plugins``::

        from kuma_sd import OutputPlugin, hookimpl

        class Counter:
            def start(self): ...
            def publish(self, publication):
                print(len(publication.groups), "targets")
            def close(self): ...

        @hookimpl
        def kuma_sd_outputs():
            yield OutputPlugin("counter", open=lambda options, context: Counter())
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def kuma_sd_transform(labels: "Labels", target: "Target") -> "Iterable[Labels]":
    """Transform the labels of a target, for all outputs, after the transforms that the settings name.

    It must not change its arguments and must depend on nothing else: it is called once for a target, and again only
    when that target changes. Where several plugins have this hook, each gets what the one before returned.

    Args:
        labels: the label set so far, ``__address__`` included.
        target: what the control plane sent.

    Returns:
        The label sets that should come out: none drops the target, several make several of it.
    """
    raise NotImplementedError
