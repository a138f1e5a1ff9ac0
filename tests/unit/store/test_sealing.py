"""Secrets at rest: what was sealed opens with its key, in its place, and nowhere else."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import ConfigurationError
from app.store.sealing import SealBroken, Sealer, decode_master_key

OLD, NEW = b"o" * 32, b"n" * 32
PLACE = "targets/tgt_a/settings"


@given(st.text(), st.text(st.characters(codec="utf-8")))
def test_what_was_sealed_opens_in_its_place(text, place):
    encodable = text.encode("utf-8", "ignore").decode()
    sealer = Sealer([OLD])
    assert sealer.open(sealer.seal(encodable, place), place) == encodable


def test_nothing_of_the_text_stands_in_the_seal():
    sealed = Sealer([OLD]).seal("canary-canary-canary", PLACE)
    assert "canary" not in sealed
    assert b"canary" not in base64.urlsafe_b64decode(sealed.split(".")[2])


def test_the_same_text_is_never_sealed_alike():
    sealer = Sealer([OLD])
    assert sealer.seal("secret", PLACE) != sealer.seal("secret", PLACE)


@pytest.mark.parametrize("place", ["targets/tgt_b/settings", "targets/tgt_a/signing_secret", ""])
def test_it_does_not_open_in_another_place(place):
    sealer = Sealer([OLD])
    with pytest.raises(SealBroken):
        sealer.open(sealer.seal("secret", PLACE), place)


def test_it_does_not_open_with_another_key():
    with pytest.raises(SealBroken):
        Sealer([NEW]).open(Sealer([OLD]).seal("secret", PLACE), PLACE)


def test_the_first_key_seals_and_all_of_them_open():
    both = Sealer([NEW, OLD])
    assert both.open(Sealer([OLD]).seal("old", PLACE), PLACE) == "old"
    assert Sealer([NEW]).open(both.seal("new", PLACE), PLACE) == "new"


def test_a_single_changed_bit_is_noticed():
    sealer = Sealer([OLD])
    version, key_id, encoded = sealer.seal("secret", PLACE).split(".")
    raw = bytearray(base64.urlsafe_b64decode(encoded))
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        text = base64.urlsafe_b64encode(changed).decode()
        with pytest.raises(SealBroken):
            sealer.open(f"{version}.{key_id}.{text}", PLACE)


@pytest.mark.parametrize(
    "sealed", ["", "v1", "v1..", "v1.00000000.AAAA", "v2.a.b", "a.b.c.d", "v1.é.é", "\0.\0.\0"]
)
def test_what_was_never_sealed_does_not_open(sealed):
    with pytest.raises(SealBroken):
        Sealer([OLD]).open(sealed, PLACE)


def test_a_seal_of_another_version_does_not_open():
    sealer = Sealer([OLD])
    sealed = sealer.seal("secret", PLACE)
    with pytest.raises(SealBroken):
        sealer.open("v2" + sealed.removeprefix("v1"), PLACE)


@given(st.text(max_size=80))
def test_whatever_text_is_opened_only_fails_as_a_broken_seal(text):
    for sealed in (text, f"v1.{Sealer([OLD])._current}.{text}"):
        with pytest.raises(SealBroken):
            Sealer([OLD]).open(sealed, PLACE)


def test_a_master_key_is_32_bytes_in_base64():
    assert decode_master_key(base64.b64encode(OLD).decode() + "\n") == OLD


@pytest.mark.parametrize("text", ["", "short", "c2hvcnQ=", "A" * 44, "A" * 88, "é" * 44, "\0"])
def test_anything_else_is_no_master_key_and_is_not_repeated(text):
    with pytest.raises(ConfigurationError, match="RELAY_OTHER must be base64") as caught:
        decode_master_key(text, "RELAY_OTHER")
    assert len(text) < 2 or text not in caught.value.detail
