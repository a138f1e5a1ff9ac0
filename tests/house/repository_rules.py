"""Rules over files that are not Python: lock files, fixtures, paths, the changelog."""

from __future__ import annotations

import re
from collections.abc import Iterator

from house_rules import Finding

_HOST_IN_LOCK = re.compile(r"://|--(?:extra-)?index-url|--find-links|--trusted-host|\s@\s")
_REQUIREMENT = re.compile(r"^[a-z0-9][a-z0-9._-]*(?:\[[a-z0-9,_-]+\])?==[^\s;]+(?: ; .+)? \\$")
_HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


def loose_lock_lines(text: str) -> Iterator[Finding]:
    """Lines of a lock file that are not an exact version or a hash, or that name a host."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if _HOST_IN_LOCK.search(line) or not (_REQUIREMENT.match(line) or _HASH.match(line)):
            yield Finding(number, line)


# Written apart, so that this file does not break its own rule.
_MACHINE_PATH = re.compile(
    r"(?<![\w.:/-])/(?:" + "|".join(("ro" + "ot", "wo" + "rk", "ho" + "me", "Us" + "ers")) + r")/\w"
)


def machine_paths(text: str) -> Iterator[Finding]:
    """Absolute paths of somebody's own machine."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := _MACHINE_PATH.search(line):
            yield Finding(number, found.group())


_KEY_MATERIAL = re.compile(
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"
    r"|\b(?:sk|rk)_live_\w{8}|\bxox[bp]-\d|\bAKIA[0-9A-Z]{16}\b|\bghp_\w{20}|\bpat-(?:na|eu)\d-[0-9a-f]{8}-[0-9a-f]{4}-"
)


def key_material(text: str) -> Iterator[Finding]:
    """Credentials in the form that well-known services give out."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := _KEY_MATERIAL.search(line):
            yield Finding(number, found.group()[:12] + "…")


# Reserved by RFC 2606 and RFC 6761, or `.dev` names that stand in captured test bodies.
_RESERVED = re.compile(
    r"(?:^|\.)(?:example|test|invalid|localhost)$|(?:^|\.)example\.(?:com|net|org)$|\.dev$"
)
# Hosts that a file of fixtures must name because a program names them: the vendors' own API
# hosts, and the placeholders that the platform's test button and avatars carry.
_NAMED_BY_PROGRAMS = frozenset(
    {
        "a.klaviyo.com",
        "accounts.zoho.com",
        "accounts.zoho.eu",
        "api-eu.mixpanel.com",
        "api-in.mixpanel.com",
        "api.brevo.com",
        "api.eu.amplitude.com",
        "api.hubapi.com",
        "api.mixpanel.com",
        "api.pipedrive.com",
        "api.segment.io",
        "api2.amplitude.com",
        "eu.i.posthog.com",
        "events.eu1.segmentapis.com",
        "graph.facebook.com",
        "initech.com",
        "json-schema.org",
        "linktopayment.com",
        "linktoverifyemail.com",
        "mailchimp.com",
        "plausible.io",
        "region1.google-analytics.com",
        "secure.gravatar.com",
        "test.mynetwork.com",
        "us.i.posthog.com",
        "www.google-analytics.com",
        "www.zohoapis.ca",
        "www.zohoapis.com",
        "www.zohoapis.com.au",
        "www.zohoapis.eu",
        "www.zohoapis.in",
        "www.zohoapis.jp",
    }
)
_HOST = re.compile(
    r"(?:https?:\\?/\\?/(?:[^/@\s\"]*@)?|[\w.+-]@)([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})"
)


def real_hosts(text: str) -> Iterator[Finding]:
    """Hosts in URLs and addresses that could belong to somebody."""
    for number, line in enumerate(text.splitlines(), 1):
        for found in _HOST.finditer(line):
            host = found.group(1).lower()
            if not _RESERVED.search(host) and host not in _NAMED_BY_PROGRAMS:
                yield Finding(number, host)


def has_unreleased_section(changelog: str) -> bool:
    """True when the next release's notes have a place (Keep a Changelog)."""
    return re.search(r"^## \[?Unreleased\]?$", changelog, re.MULTILINE) is not None
