"""Imports go one way, plugins use the public API only, and what is not needed is not loaded."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kuma_sd.api import MODULE_OF_NAME, NAMES_OF_MODULES, __all__

ROOT = Path(__file__).parents[1]

# From top to bottom, each floor a line of folders. A module imports from its own folder and from floors further down;
# the folders on a floor know nothing of each other.
FLOORS = (
    ["__main__"],
    ["cli"],
    ["service"],
    ["explain"],
    ["runtime"],
    ["pipeline", "settings", "web", "testing"],
    ["kuma_sd"],
    ["api"],
    ["mads", "prometheus", "state"],
    ["plugin", "telemetry", "http", "simulator"],
    ["system"],
    ["core", "proto", "_version"],
)
FLOOR_OF = {folder: floor for floor, folders in enumerate(FLOORS) for folder in folders}

PUBLIC = {"kuma_sd", "kuma_sd.testing"}


def modules_in(folder: str) -> dict[str, Path]:
    """Return the hand-written modules of a package by their full names."""
    base = (ROOT / folder).parent
    names = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        if not path.stem.endswith("_pb2"):
            names[".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__")] = path
    return names


CORE = modules_in("kuma_sd")
BUNDLED = modules_in("plugins/kuma_sd_bundled")
FOREIGN = {
    name: path
    for plugin in sorted((ROOT / "plugins").glob("kuma-sd-*"))
    for name, path in modules_in(f"plugins/{plugin.name}/{plugin.name.replace('-', '_')}").items()
}


def imported(nodes: list[ast.stmt] | list[ast.AST], known: dict[str, Path]) -> Iterator[str]:
    """Yield the modules that import statements name; ``from package import module`` names the module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import hides which way it goes"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else str(node.module)


def first_part(module: str) -> str:
    """Return a module's name below kuma_sd, up to the first dot; the public API is kuma_sd itself."""
    return [*module.split("."), "kuma_sd"][1]


@pytest.mark.parametrize("module", CORE)
def test_imports_go_one_way(module: str) -> None:
    part = first_part(module)
    assert part in FLOOR_OF, f"say on which floor {part} is"
    for name in imported(list(ast.walk(ast.parse(CORE[module].read_text()))), CORE):
        other = first_part(name)
        if name.split(".")[0] == "kuma_sd" and other != part:
            assert FLOOR_OF.get(other, len(FLOORS)) > FLOOR_OF[part], f"{module} imports {name}"


def test_the_core_imports_no_plugin() -> None:
    for module, path in CORE.items():
        for other in imported(list(ast.walk(ast.parse(path.read_text()))), CORE):
            assert not other.startswith("kuma_sd_"), f"{module} imports {other}"


def test_no_modules_import_each_other() -> None:
    unresolved = {
        name: set(imported(ast.parse(path.read_text()).body, CORE)) & CORE.keys() for name, path in CORE.items()
    }
    while leaves := {name for name, others in unresolved.items() if not others & unresolved.keys()}:
        unresolved = {name: others for name, others in unresolved.items() if name not in leaves}
    assert not unresolved, f"a cycle goes through {sorted(unresolved)}"


@pytest.mark.parametrize("module", BUNDLED | FOREIGN)
def test_plugins_import_the_public_api_only(module: str) -> None:
    path, package = (BUNDLED | FOREIGN)[module], module.split(".", maxsplit=1)[0]
    for other in imported(list(ast.walk(ast.parse(path.read_text()))), CORE):
        if other.startswith("kuma_sd") and other.split(".")[0] != package:
            assert other in PUBLIC, f"{module} imports {other}"


# The log goes to stderr, so that naming it is no sign of printing.
PRINTS_OR_EXITS = ("print(", "exit(", "quit(", "sys.exit(", "os._exit(", "raise SystemExit", "sys.stdout")


