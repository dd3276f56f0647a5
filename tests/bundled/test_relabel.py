import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from os_reasons import NO_SUCH_FILE

from kuma_sd import ConfigError, FileContent, Labels
from kuma_sd.core.options import REQUIRED, options_of
from kuma_sd.testing import TransformContract, target
from kuma_sd_bundled import relabel
from kuma_sd_bundled.relabel import RULES, Relabel, RelabelOptions, letter_case
from kuma_sd_bundled.relabel.document import MAX_RULES, MAX_SIZE, MAX_SOURCE_LABELS
from kuma_sd_bundled.relabel.rules import ACTIONS

PLUGIN = relabel.kuma_sd_transform_plugin()
VECTORS = Path(__file__).parents[1] / "data/relabel.jsonl"

EVERY_ACTION = r"""
- {action: drop, source_labels: [mesh], regex: test-.*}
- {action: keep, source_labels: [__address__], regex: '(?i).*'}
- {action: keepequal, source_labels: [job], target_label: service}
- {action: dropequal, source_labels: [mesh], target_label: __address__}
- {source_labels: [__address__], regex: '(.*):(\d+)', target_label: __address__, replacement: '10.0.0.1:$2'}
- {action: hashmod, source_labels: [__address__, dataplane], modulus: 8, target_label: __tmp_shard}
- {action: lowercase, source_labels: [odd], target_label: odd}
- {action: uppercase, source_labels: [env], target_label: env}
- {action: labelmap, regex: 'kuma_io_(.*)'}
- {action: labeldrop, regex: kuma_io_.*}
- {action: labelkeep, regex: '.*[^s]'}
"""


class TestRelabel(TransformContract):
    plugin = PLUGIN

    def options(self, directory: Path) -> RelabelOptions:
        (directory / "rules.yml").write_text(EVERY_ACTION)
        return RelabelOptions(rules=RULES.parse(str(directory / "rules.yml")))


class TestInline(TransformContract):
    plugin = PLUGIN

    def options(self, directory: Path) -> RelabelOptions:
        del directory
        return RelabelOptions(rules=RULES.parse("- {action: drop, source_labels: [mesh], regex: payments}"))


def make(rules: str) -> Relabel:
    return Relabel(RelabelOptions(rules=FileContent(None, rules.encode())))


def relabelled(rules: str, **labels: str) -> Labels | None:
    results = list(make(rules)(labels, target()))
    assert len(results) <= 1
    return results[0] if results else None


def test_all_results_of_prometheus_are_ours() -> None:
    cases = [json.loads(line) for line in VECTORS.read_text().splitlines()]
    different = [case for case in cases if not agrees(case)]
    assert len(cases) == 4000
    assert not different, f"{len(different)} cases differ, among them {different[:3]}"


def agrees(case: dict[str, Any]) -> bool:
    try:
        relabel = make(case["rules"])
    except ConfigError:
        return "error" in case
    labels = case["labels"]
    result = next(iter(relabel(labels, target())), None)
    explained = [after for _, after in relabel.explain(labels, target())]
    return "error" not in case and result == case["result"] == explained[-1]


# What follows is not, or hardly, in those cases.


