"""Fields of a mapping, for CRMs whose fields go by API names."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence


def wrong_api_names(
    fields: Sequence[str],
    *,
    title: str,
    name: re.Pattern[str],
    form: str,
    consent: Container[str],
    own: Container[str],
) -> dict[str, str]:
    """The fields that cannot be mapped: field to sentence.

    `form` ends the sentence about what is no `name`; `consent` are the fields in which people say
    what they want, `own` those that the destination sets itself.
    """
    found = {}
    for field in fields:
        if field in consent:
            found[field] = "Consent is given by people, not by a mapping."
        elif field in own:
            found[field] = f"{title} sets this field itself; it cannot be written."
        elif name.fullmatch(field) is None:
            found[field] = f"A {title} field's API name is {form}"
    return found
