"""What an authorisation server hands out: a token that is good for a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

#: A token this close to its end may be refused before the request arrives.
_MARGIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Grant:
    """A token for one target, used by all workers until it ends or is refused.

    `expires_at` is None when the server did not say; `extra` is what came with the token and is
    needed to use it, such as the address of the API.
    Only the end shows in a repr.
    """

    token: str = field(repr=False)
    expires_at: datetime | None = None
    extra: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def lasts(self, now: datetime) -> bool:
        """True while the token can be sent."""
        return self.expires_at is None or now + _MARGIN < self.expires_at
