"""Contract tests for plugins with hooks."""

from pathlib import Path

from kuma_sd import NoOptions, TransformPlugin
from kuma_sd.plugin.catalogue import Direct
from kuma_sd.plugin.hook_check import arguments_of, check_hooks
from kuma_sd.plugin.manager import Plugins
from kuma_sd.testing.transforms import TransformContract


class HookContract:
    """Tests what every plugin with hooks must do. Subclass it as ``TestSomething``, set ``plugin``, and run pytest.

    ``plugin`` is the module with the hooks.
    """

    plugin: object

    def test_its_hooks_exist_and_have_their_arguments(self) -> None:
        """A hook that is misspelt would never be called."""
        assert check_hooks(self.plugin), "it has no hook"

    def test_what_it_transforms_keeps_the_contract_of_transforms(self, tmp_path: Path) -> None:
        """`kuma_sd_transform` is a transform for all chains."""
        steps = _loaded(self.plugin).transforms
        if steps:
            contract = TransformContract()
            contract.plugin = TransformPlugin(open=lambda _options, _context: steps[0], options=NoOptions)
            for name in dir(contract):
                if name.startswith("test_"):
                    getattr(contract, name)(tmp_path)


def call_hook(plugin: object, hook: str, /, **arguments: object) -> None:
    """Call an event hook of a plugin as the daemon does: with those of the arguments that it names.

    Args:
        plugin: the module with the hook.
        hook: the name of the hook, like ``kuma_sd_published``.
        **arguments: all arguments of the hook.

    Raises:
        PluginError: the plugin cannot be loaded.
        TypeError: an argument is missing or unknown, or the plugin does not have the hook.
        Exception: whatever the hook raises; the daemon would log it.
    """
    if set(arguments) != set(arguments_of(hook)):
        raise TypeError(f"{hook} has the arguments {', '.join(arguments_of(hook)) or 'none'}")
    listeners = _loaded(plugin).listeners.get(hook, ())
    if not listeners:
        raise TypeError(f"{plugin!r} has no {hook}")
    for listener in listeners:
        listener.call(**arguments)


def _loaded(plugin: object) -> Plugins:
    plugins = Plugins([Direct("tested", plugin), Direct("command.tested", plugin)])
    plugins.hooks("tested")
    return plugins
