"""What a worker holds of each target: requests that are under way, and bytes in its memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from app.store.claim import ClaimedDelivery

_MEBIBYTE = 1_048_576
#: What a worker holds in memory at most, of bodies and what webhook targets are sent of them; one
#: delivery more can be taken as long as it is not reached. Being sent, they take two or three times
#: as much.
MOST_BYTES = 32 * _MEBIBYTE
#: What one claim takes at most.
CLAIM_BYTES = 16 * _MEBIBYTE
#: Bodies up to this are not counted: as many as there are slots are no matter.
_SMALL = 8192


class Holdings:
    """Counted by the dispatcher, read by its claims."""

    def __init__(self) -> None:
        self.bytes = 0
        self._requests: defaultdict[str, int] = defaultdict(int)
        self._bytes: defaultdict[str, int] = defaultdict(int)

    @property
    def free_bytes(self) -> int:
        """What may still be taken; less than nothing where the last body was large."""
        return MOST_BYTES - self.bytes

    @property
    def requests(self) -> Mapping[str, int]:
        """The requests that are under way, by target."""
        return self._requests

    def begin(self, target_id: str) -> None:
        """A request is to be made: of one delivery, or of a batch."""
        self._requests[target_id] += 1

    def end(self, target_id: str) -> None:
        """It was answered, or will not be."""
        self._requests[target_id] -= 1

    def keep(self, claimed: Iterable[ClaimedDelivery]) -> None:
        """These are in memory now."""
        for one in claimed:
            if len(one.body) > _SMALL:
                self._change(one.target_id, one.size)

    def drop(self, claimed: Iterable[ClaimedDelivery]) -> None:
        """These are no longer."""
        for one in claimed:
            if len(one.body) > _SMALL:
                self._change(one.target_id, -one.size)

    def _change(self, target_id: str, size: int) -> None:
        self.bytes += size
        self._bytes[target_id] += size

    def too_large(self, target_id: str) -> bool:
        """Whether the target holds more bytes than are left to all: then others come first."""
        return self._bytes.get(target_id, 0) > self.free_bytes
