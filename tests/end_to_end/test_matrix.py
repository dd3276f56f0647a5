from pathlib import Path

import pytest
from matrix import FORMS, NO_MADS, NO_TLS, VERSIONS, Cell, all_rows, expected, table

from kuma_sd.simulator import kuma
from kuma_sd.simulator.kuma_versions import Catalog

COMPATIBILITY_MD = Path(__file__).parents[2] / "docs/compatibility.md"

Rows = dict[str, dict[str, Cell]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    return all_rows()


def protocol(version: str, form: str) -> str:
    """Return what must be spoken, by what the references say of each line; empty where nothing can be."""
    line = kuma(version)
    if "5681" in form and line.catalog is not Catalog.WITH_MADS:
        return ""
    if "s://" in form:
        return "v1 HTTP" if line.tls else ""
    if "v1" in line.grpc:
        return "v1 gRPC"
    return "v1alpha1 gRPC" if line.grpc else "v1 HTTP"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_kuma_is_understood_at_every_address(rows: Rows, version: str, form: str) -> None:
    cell = rows[version][form]
    spoken = protocol(version, form)
    assert cell.protocol == spoken, cell.error
    if spoken:
        assert cell.targets == expected()
    else:
        assert str(cell) == (NO_MADS if "5681" in form else NO_TLS)


def test_the_table_in_the_documentation_is_what_comes_out(rows: Rows) -> None:
    page = COMPATIBILITY_MD.read_text()
    written = page.partition("<!-- matrix -->\n")[2].partition("<!-- end of matrix -->")[0].strip()
    assert written == table(rows).strip(), "put what script/matrix prints between the markers"
