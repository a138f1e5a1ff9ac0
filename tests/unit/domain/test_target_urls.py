"""The registration half of the 72 rows of reference B5.3."""

from __future__ import annotations

import httpx
import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyHttpUrl

from app.domain.addresses import AddressPolicy, parse_networks
from app.domain.target_urls import UnsafeUrl, UrlPolicy, check_target_url

PUBLIC_ONLY = UrlPolicy(AddressPolicy())
PRIVATE_TOO = UrlPolicy(
    AddressPolicy(allowed_networks=parse_networks(["127.0.0.0/8", "10.0.0.0/8", "::1/128"]))
)
SETTING = "RELAY_ALLOWED_PRIVATE_NETWORKS"

REFUSED = [
    # 1-13: loopback and its spellings
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://00000177.1/",
    "http://0/",
    "http://0x0/",
    "http://0.0.0.0/",
    "http://3232235521/",
    "http://0251.0376.0251.0376/",
    "http://425.510.425.510/",
    "http://4294967296/",
    # 14-19: metadata services
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://168.63.129.16/",
    # 21-27: private, shared, documentation, multicast
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://192.0.2.1/",
    "http://203.0.113.6/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://255.255.255.255/",
    "http://240.0.0.1/",
    "http://192.88.99.1/",
    # 28-30: names of this machine, trailing dots
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://foo.localhost/",
    "http://ip6-localhost/",
    "http://127.0.0.1./",
    "http://hooks.example./",
    # 31-42: version 6
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:0:7f00:1]/",
    "http://[::5efe:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:c0a8:1::1]/",
    "http://[2001:0:4136:e378:8000:63bf:3f57:fdf2]/",
    "http://[fe80::1]/",
    "http://[fe80::1%eth0]/",
    "http://[fe80::1%25eth0]/",
    "http://[::1%25lo]/",
    "http://[fc00::1]/",
    "http://[fdee::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[5f00::1]/",
    "http://[100::1]/",
    "http://[3fff::1]/",
    "http://[v1.fe80::a]/",
    "http://::1/",
    "http://[::1/",
    "http://[[::1]]/",
    # 43-47: other scripts
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://127．0．0．1/",  # noqa: RUF001 the fullwidth full stop is the case
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://localhoſt/",  # noqa: RUF001 the long s is the case
    "http://loc\u00adalhost/",
    "http://xn--/",
    # 48-52: user information
    "http://user:pass@hooks.example/",
    "http://example.com@127.0.0.1/",
    "http://a@b@127.0.0.1/",
    "http://example.com:80@127.0.0.1:81/",
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http://127.0.0.1#@example.com/",
    "https://hooks.example/#fragment",
    "https://hooks.example/#",
    # 53-56: other forms, schemes and characters
    "http:/127.0.0.1/",
    "http:127.0.0.1/",
    "http:\\\\127.0.0.1\\",
    "http:///127.0.0.1/",
    "//127.0.0.1/",
    "http://%31%32%37.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://127.0.0.1%00.example.com/",
    "http://127.0.0.1\x00.example.com/",
    "http://\t127.0.0.1/",
    " http://127.0.0.1/",
    " https://hooks.example/",
    "http://127.0.0.1\r\n/x",
    "http://exa\nmple.com/",
    "http://example.com/\r\nX: 1",
    "http://example.com/a b",
    "http://example.com/\x85",
    "http://example.com/\ud800",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x",
    "ftp://hooks.example/",
    "dict://hooks.example/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "data:text/plain,x",
    "javascript:alert(1)",
    # 57-58: ports
    "http://hooks.example:0/",
    "http://hooks.example:99999/",
    "http://hooks.example:-1/",
    "http://hooks.example:80:80/",
    "http://hooks.example:/",
    "http://hooks.example:٨٠/",
    "http://hooks.example:22/",
    "http://hooks.example:25/",
    "http://hooks.example:6379/",
    "http://hooks.example:5432/",
    "http://hooks.example:11211/",
    # 59: names that are no names
    "http://./",
    "http://../",
    "http://.a.com/",
    "http://a..com/",
    "http://" + "a" * 64 + ".com/",
    "http://" + "a." * 126 + "com/",
    "http://-a.com/",
    "http://a-.com/",
    "http://ex!mple.com/",
    # 69, 71
    "http://intranet/",
    "http://hooks.example/" + "a" * 9000,
    "",
    "http://",
]