@pytest.mark.parametrize(
    ("rules", "before", "after"),
    [
        ("[]", {"a": "x", "b": ""}, {"a": "x"}),
        ("- {action: labelmap, regex: '(.).*'}", {"a1": "x", "a2": "y"}, {"a1": "x", "a2": "y", "a": "y"}),
        # What a rule has set comes last, in the order in which it was set first.
        (
            "- {target_label: a1, replacement: z}\n- {action: labelmap, regex: '(.).*'}",
            {"a1": "x", "a2": "y"},
            {"a1": "z", "a2": "y", "a": "z"},
        ),
        (
            """
- {target_label: a3, replacement: p}
- {target_label: a1, replacement: q}
- {target_label: a3, replacement: r}
- {action: labelmap, regex: '(.).*'}""",
            {"a1": "x", "a2": "y"},
            {"a1": "q", "a2": "y", "a3": "r", "a": "q"},
        ),
        ("- {target_label: '${1}', source_labels: [a], replacement: x}", {"a": "b"}, {"a": "b", "b": "x"}),
        ("- {target_label: '${1}', source_labels: [a], replacement: x}", {"a": "1"}, {"a": "1"}),
        ("- {target_label: a, replacement: ''}", {"a": "x", "b": "y"}, {"b": "y"}),
        ("- {target_label: a, regex: x, replacement: y}", {"a": "x"}, {"a": "x"}),
        ("- {action: keep, source_labels: [a], regex: ~}", {"b": "x"}, {"b": "x"}),
        ("- {action: keep, source_labels: [a], regex: yes}", {"a": "yes"}, {"a": "yes"}),
        ("- {action: keep, source_labels: [a], regex: 1.50}", {"a": "1.50"}, {"a": "1.50"}),
        (
            "- {action: HashMod, source_labels: [a], target_label: b, modulus: 0x_3E8}",
            {"a": "baz"},
            {"a": "baz", "b": "976"},
        ),
        ("- &x [a]\n", None, None),
        (
            "- {action: keep, source_labels: &x [a], regex: b}\n- {source_labels: *x, target_label: c}",
            {"a": "b"},
            {"a": "b", "c": "b"},
        ),
    ],
)
def test_rules_do_what_those_of_prometheus_do(rules: str, before: Labels | None, after: Labels | None) -> None:
    if before is None:
        with pytest.raises(ConfigError):
            make(rules)
    else:
        assert relabelled(rules, **before) == after


@pytest.mark.parametrize(
    ("template", "expanded"),
    [
        ("$1", "one"),
        ("${1}", "one"),
        ("$name-$2", "two-two"),
        ("${name}x", "twox"),
        ("$1x", ""),
        ("$1é", ""),
        ("$1²", "one²"),
        ("$01", ""),
        ("$3", ""),
        ("$10", ""),
        ("$999999999999", ""),
        ("$0", "one-two"),
        ("$$1", "$1"),
        ("$$$1", "$one"),
        ("a$", "a$"),
        ("${1", "${1"),
        ("${}", "${}"),
        ("${$1}", "${one}"),
        ("$-$1", "$-one"),
        (r"\1", r"\1"),
        ("{0}{{$1}}%s", "{0}{{one}}%s"),
    ],
)
def test_templates_are_expanded_as_in_go(template: str, expanded: str) -> None:
    rule = {"source_labels": ["a"], "regex": "(.*)-(?P<name>.*)", "target_label": "b", "replacement": template}
    result = relabelled(json.dumps([rule]), a="one-two")
    assert (result or {}).get("b", "") == expanded


@pytest.mark.parametrize(
    ("text", "lower", "upper"),
    [
        ("aB", "ab", "AB"),
        ("Straße", "straße", "STRAßE"),
        ("İstanbul", "istanbul", "İSTANBUL"),
        ("ΑΣ", "\u03b1\u03c3", "ΑΣ"),
        ("ᾳᾴŉǆ", "ᾳᾴŉǆ", "ᾼᾴŉǄ"),
        ("\u212a", "k", "\u212a"),
    ],
)
def test_letters_change_case_rune_by_rune(text: str, lower: str, upper: str) -> None:
    assert (letter_case.lower(text), letter_case.upper(text)) == (lower, upper)


