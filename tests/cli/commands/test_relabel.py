import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from os_reasons import NO_SUCH_FILE

from kuma_sd.cli.main import main

VECTORS = Path(__file__).parents[2] / "data/relabel.jsonl"
RULES = "- {action: drop, source_labels: [env], regex: test}\n- {source_labels: [env], target_label: environment}\n"

Run = Callable[..., tuple[int, list[Any], str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command with these lines; returns its status, what it printed as JSON, and its errors."""

    def run(lines: str | bytes, *words: str) -> tuple[int, list[Any], str]:
        content = lines.encode() if isinstance(lines, str) else lines
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        status = main(["relabel", *words])
        printed = capsys.readouterr()
        return status, [json.loads(line) for line in printed.out.splitlines()], printed.err

    return run


@pytest.fixture
def rules(tmp_path: Path) -> str:
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    return str(path)


def test_it_prints_the_labels_after_the_rules_of_a_file_or_null(run: Run, rules: str) -> None:
    lines = '{"env": "prod", "é": "日本"}\n\n{"env": "test"}\n{}'
    printed = [{"env": "prod", "environment": "prod", "é": "日本"}, None, {}]
    assert run(lines, "--file", rules) == (0, printed, "")


def test_each_line_can_have_its_own_rules(run: Run) -> None:
    cases = [
        {"rules": RULES, "labels": {"env": "prod"}},
        {"rules": RULES, "labels": {"env": "test"}},
        {"rules": "[]", "labels": {"a": "b"}, "whatever": 1},
        {"rules": "- {regex: '('}", "labels": {}},
        {"rules": "rules.yml", "labels": {}},
    ]
    assert run("\n".join(map(json.dumps, cases)), "--jsonl") == (
        0,
        [
            {"result": {"env": "prod", "environment": "prod"}},
            {"result": None},
            {"result": {"a": "b"}},
            {"error": "rule 1, regex: missing ): ("},
            {"error": "rules: must be a list of rules, as under relabel_configs in Prometheus; [] for none"},
        ],
        "",
    )


def test_it_takes_what_prometheus_was_asked_and_answers_the_same(run: Run) -> None:
    cases = VECTORS.read_text().splitlines()[:200]
    status, answers, _ = run("\n".join(cases), "--jsonl")
    assert (status, len(answers)) == (0, len(cases))
    for case, answer in zip(map(json.loads, cases), answers, strict=True):
        assert "error" in answer if "error" in case else answer == {"result": case["result"]}


@pytest.mark.parametrize(
    ("lines", "words", "reason"),
    [
        ('{"a": "b"}\n{"a": 1}', ["--file"], "line 2: "),
        ('{"a": "b"}\n\n{', ["--file"], "line 3: "),
        ('["a"]', ["--file"], "line 1: "),
        (b'{"a": "\xff"}', ["--file"], "line 1: "),
        ('{"rules": "[]"}', ["--jsonl"], "line 1: "),
        ('{"rules": [], "labels": {}}', ["--jsonl"], "line 1: "),
    ],
)
def test_bad_json_is_one_line_with_its_number(run: Run, rules: str, lines: str, words: list[str], reason: str) -> None:
    status, _, errors = run(lines, *words, *([rules] if words == ["--file"] else []))
    assert (status, errors.count("\n")) == (1, 1)
    assert errors.startswith(f"kuma-sd: {reason}")
    assert errors[len(f"kuma-sd: {reason}") :].strip(), "the reason is told"


def test_rules_that_are_refused_are_one_line_with_file_rule_and_field(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text("- target_label: a-b\n")
    reason = f"kuma-sd: {path}:1: rule 1, target_label: 'a-b' is no label name\n"
    assert run("{}", "--file", str(path)) == (2, [], reason)


def test_it_needs_rules(run: Run, rules: str) -> None:
    for words in ([], ["--jsonl", "--file", rules]):
        status, printed, errors = run("{}", *words)
        assert (status, printed, errors.count("\n")) == (2, [], 1)
        assert errors.startswith("kuma-sd: ")
        assert "--file" in errors
        assert "--jsonl" in errors
    status, _, errors = run("{}", "--file", "/nowhere.yml")
    assert (status, errors) == (2, f"kuma-sd: argument --file: '/nowhere.yml' cannot be read: {NO_SUCH_FILE}\n")