STORED = [
    ("https://hooks.example/", "https://hooks.example/"),
    ("https://hooks.example", "https://hooks.example/"),
    ("HTTPS://HOOKS.Example:443/A", "https://hooks.example/A"),
    ("http://hooks.example:80/a/../b?x=1&y=%2F", "http://hooks.example/b?x=1&y=%2F"),
    ("https://hooks.example:8443/in?token=a%20b", "https://hooks.example:8443/in?token=a%20b"),
    ("http://172.32.0.1/", "http://172.32.0.1/"),
    ("http://100.128.0.1/", "http://100.128.0.1/"),
    ("http://100.63.255.254/", "http://100.63.255.254/"),
    ("http://[::ffff:8.8.8.8]/", "http://[::ffff:8.8.8.8]/"),
    ("http://[2606:4700::1111]:8080/", "http://[2606:4700::1111]:8080/"),
    ("http://faß.de/", "http://xn--fa-hia.de/"),
    ("http://münchen.example/ü", "http://xn--mnchen-3ya.example/%C3%BC"),
    ("http://example.com?@127.0.0.1/", "http://example.com/?@127.0.0.1/"),
    ("https://my_hooks.example/", "https://my_hooks.example/"),
    # Names are judged by what they resolve to, when a connection is made.
    ("http://metadata.google.internal/", "http://metadata.google.internal/"),
    ("http://127.0.0.1.nip.io/", "http://127.0.0.1.nip.io/"),
    ("http://localhost.localdomain/", "http://localhost.localdomain/"),
]


def refusal(url: str, policy: UrlPolicy = PUBLIC_ONLY) -> str:
    with pytest.raises(UnsafeUrl) as caught:
        check_target_url(url, policy)
    return caught.value.reason


@pytest.mark.parametrize("url", REFUSED, ids=lambda url: ascii(url)[:60])
def test_a_hostile_url_is_refused_with_one_sentence(url):
    reason = refusal(url)
    assert reason.endswith(".")
    assert "\n" not in reason


@pytest.mark.parametrize(("url", "stored"), STORED)
def test_a_harmless_url_is_stored_in_its_one_normal_form(url, stored):
    assert check_target_url(url, PUBLIC_ONLY) == stored


@pytest.mark.parametrize("url", [stored for _, stored in STORED])
def test_the_stored_form_is_stable(url):
    assert check_target_url(url, PUBLIC_ONLY) == url


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.0.1", "127.0.0.1", "[::1]", "[fd12::1]"])
def test_the_refusal_of_a_private_address_names_the_setting(host):
    assert SETTING in refusal(f"http://{host}/")


@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
        *("[fd00:ec2::254]", "[::ffff:169.254.169.254]", "169.254.1.1", "224.0.0.1", "0.0.0.0"),
    ],
)
def test_no_setting_is_ever_suggested_for_a_metadata_or_reserved_address(host):
    assert SETTING not in refusal(f"http://{host}/")


def test_no_setting_is_suggested_for_an_address_the_operator_denied():
    denied = UrlPolicy(AddressPolicy(denied_networks=parse_networks(["10.0.0.0/8"])))
    assert SETTING not in refusal("http://10.0.0.1/", denied)


@pytest.mark.parametrize("url", ["http://localhost/", "http://intranet/"])
def test_the_refusal_of_a_local_name_names_the_setting(url):
    assert SETTING in refusal(url)


