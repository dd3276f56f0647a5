"""Hooks that plugins implement."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from kuma_sd.core.model import Labels, Target
    from kuma_sd.plugin.interfaces import CommandPlugin, OutputPlugin, SourcePlugin, TransformPlugin

PROJECT = "kuma_sd"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def kuma_sd_source_plugin() -> "SourcePlugin":
    """Describe a source of assignments, and do no other work.

    Register the module with this hook as ``source.SCHEME`` in the entry-point group ``kuma_sd.plugins``, once
    for each URL scheme::

        from kuma_sd import SourcePlugin, hookimpl

        @hookimpl
        def kuma_sd_source_plugin():
            return SourcePlugin(open=ConsulSource, options=ConsulOptions)
    """
    raise NotImplementedError


@hookspec
def kuma_sd_transform_plugin() -> "TransformPlugin":
    """Describe a transform of label sets, and do no other work.

    Register the module with this hook as ``transform.NAME`` in the entry-point group ``kuma_sd.plugins``::

        from kuma_sd import TransformPlugin, hookimpl

        def without_test_meshes(labels, target):
            return [] if target.mesh.startswith("test-") else [labels]

        @hookimpl
        def kuma_sd_transform_plugin():
            return TransformPlugin(open=lambda options, context: without_test_meshes)
    """
    raise NotImplementedError


@hookspec
def kuma_sd_output_plugin() -> "OutputPlugin":
    """Describe an output for target groups, and do no other work.

    Register the module with this hook as ``output.NAME`` in the entry-point group ``kuma_sd.plugins``::

        from kuma_sd import Output, OutputPlugin, hookimpl

        class Counter(Output):
            def publish(self, publication):
                print(len(publication.groups), "targets")

        @hookimpl
        def kuma_sd_output_plugin():
            return OutputPlugin(open=lambda options, context: Counter())
    """
    raise NotImplementedError


@hookspec
def kuma_sd_command_plugin() -> "CommandPlugin":
    """Describe a command of ``kuma-sd``, and do no other work.

    Register the module with this hook as ``command.NAME`` in the entry-point group ``kuma_sd.plugins``::

        from kuma_sd import CommandPlugin, hookimpl

        def greet(arguments):
            print("hello")
            return 0

        @hookimpl
        def kuma_sd_command_plugin():
            return CommandPlugin(run=greet, help="Say hello.")
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
