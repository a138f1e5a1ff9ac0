"""Certificates of authorities as they are pasted."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from app.domain.authorities import UnusableAuthority, read_authorities, untimely

BEGIN, END = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
SIGNS_NOTHING = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
IS_AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)
IS_HOST = x509.BasicConstraints(ca=False, path_length=None)


def certificate(*extensions: x509.ExtensionType) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    made = builder.sign(KEY, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


AUTHORITY = certificate(IS_AUTHORITY, SIGNS)
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


@pytest.mark.parametrize(
    "text",
    [
        AUTHORITY,
        "subject=CN = An authority\r\n" + AUTHORITY.replace("\n", "\r\n"),
        f"\n\n{AUTHORITY}\n# mine\n",
    ],
    ids=["plain", "with-notes", "with-space"],
)
def test_what_stands_around_a_certificate_is_left_out(text):
    assert read_authorities(text) == AUTHORITY


def test_several_authorities_stay_in_their_order():
    other = certificate(IS_AUTHORITY)
    assert read_authorities(other + AUTHORITY) == other + AUTHORITY


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "PEM"),
        ("MIIB", "PEM"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "PEM"),
        ("überall", "PEM"),
        (AUTHORITY + PRIVATE, "private key"),
        (certificate(IS_HOST), "authority"),
        (certificate(), "authority"),
        (certificate(IS_AUTHORITY, SIGNS_NOTHING), "authority"),
        (AUTHORITY + certificate(IS_HOST), "authority"),
        (AUTHORITY * 9, "at most"),
    ],
    ids=["empty", "no-pem", "cut", "no-ascii", "key", "host", "bare", "usage", "mixed", "many"],
)
def test_what_is_no_authority_is_refused_with_the_reason(text, word):
    with pytest.raises(UnusableAuthority, match=word):
        read_authorities(text)


@given(st.text() | st.text().map(lambda text: AUTHORITY[:60] + text + AUTHORITY[90:]))
def test_any_text_is_read_or_refused(text):
    try:
        read = read_authorities(text)
    except UnusableAuthority:
        return
    assert read_authorities(read) == read


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (BEGIN - dt.timedelta(seconds=1), "is valid from 2026-01-01"),
        (BEGIN, None),
        (END - dt.timedelta(seconds=1), None),
        (END, "expired on 2027-01-01"),
    ],
)
def test_a_certificate_holds_between_its_two_dates(now, words):
    found = untimely(AUTHORITY, now)
    assert (found is None) if words is None else (found is not None and words in found)
