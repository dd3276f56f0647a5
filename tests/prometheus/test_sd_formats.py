"""The pieces in which a list of targets is written."""

import pytest

from kuma_sd.prometheus.sd_formats import Chunks, json_chunks, lines_in, yaml_chunks
from kuma_sd.system.memory import LARGE

AVERAGE_LINE = 512


@pytest.mark.parametrize("chunks", [json_chunks, yaml_chunks])
def test_a_piece_is_smaller_than_what_malloc_maps_anew_each_time(chunks: Chunks) -> None:
    lines = [b"%0*d" % (AVERAGE_LINE, number) for number in range(5000)]
    pieces = list(chunks(lines))
    assert max(map(len, pieces)) < LARGE
    found = lines_in(b"".join(pieces))
    assert [line for line in found if line not in (b"[", b"]")] == lines