@given(st.text())
def test_changing_case_keeps_the_number_of_runes(text: str) -> None:
    assert len(letter_case.lower(text)) == len(letter_case.upper(text)) == len(text)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("- {action: nonsense}", "rule 1, action: there is no action 'nonsense'; there are replace, keep"),
        ("- {action: ~}", "rule 1, action: there is no action ''"),
        ("- {target_label: a}\n- {regex: '('}", "rule 2, regex: ."),
        ("- {}", "rule 1, target_label: replace needs one"),
        ("- {target_label: a-b}", "rule 1, target_label: 'a-b' is no label name"),
        ("- {target_label: '${1}-'}", r"rule 1, target_label: '\$\{1\}-' is no label name"),
        ("- {target_label: '1$1'}", "rule 1, target_label: '1"),
        ("- {action: hashmod, target_label: a}", "rule 1, modulus: hashmod needs one that is not 0"),
        ("- {action: hashmod, target_label: $1, modulus: 2}", r"rule 1, target_label: '\$1' is no label name"),
        ("- {action: labelmap, replacement: a-b}", "rule 1, replacement: 'a-b' makes no label name"),
        ("- {action: lowercase, target_label: a, replacement: b}", "rule 1, replacement: lowercase takes none"),
        (
            "- {action: keepequal, target_label: a, regex: (.*)}",
            "rule 1, regex: keepequal takes nothing but source_labels and target_label",
        ),
        ("- {action: labeldrop, source_labels: []}", "rule 1, source_labels: labeldrop takes nothing but regex"),
        ("- {target_label: a, target_label: b}", "rule 1, target_label: is there twice"),
        ("- {target_lable: a}", "rule 1, target_lable: there is no such field; there are action, source_labels"),
        ("- {? [a] : b}", r"rule 1, \?: there is no such field"),
        ("- {source_labels: mesh}", r"rule 1, source_labels: must be a list of label names, like \[mesh, service\]"),
        ("- {source_labels: [kuma.io/service]}", "rule 1, source_labels: 'kuma.io/service' is no label name; in names"),
        ("- {source_labels: ['']}", "rule 1, source_labels: '' is no label name"),
        ("- {source_labels: [[a]]}", "rule 1, source_labels: must be a text"),
        ("- {regex: [a]}", "rule 1, regex: must be a text"),
        ("- {regex: !!binary YQ==}", "rule 1, regex: must be a text"),
        *(
            (f"- {{modulus: {number}}}", "rule 1, modulus: .* is no whole number from 0 to 2.64-1")
            for number in ("-1", "1.5", "'10'", "1e3", "x", "010", "18446744073709551616", "\u0661\u0660", "9" * 5000)
        ),
        ("- a", "rule 1, action: a rule consists of fields, like action and regex"),
        ("-", "rule 1, action: a rule consists of fields"),
        ("rules: []", r"rules: must be a list of rules, as under relabel_configs in Prometheus; \[\] for none"),
        ("# none", "rules: must be a list of rules"),
        ("[", "rules: is no YAML: line "),
        ("[]\n---\n[]", "rules: is no YAML: line 2: "),
        ("- \x07", "rules: is no YAML: "),
        ("[" * 300_000, "rules: must be a list of rules; it is nested too deeply"),
        ("#" * (MAX_SIZE + 1), "rules: is longer than 1 MiB"),
        ("[" + "a," * (MAX_RULES + 1) + "]", "rules: has more than 10000 rules"),
        (
            "- {source_labels: [" + "a," * (MAX_SOURCE_LABELS + 1) + "]}",
            "rule 1, source_labels: has more than 1000 names",
        ),
        ("- &a {source_labels: [*a]}", "rule 1, source_labels: must be a text"),
    ],
)
def test_an_error_names_the_rule_and_the_field(rules: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}") as error:
        make(rules)
    assert len(str(error.value).splitlines()) == 1


def test_an_error_in_a_file_names_the_file_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text("# NAT\n- target_label: a\n- action: keep\n  regex: (\n")
    with pytest.raises(ConfigError, match=rf"^{path}:3: rule 2, regex: ."):
        Relabel(RelabelOptions(rules=RULES.parse(str(path))))
    path.write_text("a: b")
    with pytest.raises(ConfigError, match=rf"^{path}: must be a list of rules"):
        Relabel(RelabelOptions(rules=RULES.parse(str(path))))
    path.write_bytes(b"- \xff")
    with pytest.raises(ConfigError, match=rf"^{path}: is no YAML"):
        Relabel(RelabelOptions(rules=RULES.parse(str(path))))


def test_rules_must_be_set() -> None:
    (rules,) = options_of(RelabelOptions)
    assert rules.default is REQUIRED


