"""The network's REST API, driven with the answers that were captured from the real one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.domain.errors import PlatformRefused, PlatformUnavailable
from app.sources import ultimate_multisite_rest as rest
from tests.fakes.ultimate_multisite import captured_reply

ACCESS = rest.ApiAccess(base_url="https://network.example", key="canary-k", secret="canary-s")


def run(flow: rest.Asking[Any], *replies: httpx.Response) -> tuple[Any, list[httpx.Request]]:
    """What a flow comes to, and the requests it made."""
    waiting, requests = list(replies), []
    try:
        request = next(flow)
        while True:
            requests.append(request)
            request = flow.send(waiting.pop(0))
    except StopIteration as stop:
        return stop.value, requests


def reply(name: str, **headers: str) -> httpx.Response:
    made = captured_reply(name)
    return httpx.Response(made.status, headers=headers, content=made.body)


def test_the_connection_test_gives_the_networks_name():
    name, (request,) = run(rest.ask_auth(ACCESS), reply("auth.200"))
    assert name == "Demo Network"
    assert str(request.url) == "https://network.example/wp-json/wu/v2/auth"
    assert request.headers["authorization"] == "Basic Y2FuYXJ5LWs6Y2FuYXJ5LXM="


@pytest.mark.parametrize("name", ["badauth.401", "noauth_customers.401", "plural_customers.404"])
def test_a_refusal_says_what_to_change_and_no_secret(name):
    with pytest.raises(PlatformRefused) as caught:
        run(rest.ask_auth(ACCESS), reply(name))
    assert "API & Webhooks" in caught.value.detail
    assert "canary" not in caught.value.detail


def test_a_fatal_error_of_the_site_may_pass():
    with pytest.raises(PlatformUnavailable, match="500, internal_server_error"):
        run(rest.change_webhook(ACCESS, "1", url="x"), reply("put_emptybody.500"))


@pytest.mark.parametrize("collection", ["customer", "membership", "payment", "event", "product"])
def test_a_captured_list_is_a_page(collection):
    page, (request,) = run(rest.list_page(ACCESS, collection), reply(f"list_{collection}s.200"))
    assert page.items[0]["model"] == collection
    assert (page.total, page.next is None) == (None, False)
    assert dict(request.url.params) == {
        "orderby": "id", "order": "asc", "page": "1", "per_page": "100", "number": "100",
        "offset": "0",
    }  # fmt: skip


def test_totals_in_the_headers_end_the_list():
    headers = {"x-wp-total": "1", "x-wp-totalpages": "1"}
    page, _ = run(rest.list_page(ACCESS, "customer"), reply("list_customers.200", **headers))
    assert (page.total, page.next) == (1, None)


def test_an_empty_list_has_no_next_page():
    page, _ = run(rest.list_page(ACCESS, "customer"), reply("list_by_search.200"))
    assert (page.items, page.next) == ([], None)


def test_a_webhook_is_made_changed_and_deleted():
    flow = rest.create_webhook(ACCESS, name="Relay", url="u", event="e", integration="wu-relay")
    made, (request,) = run(flow, reply("create_webhook.200"))
    assert made["id"] == 25
    assert b'"integration":"wu-relay"' in request.content
    changed, (request,) = run(
        rest.change_webhook(ACCESS, "25", url="u"), reply("webhook_put_url.200")
    )
    assert (changed["id"], request.method, request.content) == ("25", "PUT", b'{"webhook_url":"u"}')
    assert run(rest.delete_webhook(ACCESS, "25"), reply("webhook_delete.200"))[0] is True


def test_a_webhook_without_a_maker_is_refused_by_the_network():
    flow = rest.create_webhook(ACCESS, name="Relay", url="u", event="e", integration="")
    with pytest.raises(PlatformRefused, match="rest_missing_callback_param"):
        run(flow, reply("create_webhook_noint.400"))


def test_what_is_gone_already_is_no_error():
    assert run(rest.delete_webhook(ACCESS, "9"), reply("put_missing.404"))[0] is False
    assert run(rest.get_record(ACCESS, "customer", "9"), reply("put_missing.404"))[0] is None


def test_the_types_that_a_network_knows():
    hooks, _ = run(rest.list_hooks(ACCESS), reply("hooks.200"))
    assert {"payment_received", "checkout_completed"} <= hooks.keys()
    assert "customer_created" not in hooks


def test_php_writes_nothing_as_a_list():
    assert run(rest.list_hooks(ACCESS), httpx.Response(200, content=b"[]"))[0] == {}


def test_the_keys_go_among_the_parameters_where_a_host_drops_the_header():
    access = rest.ApiAccess(base_url="https://n.example", key="k", secret="s", in_body=True)
    _, (request,) = run(rest.ask_auth(access), reply("auth.200"))
    assert dict(request.url.params) == {"api_key": "k", "api_secret": "s"}
    _, (request,) = run(rest.change_webhook(access, "25", url="u"), reply("webhook_put_url.200"))
    assert "authorization" not in request.headers
    assert request.content == b'{"api_key":"k","api_secret":"s","webhook_url":"u"}'


def test_another_plugin_is_asked_without_the_keys():
    _, (request,) = run(rest.plugin_status(ACCESS, "x/v1/status"), reply("plural_customers.404"))
    assert "authorization" not in request.headers
