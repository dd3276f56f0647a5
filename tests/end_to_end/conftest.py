"""A daemon with a file of settings, and two control planes that it can follow."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import MANY, Kuma, Stage, serving


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def east() -> Iterator[Kuma]:
    with serving(*MANY) as running:
        yield running


@pytest.fixture
def west() -> Iterator[Kuma]:
    with serving("api-1", "api-2") as running:
        yield running
