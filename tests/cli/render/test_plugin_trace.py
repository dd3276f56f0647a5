from pathlib import Path

from settings_kit import DESCRIPTIONS, Describes, settings_of

from kuma_sd import Labels, hookimpl
from kuma_sd.cli.render.plugin_trace import trace
from kuma_sd.plugin.catalogue import Direct
from kuma_sd.plugin.manager import Plugins


class Late:
    @hookimpl(trylast=True)
    def kuma_sd_transform(self, labels: Labels) -> list[Labels]:
        return [labels]


class Hears:
    @hookimpl
    def kuma_sd_stopping(self) -> None: ...

    @hookimpl
    def kuma_sd_transform(self, labels: Labels) -> list[Labels]:
        return [labels]


def test_the_trace_says_who_calls_whom_in_which_order_and_what_is_not_loaded_and_why(tmp_path: Path) -> None:
    names = ("source.grpc", "output.file_sd", "output.push", "transform.relabel")
    entries = [Direct(name, Describes(DESCRIPTIONS[name])) for name in names]
    others = [Direct("hears", Hears()), Direct("late", Late()), Direct("twice", Late()), Direct("twice", Late())]
    plugins = Plugins([*entries, *others, Direct("a.b.c", None)])
    tmp_path.chmod(0o755)
    file = tmp_path / "mine.py"
    file.write_text("from kuma_sd import hookimpl\n@hookimpl(wrapper=True)\ndef kuma_sd_transform():\n    yield\n")
    file.chmod(0o644)
    flags = "--plugins=late hears", f"--plugin-file={file}", "--transform=nat=relabel"
    assert (
        "\n".join(trace(settings_of(*flags, plugins=plugins)))
        == f"""\
loaded, in this order:
  late               no distribution
  hears              no distribution
  mine               {file}
  source.grpc        no distribution
  output.file_sd     no distribution
  transform.relabel  no distribution

kuma_sd_source_plugin(), when the settings are read:
  source.grpc
  output.file_sd
  transform.relabel

kuma_sd_transform_plugin(), when the settings are read:
  source.grpc
  output.file_sd
  transform.relabel

kuma_sd_output_plugin(), when the settings are read:
  source.grpc
  output.file_sd
  transform.relabel

kuma_sd_transform(labels, target), for each target that is new or changed, after nat of file_sd:
  mine (wrapper)
  hears
  late (trylast)

kuma_sd_stopping(), in the thread of the events:
  hears

not loaded:
  a.b.c        no distribution  its entry point is not named as KIND.NAME or NAME
  output.push  no distribution  no setting names it
  twice        no distribution  no setting names it, and none may: it is provided twice
  twice        no distribution  no setting names it, and none may: it is provided twice"""
    )
