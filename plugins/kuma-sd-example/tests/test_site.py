from pathlib import Path

from kuma_sd.testing import TransformContract, context, target
from kuma_sd_example.site import SITE, SiteOptions


class TestSite(TransformContract):
    plugin = SITE

    def options(self, directory: Path) -> SiteOptions:
        del directory
        return SiteOptions(name="east")


def test_the_label_is_added() -> None:
    add_site = SITE.open(SiteOptions(name="east"), context())
    assert list(add_site({"__address__": "192.0.2.1:5670"}, target())) == [
        {"__address__": "192.0.2.1:5670", "site": "east"}
    ]
