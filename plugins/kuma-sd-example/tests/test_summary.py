from pathlib import Path

from kuma_sd.testing import OutputContract, context, group, publication
from kuma_sd_example.summary import SUMMARY, SummaryOptions


class TestSummary(OutputContract):
    plugin = SUMMARY

    def options(self, directory: Path) -> SummaryOptions:
        return SummaryOptions(path=directory / "new" / "summary.txt")

    def broken(self, directory: Path) -> SummaryOptions:
        (directory / "file").touch()
        return SummaryOptions(path=directory / "file" / "summary.txt")


def test_targets_are_counted_by_mesh_and_service(tmp_path: Path) -> None:
    path = tmp_path / "summary.txt"
    summary = SUMMARY.open(SummaryOptions(path), context())
    summary.start()
    summary.publish(publication("backend-01", "backend-02", group("web-01", service="web")))
    assert path.read_text() == "targets\tmesh\tservice\n2\tdefault\tbackend\n1\tdefault\tweb\n"
    summary.publish(publication("backend-02"))
    assert path.read_text() == "targets\tmesh\tservice\n1\tdefault\tbackend\n"
    summary.close()


def test_other_labels_are_counted_if_wanted(tmp_path: Path) -> None:
    path = tmp_path / "summary.txt"
    summary = SUMMARY.open(SummaryOptions(path, labels=("env",)), context())
    summary.start()
    summary.publish(publication("backend-01", group("web-01", labels={}), group("web-02", labels={"env": "a\tb\n"})))
    assert path.read_text() == "targets\tenv\n1\t\n1\ta b\n1\tprod\n"
    summary.close()
