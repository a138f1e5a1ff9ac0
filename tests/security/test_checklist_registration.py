"""What a target may not be given, asked through the API (reference B7: 71-73; B5.3, rows of "R")."""

from __future__ import annotations

import pytest

from tests.integration.edge import edge

URL = "https://hooks.example.com/"
#: Row of the reference's table to one or more of its URLs.
HOSTILE = {
    1: ["http://127.0.0.1/"],
    2: ["http://127.1/"],
    3: ["http://127.255.255.254/"],
    4: ["http://2130706433/"],
    5: ["http://0x7f000001/"],
    6: ["http://0x7f.0.0.1/"],
    7: ["http://0177.0.0.1/"],
    8: ["http://017700000001/"],
    9: ["http://00000177.1/"],
    10: ["http://0/", "http://0x0/", "http://0.0.0.0/"],
    11: ["http://3232235521/"],
    12: ["http://0251.0376.0251.0376/"],
    13: ["http://425.510.425.510/", "http://4294967296/"],
    14: ["http://169.254.169.254/latest/meta-data/"],
    15: ["http://169.254.170.2/"],
    16: ["http://[fd00:ec2::254]/"],
    17: ["http://100.100.100.200/"],
    18: ["http://192.0.0.192/"],
    19: ["http://168.63.129.16/"],
    21: ["http://10.0.0.1/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.0.1/"],
    23: ["http://100.64.0.1/"],
    24: ["http://198.18.0.1/", "http://192.0.2.1/", "http://203.0.113.6/"],
    25: ["http://224.0.0.1/", "http://239.255.255.250/"],
    26: ["http://255.255.255.255/", "http://240.0.0.1/"],
    27: ["http://192.88.99.1/"],
    28: ["http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://foo.localhost/"],
    30: ["http://127.0.0.1./"],
    31: ["http://[::1]/", "http://[::]/"],
    32: ["http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/"],
    34: ["http://[::127.0.0.1]/"],
    35: ["http://[::ffff:0:7f00:1]/", "http://[::5efe:7f00:1]/"],
    36: ["http://[64:ff9b::7f00:1]/", "http://[64:ff9b::a9fe:a9fe]/"],
    37: ["http://[64:ff9b:1::1]/"],
    38: ["http://[2002:7f00:1::]/", "http://[2002:c0a8:1::1]/"],
    39: ["http://[2001:0:4136:e378:8000:63bf:3f57:fdf2]/"],
    40: ["http://[fe80::1]/", "http://[fe80::1%eth0]/", "http://[::1%25lo]/"],
    41: ["http://[fc00::1]/", "http://[fec0::1]/", "http://[ff02::1]/", "http://[3fff::1]/"],
    42: ["http://[v1.fe80::a]/", "http://::1/", "http://[::1/", "http://[[::1]]/"],
    43: ["http://①②⑦.⓪.⓪.①/"],
    44: ["http://127。0。0。1/", "http://127．0．0．1/"],  # noqa: RUF001  the fullwidth full stop is the case
    45: ["http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "http://loc\u00adalhost/"],
    47: ["http://xn--/"],
    48: ["http://user:pass@hooks.example/"],
    49: ["http://example.com@127.0.0.1/", "http://a@b@127.0.0.1/"],
    50: ["http://example.com\\@127.0.0.1/"],
    51: ["http://127.0.0.1\\@example.com/"],
    52: ["http://127.0.0.1#@example.com/"],
    53: ["http:/127.0.0.1/", "http:127.0.0.1/", "http:///127.0.0.1/", "//127.0.0.1/"],
    54: [
        "http://%31%32%37.0.0.1/",
        "http://127.0.0.1%00.example.com/",
        "http://a\x00.example.com/",
    ],
    55: ["http://\t127.0.0.1/", " http://127.0.0.1/", "http://example.com/\r\nX: 1"],
    56: ["file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "data:,x", "javascript:alert(1)"],
    57: ["http://hooks.example:0/", "http://hooks.example:99999/", "http://hooks.example:80:80/"],
    58: ["http://hooks.example:22/", "http://hooks.example:6379/", "http://hooks.example:5432/"],
    59: ["http://./", "http://a..com/", "http://" + "a" * 64 + ".com/"],
    69: ["http://intranet/"],
    71: ["http://hooks.example/" + "a" * 9000],
}
ROWS = [
    pytest.param(url, id=f"{row}-{url[:40]!a}") for row, urls in HOSTILE.items() for url in urls
]


@pytest.fixture
async def api(database, sealer, clock):
    async with edge(database, sealer, clock) as node, node.client() as client:
        yield client


async def pointers(api, settings, connector="webhook") -> list[str]:
    body = {"name": "sink", "connector": connector, "settings": settings}
    answer = await api.post("/v1/targets", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await api.get("/v1/targets")).json()["items"] == []
    return [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("url", ROWS)
async def test_a_hostile_url_is_no_target_whichever_setting_holds_it(api, url):
    assert await pointers(api, {"url": url}) == ["#/settings/url"]
    crm = {"token": "token-of-a-crm", "base_url": url}
    assert await pointers(api, crm, "hubspot") == ["#/settings/base_url"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_url_that_is_changed_later_is_checked_as_well(api):
    body = {"name": "sink", "connector": "webhook", "settings": {"url": URL}}
    made = (await api.post("/v1/targets", json=body)).json()
    change = {"settings": {"url": "http://169.254.169.254/"}}
    assert (await api.patch(f"/v1/targets/{made['id']}", json=change)).status_code == 422
    shown = (await api.get(f"/v1/targets/{made['id']}")).json()
    assert shown["settings"]["url"] == URL


async def test_https_can_be_demanded(database, sealer, clock):
    async with edge(database, sealer, clock, require_https=True) as node, node.client() as client:
        assert await pointers(client, {"url": "http://hooks.example.com/"}) == ["#/settings/url"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-Evil: 1"),
        ("X-A", "a\nb"),
        ("X-A", "a\rb"),
        ("X-A", "a\x00b"),
        ("X-A", " a"),
        ("X-A", "a "),
        ("X-A", ""),
        ("X-A", "naïve"),
        ("X A", "a"),
        ("X-A\r\nE", "a"),
        ("", "a"),
        ("X:A", "a"),
        ("Ünsafe", "a"),
        *(
            (name, "a")
            for name in (
                *("Host", "Content-Length", "Transfer-Encoding", "Connection", "Cookie"),
                *("webhook-id", "Webhook-Signature", "WEBHOOK-TIMESTAMP", "Expect", "Relay-Hop"),
                *("Proxy-Authorization", "TE", "Upgrade", "Keep-Alive", "Accept-Encoding"),
            )
        ),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_header_that_is_not_the_operators_to_set_is_refused(api, name, value):
    found = await pointers(api, {"url": URL, "headers": {name: value}})
    assert len(found) == 1
    assert found[0].startswith("#/settings/headers")