@given(st.binary())
def test_any_content_is_taken_or_refused(content: bytes) -> None:
    with contextlib.suppress(ConfigError):
        Relabel(RelabelOptions(rules=FileContent(None, content)))


@pytest.mark.parametrize("text", ["- {action: drop}", "[]", "# NAT\n- {target_label: a}", "-\n  action: drop\n"])
def test_the_option_takes_rules_themselves(text: str) -> None:
    (option,) = options_of(RelabelOptions)
    assert option.parse(text) == FileContent(None, text.encode())
    assert option.show(option.parse(text)) == text


def test_the_option_takes_a_file_and_differs_when_it_was_edited(tmp_path: Path) -> None:
    (option,) = options_of(RelabelOptions)
    path = tmp_path / "rules.yml"
    path.write_text("[]")
    before = option.parse(str(path))
    assert option.show(before) == str(path)
    path.write_text("- {action: drop, regex: x}")
    assert option.parse(str(path)) != before
    with pytest.raises(ValueError, match=f"cannot be read: {NO_SUCH_FILE}"):
        option.parse(str(tmp_path / "none.yml"))


def test_it_explains_rule_by_rule_up_to_the_one_that_drops() -> None:
    relabel = make(
        "- {source_labels: [a], target_label: b}\n"
        '- {action: keep, source_labels: [a, b], regex: "x;x|é"}\n'
        "- {action: drop}\n"
        "- {target_label: c, replacement: never}"
    )
    assert list(relabel.explain({"a": "x", "empty": ""}, target())) == [
        ('rule 1: replace, source_labels: ["a"], target_label: "b"', {"a": "x", "b": "x"}),
        ('rule 2: keep, source_labels: ["a", "b"], regex: "x;x|é"', {"a": "x", "b": "x"}),
        ("rule 3: drop", None),
    ]


def test_it_tells_which_labels_it_reads() -> None:
    relabel = make("- {source_labels: [a, b], target_label: c}\n- {action: labelmap, regex: '__meta_kuma_(.+)'}")
    assert relabel.reads == {"a", "b", "__meta_kuma_(.+)"}


names = st.sampled_from(["a", "b", "ab", "b1"])
regexes = st.sampled_from(["(.*)", "x", "x|y|", "(.+)y", "(?i)(X)(.*)", "a(.*)", r"([^;]+)(?:;(.*))?"])
fields = {
    "source_labels": st.lists(names, max_size=3),
    "regex": regexes,
    "separator": st.sampled_from([";", ""]),
    "replacement": st.sampled_from(["$1", "x", "", "${2}y", "a$1"]),
    "modulus": st.integers(1, 3),
}
acting = st.fixed_dictionaries({"action": st.sampled_from(ACTIONS), "target_label": names}, optional=fields)
label_sets = st.dictionaries(names, st.text("xyé;", max_size=3))


@given(st.lists(acting, max_size=5), st.lists(label_sets, min_size=1, max_size=5))
def test_what_was_seen_before_changes_no_result(rules: list[dict[str, object]], many: list[Labels]) -> None:
    try:
        warm = make(json.dumps(rules))
    except ConfigError:
        return
    for labels in [*many, *many]:
        before = dict(labels)
        once = list(make(json.dumps(rules))(labels, target()))
        assert list(warm(labels, target())) == once
        assert labels == before
        assert all(all(result.values()) for result in once)


def test_what_is_remembered_is_bounded() -> None:
    relabel = make(r"- {source_labels: [a], regex: '((x)+)(\d+)', target_label: b, replacement: $3}")
    for number in range(5000):
        assert list(relabel({"a": f"x{number}"}, target())) == [{"a": f"x{number}", "b": str(number)}]
    caches = [
        cell.cell_contents for cell in closures(relabel._steps[0][1]) if hasattr(cell.cell_contents, "cache_info")
    ]
    assert caches
    assert all(cache.cache_info().currsize <= cache.cache_info().maxsize < 5000 for cache in caches)


def closures(function: Any) -> Iterator[Any]:
    yield from function.__closure__ or ()
