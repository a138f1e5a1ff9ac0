"""What settings take and what they refuse, without repeating a secret."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.connectors.ga4 import Ga4Settings
from app.connectors.hubspot import HubSpotSettings
from app.connectors.webhook import WebhookSettings

GA4 = {"measurement_id": "G-ABC123", "api_secret": "s3cret"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://api.hubapi.com", "https://api.hubapi.com"),
        ("https://api.hubapi.com/", "https://api.hubapi.com"),
        ("http://127.0.0.1:8080/mock//", "http://127.0.0.1:8080/mock"),
    ],
)
def test_a_base_url_is_kept_without_the_slash_at_its_end(given, kept):
    assert HubSpotSettings(token="t", base_url=given).base_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.hubapi.com",
        "ftp://api.hubapi.com",
        "https://",
        "https://user:pass@api.hubapi.com",
        "https://api.hubapi.com?x=1",
        "https://api.hubapi.com?",
        "https://api.hubapi.com#x",
        "https://api.hubapi.com/\n",
        "https://" + "a" * 3000,
    ],
)
def test_what_is_no_base_url_is_refused(url):
    with pytest.raises(ValidationError):
        HubSpotSettings(token="t", base_url=url)


def test_a_pasted_token_loses_the_space_around_it():
    assert HubSpotSettings(token=" pat-eu1\n").token.get_secret_value() == "pat-eu1"


@pytest.mark.parametrize("token", ["", " ", "pat\r\nX: 1", "pät", "a\0b", "x" * 2000])
def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated(token):
    with pytest.raises(ValidationError) as refusal:
        HubSpotSettings(token=token)
    if token.strip():
        assert token not in str(refusal.value)


@pytest.mark.parametrize("measurement_id", ["", "UA-1234-1", "G-abc", "G-", "G-A/../x", "G-A\n"])
def test_what_is_no_measurement_id_is_refused(measurement_id):
    with pytest.raises(ValidationError):
        Ga4Settings(**{**GA4, "measurement_id": measurement_id})


@pytest.mark.parametrize("prefix", ["", "crm", "/crm/", "/crm/../v3", "/crm?x", "/crm v3"])
def test_what_is_no_path_prefix_is_refused(prefix):
    with pytest.raises(ValidationError):
        HubSpotSettings(token="t", path_prefix=prefix)


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        (WebhookSettings, {"url": "https://x.example", "headres": {}}),
        (HubSpotSettings, {"token": "t", "tokne": "x"}),
        (Ga4Settings, {**GA4, "consent": "GRANTED"}),
        (Ga4Settings, {**GA4, "ad_user_data": "granted"}),
        (WebhookSettings, {}),
        (WebhookSettings, {"url": "https://x.example", "format": "xml"}),
    ],
)
def test_an_unknown_a_missing_and_a_wrong_setting_are_refused(settings, given):
    with pytest.raises(ValidationError):
        settings(**given)


@pytest.mark.parametrize(
    "settings",
    [HubSpotSettings(token="hunter22"), Ga4Settings(**{**GA4, "api_secret": "hunter22"})],
)
def test_a_secret_does_not_show_in_a_representation(settings):
    assert "hunter22" not in repr(settings)
