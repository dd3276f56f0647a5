"""What people read of explanations."""

import pytest
from explain_kit import explain_inputs
from msgspec.structs import replace

from kuma_sd import FileContent
from kuma_sd.cli.render.explanation import LONGEST, WIDTH, as_text
from kuma_sd.cli.render.style import Style
from kuma_sd.explain import ExplainInputs, answer, parse_selector
from kuma_sd.explain.inputs import ControlPlaneInput
from kuma_sd.testing import assignment
from kuma_sd_bundled.relabel import Relabel, RelabelOptions

RULES = """
- {source_labels: [env], regex: nothing, target_label: x}
- {source_labels: [env], target_label: __address__, replacement: 'nat:1'}
- {action: labeldrop, regex: job}
"""


def text(where: ExplainInputs, selector: str = "{}", limit: int = 10, *, coloured: bool = False) -> str:
    return "\n".join(as_text("", answer(where, parse_selector(selector), limit=limit), Style(coloured=coloured)))


def nat() -> Relabel:
    return Relabel(RelabelOptions(rules=FileContent(None, RULES.encode())))


WHOLE = """\
dataplane a, mesh default
  out  published  nat:1

received: testing, 81 bytes
  service       backend
  address       192.0.2.1:5670
  scheme        http
  metrics path  /metrics
  labels        env="prod"

out
  label-profile: kuma-prometheus-sd
    + __address__="192.0.2.1:5670"  __metrics_path__="/metrics"  __scheme__="http"  dataplane="a"
    + instance="a"  job="backend"  mesh="default"  service="backend"
  nat (kind): rule 1: replace, source_labels: ["env"], regex: "nothing", target_label: "x": nothing to change
  nat (kind): rule 2: replace, source_labels: ["env"], target_label: "__address__", replacement: "nat:1"
    ~ __address__="192.0.2.1:5670" → "nat:1"
  nat (kind): rule 3: labeldrop, regex: "job"
    - job="backend"
  target group: nat:1
    __metrics_path__="/metrics"  __scheme__="http"  dataplane="a"  env="prod"  instance="a"  mesh="default"
    service="backend\""""


def test_of_one_target_everything_is_shown_the_verdict_first() -> None:
    assert text(explain_inputs(assignment("a", labels={"env": "prod"}), steps=[("nat", nat())])) == WHOLE


def test_of_several_what_becomes_of_them() -> None:
    shown = text(explain_inputs(*map(assignment, "abc")), limit=2).splitlines()
    assert shown[:4] == [
        "dataplane a, mesh default",
        "  out  published  192.0.2.1:5670",
        "dataplane b, mesh default",
        "  out  published  192.0.2.1:5670",
    ]
    assert shown[5] == ('For the steps, explain one of them: kuma-sd explain \'mesh="default", dataplane="a"\'')
    assert shown[7] == "There are more; --limit says how many are shown."


def test_namesakes_in_two_control_planes_are_told_apart_in_the_same_place() -> None:
    found = explain_inputs(assignment("a"), assignment("a"))
    result = answer(found, parse_selector("{}"))
    target = replace(result.targets[0].target, control_plane="east")
    shown = as_text(
        "",
        replace(result, targets=(replace(result.targets[0], target=target), result.targets[1])),
        Style(coloured=False),
        "kuma-sd explain -c x.conf",
    )
    asked = 'kuma-sd explain -c x.conf \'mesh="default", dataplane="a", control_plane="east"\''
    assert f"For the steps, explain one of them: {asked}" in list(shown)


def test_what_is_dropped_or_fails_says_where() -> None:
    shown = text(explain_inputs(assignment("a"), steps=[("none", lambda *_: [])]))
    assert "\n  out  dropped    none (kind)\n" in shown
    assert shown.endswith("\n  none (kind): dropped")
    shown = text(explain_inputs(assignment("a"), steps=[("bad", lambda *_: 1 / 0)]))
    assert shown.endswith(": failed")
    assert "\n  bad (kind): unexpected ZeroDivisionError: " in shown


def test_what_is_held_says_so() -> None:
    shown = text(
        explain_inputs(assignment("a"), plane=lambda found: ControlPlaneInput(found, held={assignment("a").key}))
    )
    assert "bytes; its control plane no longer sends it, but the guard holds it\n" in shown


def test_each_of_several_label_sets_is_shown() -> None:
    shown = text(
        explain_inputs(assignment("a"), steps=[("two", lambda labels, _target: [labels | {"n": n} for n in "12"])])
    )
    assert "\n  label set 1 of 2\n" in shown
    assert "\n  label set 2 of 2\n" in shown


EVIL = "\x1b[2J\x9b\u202e\n</pre><script>"


@pytest.mark.parametrize("coloured", [False, True])
def test_nothing_that_a_dataplane_says_commands_the_terminal(*, coloured: bool) -> None:
    evil = assignment(EVIL, mesh=EVIL, service=EVIL, address=EVIL, labels={EVIL: EVIL})
    shown = text(
        explain_inputs(evil, steps=[("add", lambda labels, _target: [labels | {"x": EVIL}])]), coloured=coloured
    )
    assert "\\u001b[2J" in shown
    for code in ("\x1b[32m", "\x1b[1m", "\x1b[0m", "\x1b[2m", "\x1b[33m", "\x1b[31m"):
        shown = shown.replace(code, "")
    assert all(item.isprintable() for item in shown.split("\n"))


def test_long_values_are_cut_and_lines_wrapped() -> None:
    labels = {f"label_{number:02}": "x" * 20 for number in range(30)} | {"long": "y" * 70_000}
    shown = text(explain_inputs(assignment("a", labels=labels))).splitlines()
    assert any("… (70002 characters)" in line for line in shown)
    assert max(map(len, shown)) < LONGEST + 50
    assert max(len(line) for line in shown if "yyy" not in line) <= WIDTH
