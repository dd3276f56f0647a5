"""Rules and dashboard: what they ask for exists, and they fire when they should."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus import needs_prometheus

from kuma_sd.telemetry import metric_definitions as catalog

ROOT = Path(__file__).parents[2]
MIXIN = ROOT / "docs/mixin"

# What one recording rule says, so that whoever hosts the pages elsewhere changes one line.
RUNBOOKS = '{{ with query "kuma_sd:runbooks:info" }}{{ . | first | label "url" }}{{ end }}'

LATENCY = catalog.LATENCY.full_name
KNOWN = {
    *(metric.full_name for metric in catalog.ALL if metric is not catalog.LATENCY),
    *(f"{LATENCY}_{part}" for part in ("bucket", "count", "sum")),
}


def rules(file: str) -> list[dict[str, Any]]:
    parsed = yaml.safe_load((MIXIN / file).read_text())
    return [rule for group in parsed["groups"] for rule in group["rules"]]


def recorded() -> set[str]:
    return {rule["record"] for file in ("rules.yml", "alerts.yml") for rule in rules(file) if "record" in rule}


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules("alerts.yml") if "alert" in rule]


def expressions(node: object) -> Iterator[str]:
    """Yield every query of a dashboard, wherever it is."""
    if isinstance(node, dict):
        yield from (node[key] for key in ("expr", "definition") if isinstance(node.get(key), str))
        yield from (each for value in node.values() for each in expressions(value))
    elif isinstance(node, list):
        yield from (each for value in node for each in expressions(value))


def asked_for(expression: str) -> set[str]:
    """Return the metrics in a query that are ours, those that rules record included."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"(?:[a-z]+:)?kuma_sd_\w+(?::\w+)?", bare))


@needs_prometheus
def test_promtool_accepts_the_rules_and_they_fire_when_they_should() -> None:
    check = ["promtool", "check", "rules", "--lint-fatal", "alerts.yml", "rules.yml"]
    for command in (check, ["promtool", "test", "rules", "tests.yml"]):
        ran = subprocess.run(command, cwd=MIXIN, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_alert_is_tested_to_fire_and_not_to_fire() -> None:
    tests = yaml.safe_load((MIXIN / "tests.yml").read_text())["tests"]
    each = [case for test in tests for case in test["alert_rule_test"]]
    every = {rule["alert"] for rule in alerts()}
    assert {case["alertname"] for case in each if case.get("exp_alerts")} == every
    assert {case["alertname"] for case in each if not case.get("exp_alerts")} == every


@pytest.mark.parametrize("file", ["alerts.yml", "rules.yml"])
def test_rules_ask_for_metrics_that_exist(file: str) -> None:
    for rule in rules(file):
        assert asked_for(rule["expr"]) <= KNOWN | recorded(), rule


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    dashboard = json.loads((MIXIN / "dashboard.json").read_text())
    queries = list(expressions(dashboard))
    assert len(queries) > 20
    for query in queries:
        assert asked_for(query) <= KNOWN, query
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@needs_prometheus
def test_the_queries_of_the_dashboard_are_promql(tmp_path: Path) -> None:
    dashboard = json.loads((MIXIN / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    plain = [re.sub(r"\$__rate_interval", "5m", query) for query in queries]
    named = [{"record": f"query:number_{number}", "expr": query} for number, query in enumerate(plain)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": named}]}))
    ran = subprocess.run(
        ["promtool", "check", "rules", tmp_path / "queries.yml"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_alert_says_what_to_do_where_it_says_so() -> None:
    page = (ROOT / "docs/operate.md").read_text()
    anchors = {heading.lower() for heading in re.findall(r"^###+ (\w+)$", page, re.MULTILINE)}
    for rule in alerts():
        assert rule["annotations"]["runbook_url"] == f"{RUNBOOKS}#{rule['alert'].lower()}"
        assert rule["alert"].lower() in anchors, f"{rule['alert']} has no section in docs/operate.md"
        assert {"summary", "description"} <= rule["annotations"].keys()
        assert rule["labels"]["severity"] in ("critical", "warning")
