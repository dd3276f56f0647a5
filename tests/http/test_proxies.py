from collections.abc import Mapping

import pytest

from kuma_sd import ConfigError, Endpoint, parse_url
from kuma_sd.http.proxies import proxy_for

KUMA = Endpoint("kuma.example.org", 5676)
SECURE = KUMA._replace(tls=True)


@pytest.mark.parametrize(
    ("endpoint", "environment", "proxy"),
    [
        (KUMA, {}, None),
        (KUMA, {"http_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        (KUMA, {"HTTP_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        (KUMA, {"http_proxy": "", "HTTP_PROXY": "http://proxy:3128"}, None),
        (KUMA, {"https_proxy": "http://proxy:3128"}, None),
        (SECURE, {"https_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        (SECURE, {"http_proxy": "http://proxy:3128"}, None),
        (KUMA, {"http_proxy": "proxy:3128"}, "http://proxy:3128"),
        (KUMA, {"http_proxy": "proxy"}, "http://proxy:80"),
        (KUMA, {"http_proxy": "https://proxy"}, "https://proxy:443"),
        (KUMA, {"http_proxy": "user:p%40ss@[2001:db8::1]:3128/"}, "http://[2001:db8::1]:3128"),
    ],
)
def test_the_environment_names_the_proxy(endpoint: Endpoint, environment: Mapping[str, str], proxy: str | None) -> None:
    found = proxy_for(endpoint, None, environment)
    assert (str(found) if found else None) == proxy


@pytest.mark.parametrize(
    ("host", "no_proxy", "direct"),
    [
        ("kuma.example.org", "*", True),
        ("kuma.example.org", "kuma.example.org", True),
        ("kuma.example.org", "KUMA.example.ORG", True),
        ("KUMA.example.org", "kuma.example.org", True),
        ("kuma.example.org", "example.org", True),
        ("kuma.example.org", ".example.org", True),
        ("kuma.example.org", "*.example.org", True),
        ("kuma.example.org", "other.net, example.org", True),
        ("kuma.example.org", "other.net example.org", True),
        ("kuma.example.org", "kuma.example.org:5676", True),
        ("kuma.example.org", "kuma.example.org:5677", False),
        ("kuma.example.org", "a.example.org", False),
        ("mykuma.example.org", "kuma.example.org", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:5676", True),
        ("10.1.2.3", "10.1.2.3:80", False),
        ("10.1.2.33", "10.1.2.3", False),
        ("2001:db8::1", "2001:db8::/32", True),
        ("2001:db8::1", "[2001:db8::1]", True),
        ("2001:db8::1", "[2001:db8::1]:5676", True),
        ("2001:db8::1", "[2001:db8::1]:80", False),
        ("localhost", "localhost", True),
        ("kuma.example.org", ",, ,", False),
    ],
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_what_no_proxy_names_is_reached_directly(host: str, no_proxy: str, direct: bool, name: str) -> None:  # noqa: FBT001 (a table)
    environment = {"http_proxy": "http://proxy:3128", name: no_proxy}
    assert (proxy_for(Endpoint(host, 5676), None, environment) is None) == direct


def test_the_option_is_used_whatever_the_environment_says() -> None:
    environment = {"http_proxy": "http://other:3128", "no_proxy": "*"}
    assert str(proxy_for(KUMA, parse_url("http://proxy:3128"), environment)) == "http://proxy:3128"


def test_user_and_password_are_known_and_not_shown() -> None:
    proxy = proxy_for(KUMA, None, {"http_proxy": "http://us%20er:p%40ss%3A@proxy:3128"})
    assert proxy
    assert (proxy.user, proxy.password.reveal()) == ("us er", "p@ss:")
    assert proxy.reveal() == "http://us%20er:p%40ss%3A@proxy:3128"
    assert "p@ss" not in f"{proxy} {proxy!r}"


@pytest.mark.parametrize(
    "url", ["socks5://proxy:1080", "ftp://proxy", "http://", "http://proxy:99999", "http://proxy/path", "http://a,b:1"]
)
def test_what_is_no_http_proxy_is_refused_and_the_origin_is_named(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^the environment's http_proxy "):
        proxy_for(KUMA, None, {"http_proxy": url})
    with pytest.raises(ConfigError, match=r"^proxy "):
        proxy_for(KUMA, parse_url(url))


def test_a_proxy_that_is_not_used_is_not_looked_at() -> None:
    assert (
        proxy_for(KUMA, None, {"https_proxy": "socks5://proxy", "http_proxy": "socks5://proxy", "no_proxy": "*"})
        is None
    )
