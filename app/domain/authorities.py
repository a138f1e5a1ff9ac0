"""Certificates of authorities, as an operator pastes them: read, checked, and put into one form.

A target behind a certificate that no public authority signed is trusted by the authority that did,
and by no other: there is no way to trust nobody's.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

#: The setting, of whatever connector, that holds the certificates its target trusts.
SETTING = "ca_certificate"
#: Characters; a certificate has about 2 000.
LONGEST = 16_384
_MOST = 8


class UnusableAuthority(ValueError):
    """What is wrong with the certificates; the text repeats nothing of them."""


def read_authorities(text: str) -> str:
    """The certificates of a PEM text, without what stands around them. Raises UnusableAuthority."""
    if "PRIVATE KEY-----" in text:
        raise UnusableAuthority("This holds a private key: give the certificate alone.")
    certificates = _certificates(text)
    if len(certificates) > _MOST:
        raise UnusableAuthority(f"Give {_MOST} certificates at most.")
    for certificate in certificates:
        if not _is_authority(certificate):
            raise UnusableAuthority(
                "This is no certificate of an authority: give the one that signed the host's."
            )
    return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in certificates)


def untimely(text: str, now: datetime) -> str | None:
    """Why certificates cannot be used at `now`, None when they can. Raises UnusableAuthority."""
    for certificate in _certificates(text):
        if certificate.not_valid_after_utc <= now:
            return f"The certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}."
        if certificate.not_valid_before_utc > now:
            return f"The certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} on."
    return None


def _certificates(text: str) -> Sequence[x509.Certificate]:
    # The library warns of certificates that only a later version will refuse.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            return x509.load_pem_x509_certificates(text.encode("ascii"))
        except ValueError:
            raise UnusableAuthority(
                "This is no certificate in PEM form: it begins with -----BEGIN CERTIFICATE-----."
            ) from None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        extensions = certificate.extensions
        basic = extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return basic.ca
    return basic.ca and usage.key_cert_sign