def prints_or_exits(tree: ast.Module) -> list[str]:
    """Return the pieces of code that do; catching another's SystemExit is none."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call | ast.Attribute | ast.Raise)]
    return [code for code in map(ast.unparse, nodes) if code.startswith(PRINTS_OR_EXITS)]


@pytest.mark.parametrize("module", CORE | BUNDLED | FOREIGN)
def test_only_the_command_line_prints_or_exits(module: str) -> None:
    if first_part(module) not in ("cli", "__main__"):
        assert not prints_or_exits(ast.parse((CORE | BUNDLED | FOREIGN)[module].read_text()))


def loaded_by(module: str) -> list[str]:
    """Return the modules that a program has loaded once it imported one."""
    program = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert module in loaded
    return loaded


# What each entry point does without until it is needed.
LATE = {
    "kuma_sd.cli.main": (
        *("grpc", "google.protobuf", "jinja2", "prometheus_client", "urllib3", "watchdog"),
        *("kuma_sd_bundled", "kuma_sd.mads", "kuma_sd.simulator"),
    ),
    # A daemon connects before it loads what answers over HTTP.
    "kuma_sd.service.process": (
        *("grpc", "jinja2", "prometheus_client", "urllib3", "watchdog"),
        "http.client",
        *("kuma_sd.service.http_app", "kuma_sd.explain", "kuma_sd.telemetry.explanation"),
        *("kuma_sd.telemetry.exposition", "kuma_sd.web.page"),
    ),
}


@pytest.mark.parametrize("module", LATE)
def test_what_is_not_needed_yet_is_not_loaded(module: str) -> None:
    assert [name for name in loaded_by(module) if name.startswith(LATE[module])] == []


def test_the_table_of_the_public_api_names_what_type_checkers_see() -> None:
    imports = [
        node for node in ast.walk(ast.parse(CORE["kuma_sd.api"].read_text())) if isinstance(node, ast.ImportFrom)
    ]
    seen = {str(node.module): tuple(alias.name for alias in node.names) for node in imports if node.module != "typing"}
    assert {module: set(names) for module, names in seen.items()} == {
        module: set(names) for module, names in NAMES_OF_MODULES.items()
    }
    assert set(__all__) == set(MODULE_OF_NAME)


SOURCES = CORE | BUNDLED | FOREIGN


def nodes_of(module: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(SOURCES[module].read_text()))


@pytest.mark.parametrize("module", SOURCES)
def test_a_loop_variable_is_the_noun_it_stands_for(module: str) -> None:
    for node in nodes_of(module):
        if isinstance(node, ast.For | ast.comprehension):
            names = {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
            assert "one" not in names, f"say what each of {ast.unparse(node.iter)} is"


@pytest.mark.parametrize("module", SOURCES)
def test_a_statement_has_one_effect(module: str) -> None:
    for node in nodes_of(module):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            targets = [part for target in node.targets if isinstance(target, ast.Tuple) for part in target.elts]
            assert not any(isinstance(part, ast.Attribute) for part in targets), f"split: {ast.unparse(node)}"
        if isinstance(node, ast.Expr):
            comprehension = isinstance(node.value, ast.ListComp | ast.SetComp | ast.DictComp)
            assert not comprehension, f"write a loop: {ast.unparse(node)}"


@pytest.mark.parametrize("module", SOURCES)
def test_an_error_is_raised_again_as_itself(module: str) -> None:
    for node in nodes_of(module):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            rebuilt = ast.unparse(node.exc.func).startswith("type(")
            assert not rebuilt, f"a copy loses attributes and breaks subclasses: {ast.unparse(node)}"


DATACLASSES = {
    "HookTransform": "not all of its fields count for equality",
    "LastGoodTargets": "beside Snapshot, which plugins use",
    "Settings": "not all of its fields count for equality",
    "SourceReport": "SourceStatus, which plugins use, inherits it",
}
"""Dataclasses that plugins do not use, and why each is one."""


@pytest.mark.parametrize("module", CORE)
def test_what_plugins_do_not_use_is_no_dataclass(module: str) -> None:
    for node in nodes_of(module):
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(each) for each in node.decorator_list):
            known = node.name in __all__ or node.name.endswith("Options") or node.name in DATACLASSES
            assert known, f"make {node.name} a msgspec.Struct, which takes a fiftieth of the time at each start"


READS = {
    "kuma_sd.core.regular_file": "where files are read with a limit, and no pipe is waited for",
    "kuma_sd.web.page.files": "its own files",
    "kuma_sd.cli.new_plugin": "its own files",
    "kuma_sd.cli.received_targets": "what it has just written",
    "kuma_sd.cli.published_targets": "what it has just written",
    "kuma_sd.cli.commands.demo": "its own log",
    "kuma_sd.cli.render.target_changes": "what the demo has just written",
    "kuma_sd.simulator.recording": "recordings, which the user of the simulator names",
    "kuma_sd.system.output_path": "the kernel's list of mounts",
    "kuma_sd_bundled.file_sd.advice": "a limit of the kernel",
}


@pytest.mark.parametrize("module", sorted((CORE | BUNDLED).keys() - READS.keys()))
def test_files_are_read_through_what_bounds_their_size_and_waits_for_no_pipe(module: str) -> None:
    for node in ast.walk(ast.parse((CORE | BUNDLED)[module].read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in {"read_text", "read_bytes"}, f"use read_regular: {ast.unparse(node)}"
