"""What Kuma answers over HTTP."""

import json

from kuma_sd.mads.codecs.v1 import TYPE_URL


def mads_answer(version: str, *names: str) -> bytes:
    """Return an answer with one target of each name."""
    targets = [{"name": name, "address": "192.0.2.1:1"} for name in names]
    resources = [{"@type": TYPE_URL, "mesh": "default", "targets": [target]} for target in targets]
    return json.dumps({"version_info": version, "type_url": TYPE_URL, "resources": resources}).encode()
