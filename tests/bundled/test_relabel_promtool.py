"""Our relabelling against that of Debian's promtool, where Prometheus 2.42 and 3 mean the same.

They do not where a dot meets a newline, where labelmap makes one name of several, and where an empty result is to
delete a label whose name is a template; none of these is in here.
"""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

from prometheus import needs_prometheus

from kuma_sd import FileContent, Labels
from kuma_sd.testing import target
from kuma_sd_bundled.relabel import Relabel, RelabelOptions

NAMES = ["env", "mesh", "service", "dataplane", "team", "version", "__tmp_x", "__meta_kuma_mesh", "__address__"]
VALUES = [
    "prod",
    "dev",
    "backend-01",
    "10.0.0.1:80",
    "v1.2.3",
    "Straße",
    "İstanbul",
    "ΑΣ",
    "",
    "a;b",
    ",a,b,",
    "${1}",
    "K",
]
REGEXES = [
    "(.*)",
    ".+",
    "prod|dev|",
    r"(.+):(\d+)",
    r"(?P<svc>[a-z]+)-(\d+)",
    "(?i)k",
    "v(.*)",
    "[^a-z]+",
    r"([^;]*)(;.*)?",
    "",
]
REPLACEMENTS = ["$1", "${1}x", "$2-$1", "${svc}", "const", "$$", "", "$1x", "${1"]
TARGETS = ["out", "env", "team", "__tmp_x"]
DEFAULTS = {
    "job": "j",
    "__scheme__": "http",
    "__metrics_path__": "/metrics",
    "__scrape_interval__": "1m",
    "__scrape_timeout__": "10s",
}

# Most targets shall live to see the next rule.
KEPT = ["[^,]*", ".*[^d]|", r"(?i)[^k]*|.*\.com"]
DROPPED = ["dev;.*", "K", r"v1\.\d+.*"]


def random_rule(chosen: random.Random) -> dict[str, Any]:
    kinds = ["replace"] * 9 + ["hashmod", "lowercase", "uppercase", "labelmap", "labeldrop"] * 2
    action = chosen.choice([*kinds, "keep", "drop", "keepequal", "dropequal"])
    sources = {"source_labels": chosen.sample(NAMES, chosen.randint(1, 3))}
    template = chosen.choice([True, False])
    fields: dict[str, dict[str, Any]] = {
        "replace": {
            "regex": chosen.choice(REGEXES),
            "target_label": "x_${1}" if template else chosen.choice(TARGETS),
            "replacement": chosen.choice(["const", "$$", "a$1"] if template else REPLACEMENTS),
        },
        "labelmap": {"regex": f"({chosen.choice(NAMES)})", "replacement": "copy_$1"},
        "labeldrop": {"regex": f"{chosen.choice(NAMES[:-1])}|copy_.+"},
        "keep": {"regex": chosen.choice(KEPT)},
        "drop": {"regex": chosen.choice(DROPPED)},
        "hashmod": {"target_label": chosen.choice(TARGETS), "modulus": chosen.choice([2, 1000, 2**63])},
        "keepequal": {"source_labels": ["mesh"], "target_label": chosen.choice(["mesh", "copy_mesh"])},
    }
    by_name = action in ("labelmap", "labeldrop")
    other = {"target_label": chosen.choice(["env", "out"])}
    return {"action": action} | ({} if by_name else sources) | fields.get(action, other)


def promtool(directory: Path, rules: list[dict[str, Any]], groups: list[Labels]) -> dict[str, Labels]:
    """Return what promtool makes of targets with these labels, by address; what it drops is missing."""
    static = [{"targets": [labels["__address__"]], "labels": labels} for labels in groups]
    job = {"job_name": "j", "static_configs": static, "relabel_configs": rules}
    path = directory / "prometheus.yml"
    path.write_text(json.dumps({"scrape_configs": [job]}))
    call = ["promtool", "check", "service-discovery", "--timeout=400ms", str(path), "j"]
    found = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
    assert not [item for item in found if "error" in item]
    return {item["labels"]["__address__"]: item["labels"] for item in found if item["labels"]}


def as_scraped(labels: Labels) -> Labels:
    """Return what Prometheus makes of labels after relabelling."""
    kept = {name: value for name, value in labels.items() if not name.startswith("__meta_")}
    return {"instance": labels["__address__"]} | kept


@needs_prometheus
def test_promtool_agrees_on_random_rules(tmp_path: Path) -> None:
    compared = 0
    for seed in range(12):
        chosen = random.Random(seed)
        rules = [random_rule(chosen) for _ in range(chosen.randint(5, 40))]
        groups = [DEFAULTS | {name: chosen.choice(VALUES) for name in chosen.sample(NAMES[:-1], 5)} for _ in range(40)]
        for port, labels in enumerate(groups, start=1):
            labels["__address__"] = f"127.0.0.1:{port}"
        relabel = Relabel(RelabelOptions(rules=FileContent(None, json.dumps(rules).encode())))
        results = [as_scraped(result) for labels in groups for result in relabel(labels, target())]
        assert {result["__address__"]: result for result in results} == promtool(tmp_path, rules, groups), rules
        compared += len(results)
    assert compared > 200, "nearly all were dropped"
