"""From settings to the objects that do the work: opened, but neither connected nor started."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from kuma_sd.branch import Branch
from kuma_sd.errors import KumaSDError, PluginError
from kuma_sd.interfaces import Context, Output, Source, Transform
from kuma_sd.profile import LabelProfile
from kuma_sd.settings import ControlPlane, NamedOutput, NamedTransform, Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Assembly:
    """Everything that settings describe.

    Args:
        sources: by the control plane's name.
        outputs: by the instance's name.
        branches: each with the names of the outputs that share it.
    """

    sources: Mapping[str, Source]
    outputs: Mapping[str, Output]
    branches: Sequence[tuple[Branch, Sequence[str]]]


def assemble(settings: Settings) -> Assembly:
    """Open and make everything; files are read at most, so that it can be done beside a running daemon.

    Raises:
        ConfigError: options do not fit together.
        PluginError: a plugin fails.
    """
    sources = {one.name: _open_source(one) for one in settings.control_planes}
    outputs = {one.name: _open_output(one) for one in settings.outputs}
    transforms: dict[str, Transform] = {}
    sharing: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for output in settings.outputs:
        for transform in output.transforms:
            if transform.name not in transforms:
                transforms[transform.name] = _make_transform(transform)
        path = output.label_profile, tuple(transform.name for transform in output.transforms)
        sharing.setdefault(path, []).append(output.name)
    branches = [
        (Branch(LabelProfile(profile), [transforms[name] for name in names]), sharers)
        for (profile, names), sharers in sharing.items()
    ]
    return Assembly(sources, outputs, branches)


def start_outputs(outputs: Mapping[str, Output]) -> None:
    """Start outputs in order; when one cannot be started, those before it are closed again.

    Raises:
        OutputError: one cannot be started.
        PluginError: a plugin fails.
    """
    started: list[Output] = []
    try:
        for name, output in outputs.items():
            _guarded(f"output {name}", output.start)
            started.append(output)
    except KumaSDError:
        for output in reversed(started):
            output.close()
        raise


def title(control_plane: ControlPlane) -> str:
    """Return what a control plane is called where people read it."""
    return control_plane.name or control_plane.address


def _open_source(one: ControlPlane) -> Source:
    return _guarded(f"source {title(one)}", one.plugin.open, one.address, one.options, Context(one.name))


def _open_output(one: NamedOutput) -> Output:
    return _guarded(f"output {one.name}", one.plugin.open, one.options, Context(one.name))


def _make_transform(one: NamedTransform) -> Transform:
    return _guarded(f"transform {one.name}", one.plugin.make, one.options)


def _guarded(what: str, make: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401 (each plugin's own options)
    try:
        return make(*arguments)
    except KumaSDError as error:
        raise type(error)(f"{what}: {error}") from error
    except Exception as error:
        raise PluginError(f"{what} fails: {type(error).__name__}: {error}") from error