@pytest.mark.parametrize("url", ["http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/"])
def test_a_disguised_address_is_called_that(url):
    assert "another spelling of an IP address" in refusal(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/",
        "http://127.0.0.1:81/",
        "http://10.1.2.3:5432/",
        "http://[::1]:1/",
        "http://localhost:9000/",
        "http://sink.localhost:22/",
        "http://n8n:5678/webhook/1",
    ],
)
def test_where_the_operator_allows_private_networks_their_hosts_are_taken(url):
    assert check_target_url(url, PRIVATE_TOO) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://192.168.0.1/",
        "http://[::ffff:192.168.0.1]/",
        "http://127.1/",
        "http://8.8.8.8:22/",
        "http://redis:6379/",
        "http://user@127.0.0.1/",
    ],
)
def test_allowed_networks_open_nothing_else(url):
    assert refusal(url, PRIVATE_TOO)


def test_localhost_follows_the_verdict_on_loopback_not_the_mere_presence_of_a_list():
    elsewhere = UrlPolicy(AddressPolicy(allowed_networks=parse_networks(["10.0.0.0/8"])))
    assert SETTING in refusal("http://localhost:9000/", elsewhere)


def test_https_can_be_required():
    policy = UrlPolicy(AddressPolicy(), require_https=True)
    assert "https://" in refusal("http://hooks.example/", policy)
    assert check_target_url("https://hooks.example/", policy) == "https://hooks.example/"


@pytest.mark.parametrize(
    ("denied", "url"),
    [
        ("relay.example", "https://relay.example/webhooks/a/b"),
        ("relay.example", "https://RELAY.example:8443/"),
        ("relay.example:443", "https://relay.example/"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/webhooks/a/b"),
    ],
)
def test_the_relays_own_host_is_refused(denied, url):
    policy = UrlPolicy(PRIVATE_TOO.addresses, denied_hosts=frozenset({denied}))
    assert "own" in refusal(url, policy)


def test_an_own_host_with_a_port_denies_that_port_only():
    policy = UrlPolicy(PRIVATE_TOO.addresses, denied_hosts=frozenset({"127.0.0.1:8080"}))
    assert check_target_url("http://127.0.0.1:9000/", policy) == "http://127.0.0.1:9000/"


def test_a_url_that_only_grows_too_long_by_encoding_is_refused():
    assert "2048" in refusal("https://hooks.example/" + "ü" * 1000)


hostile_piece = st.sampled_from(
    [
        *("http://", "https://", "HTTP:", "//", "/", "\\", "@", ":", "#", "?", "%", "[", "]", "."),
        *("127.0.0.1", "0x7f.1", "2130706433", "localhost", "example.com", "xn--", "::1", "80"),
        *("ß", "ſ", "①", "。", "\u00ad", "\u200d", "\ud800", "\x00", "\t", " ", "é"),  # noqa: RUF001 look-alikes are the case
    ]
)
anything = st.one_of(
    st.text(max_size=60),
    st.lists(hostile_piece, max_size=8).map("".join),
    st.lists(hostile_piece, max_size=6).map(lambda pieces: "http://" + "".join(pieces)),
    st.builds("http://{}/{}".format, st.text(max_size=20), st.text(max_size=20)),
)


@given(anything)
def test_any_text_is_refused_or_read_alike_by_all_three_parsers(text):
    try:
        stored = check_target_url(text, PRIVATE_TOO)
    except UnsafeUrl:
        return
    judged = (AnyHttpUrl(stored).host or "").strip("[]")
    sent, dialled = httpx.URL(stored), yarl.URL(stored, encoded=True)
    assert str(sent) == stored
    assert sent.host.isascii() is False or sent.host == dialled.raw_host
    assert sent.raw_host.decode() == dialled.raw_host
    assert judged == dialled.raw_host or ":" in judged
    assert sent.userinfo == b""
    assert dialled.raw_user is None
