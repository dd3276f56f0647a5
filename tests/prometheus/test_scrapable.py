"""What we take for unscrapable is what Debian's promtool refuses, and nothing else."""

import json
import subprocess
from pathlib import Path

import pytest
from prometheus import needs_prometheus

from kuma_sd import Labels, TransformError
from kuma_sd.prometheus.scrapable import check_scrapable

ADDRESSES = [
    "a:80",
    "a",
    "a:",
    ":80",
    "[::1]:80",
    "::1",
    "a b:80",
    "é:80",
    "a?x#y:1",
    "user@a:1",
    "a:80/metrics",
    "a/x:80",
    "http://a:80",
    "/",
]

INTERVALS = [
    "1h30m",
    "30m1h",
    "1y",
    "292y",
    "293y",
    "1m300ms",
    "0",
    "0s",
    "00m",
    "1",
    "1.5m",
    "-5m",
    " 5m",
    "5M",
    "9999999999999h",
    "\u0661m",
    "abc",
]

TIMEOUTS = ["1s", "10s", "0s", "abc"]

LABEL_SETS: list[Labels] = [
    *({"__address__": address} for address in ADDRESSES),
    *({"__address__": address, "__scheme__": "ftp"} for address in ADDRESSES),
    *({"__address__": "a:1", "__scrape_interval__": text} for text in INTERVALS),
    *({"__address__": "a:1", "__scrape_timeout__": text} for text in TIMEOUTS),
    {"__address__": "a:1", "__scrape_interval__": "5s", "__scrape_timeout__": "5s"},
    {"__address__": "a:1", "__scrape_interval__": "5s", "__scrape_timeout__": "6s"},
    {"__address__": "a:1", "__metrics_path__": "no slash %zz", "instance": "\0", "__param_": "x"},
]


def takes(labels: Labels) -> bool:
    """Tell whether we publish a label set."""
    try:
        check_scrapable(labels)
    except TransformError:
        return False
    return True


@needs_prometheus
@pytest.mark.parametrize("labels", LABEL_SETS, ids=str)
def test_we_publish_what_promtool_takes_and_quarantine_what_it_refuses(labels: Labels, tmp_path: Path) -> None:
    others = {name: value for name, value in labels.items() if name != "__address__"}
    (tmp_path / "targets.json").write_text(json.dumps([{"targets": [labels["__address__"]], "labels": others}]))
    (tmp_path / "prometheus.yml").write_text(
        'scrape_configs: [{job_name: j, file_sd_configs: [{files: ["targets.json"]}]}]\n'
    )
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    refused = subprocess.run(command, capture_output=True, check=False).returncode
    assert takes(labels) is not bool(refused)


def test_the_reason_says_what_to_do() -> None:
    with pytest.raises(TransformError, match="put these into __scheme__ and __metrics_path__"):
        check_scrapable({"__address__": "http://a:80/x"})
