"""The documentation says what the code does, and the code keeps to its own style."""

import ast
import configparser
import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kuma_sd
from kuma_sd.cli.main import COMMANDS
from kuma_sd.plugin.hook_check import EVENTS, HOOKS, check_hooks
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.loader import load

ROOT = Path(__file__).parents[2]

FLOW_HOOKS = {*EVENTS, "kuma_sd_transform"}
DESCRIPTIONS = {
    "kuma_sd_source_plugin": kuma_sd.SourcePlugin,
    "kuma_sd_transform_plugin": kuma_sd.TransformPlugin,
    "kuma_sd_output_plugin": kuma_sd.OutputPlugin,
    "kuma_sd_command_plugin": kuma_sd.CommandPlugin,
}
HOOK_PAGES = {
    "kuma_sd_source_plugin": "sources.md",
    "kuma_sd_transform_plugin": "transforms.md",
    "kuma_sd_output_plugin": "outputs.md",
    "kuma_sd_command_plugin": "hooks.md",
}
PLUGIN_PAGES = [path for path in sorted((ROOT / "docs/plugins").glob("*.md")) if path.name != "tutorial.md"]
# Those of reference follow from the code, and are made when the documentation is.
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/plugins/*.md"), *ROOT.glob("plugins/*/*.md")]
MADE = ("reference/options.md", "reference/commands.md")
CODE = [path for folder in ("kuma_sd", "plugins") for path in (ROOT / folder).rglob("*.py") if "_pb2" not in path.name]


def title(path: Path) -> str:
    return str(path.relative_to(ROOT))


def sections(page: str) -> dict[str, str]:
    """Return a page's sections by their headings."""
    parts = re.split(r"^##+ (.*)\n", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def examples(text: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("hook", sorted(FLOW_HOOKS))
def test_every_hook_in_the_flow_is_documented_with_its_signature_and_an_example_that_works(hook: str) -> None:
    signature = f"{hook}{inspect.signature(HOOKS[hook])}".replace("'", "")
    (example,) = examples(sections((ROOT / "docs/plugins/hooks.md").read_text())[f"`{signature}`"])
    names: dict[str, Any] = {"__name__": "example"}
    exec(example, names)  # noqa: S102 (our own documentation)
    assert check_hooks(types.SimpleNamespace(**names)) == [hook]


@pytest.mark.parametrize("hook", sorted(HOOKS.keys() - FLOW_HOOKS))
def test_every_hook_is_documented_with_its_signature_and_an_example_that_works(hook: str) -> None:
    signature = f"{hook}{inspect.signature(HOOKS[hook])}".replace("'", "")
    page = (ROOT / "docs/plugins" / HOOK_PAGES[hook]).read_text()
    (example,) = examples(sections(page)[f"`{signature}`"])
    names: dict[str, Any] = {"__name__": "example"}
    exec(example, names)  # noqa: S102 (our own documentation)
    assert isinstance(names[hook](), DESCRIPTIONS[hook])


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test(hook: str) -> None:
    tests = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    assert any(re.search(rf"\b{hook}\b", text) for text in tests)


@pytest.mark.parametrize(
    "example", [shown_example for page in PLUGIN_PAGES for shown_example in examples(page.read_text())], ids=str.split
)
def test_every_example_runs(example: str) -> None:
    exec(example, {"__name__": "example"})  # noqa: S102 (our own documentation)


def test_the_settings_in_the_readme_are_right(tmp_path: Path) -> None:
    (settings,) = examples((ROOT / "README.md").read_text(), "ini")
    (tmp_path / "kuma-sd.conf").write_text(settings)
    load(["-c", str(tmp_path / "kuma-sd.conf")], {}, Plugins())


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_commands_that_are_named_exist(page: Path) -> None:
    code = re.findall(r"^```sh\n(.*?)^```|`([^`\n]+)`", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line for pair in code for line in "".join(pair).splitlines()]
    named = {words[1] for words in map(str.split, lines) if words[:1] == ["kuma-sd"] and len(words) > 1}
    assert named <= COMMANDS.keys()


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert "://" in link or link.endswith(MADE) or (page.parent / link).exists(), link


def test_what_the_package_index_has_only_once_there_is_a_release_stands_in_one_place() -> None:
    pages = {page.name for page in PAGES if re.search(r"pip install [^\n`]*?(?<![/\w-])kuma-sd", page.read_text())}
    # The tutorial ends with the release of the reader's own plugin.
    assert pages - {"dependencies.md"} == {"install.md", "tutorial.md"}


def test_every_dependency_is_explained_with_its_lower_bound() -> None:
    page = (ROOT / "docs/dependencies.md").read_text()
    declared = configparser.ConfigParser()
    declared.read(ROOT / "setup.cfg")
    extras = declared["options.extras_require"]
    for line in "\n".join([declared["options"]["install_requires"], *extras.values()]).split("\n"):
        if line:
            name, _, bound = line.split()
            assert re.search(rf"\| {re.escape(name)} \| {re.escape(bound)} \|", page), f"{line} is not in the table"


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("path", CODE, ids=title)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 350
    for function in functions(ast.parse(text)):
        assert (function.end_lineno or 0) - function.lineno < 60, function.name
