"""After a change of the master key: every secret, sealed by the new one.

Answers that are kept for repeated requests are left alone: they are gone in a day.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from app.services import credentials
from app.store import sources, targets
from app.store.database import WriteConnection
from app.store.sealing import Sealer
from app.store.sources import SourceRecord
from app.store.targets import TargetRecord

RecordT = TypeVar("RecordT", SourceRecord, TargetRecord)

#: Sealed column to the last part of its place.
_SIGNING_COLUMNS = {
    "signing_secret_sealed": "signing_secret",
    "previous_signing_secret_sealed": "previous_signing_secret",
}
_SOURCE_COLUMNS = {**_SIGNING_COLUMNS, "api_access_sealed": "api_access"}
_TARGET_COLUMNS = {**_SIGNING_COLUMNS, "settings_sealed": "settings"}


def seal_anew(connection: WriteConnection, sealer: Sealer) -> None:
    """Seal every secret of the sources and targets by the current key.

    What does not open stays as it is. The routing version does not move: nothing changes for
    those who have opened the secrets already.
    """
    for source in sources.list_all(connection):
        changed = _anew(source, f"sources/{source.id}", _SOURCE_COLUMNS, sealer)
        if changed != source:
            sources.update(connection, changed)
    for target in targets.list_all(connection):
        anew = _anew(target, f"targets/{target.id}", _TARGET_COLUMNS, sealer)
        if anew != target:
            targets.update(connection, anew)


def _anew(record: RecordT, place: str, columns: dict[str, str], sealer: Sealer) -> RecordT:
    changes: dict[str, Any] = {}
    for column, name in columns.items():
        sealed: str | None = getattr(record, column)
        if sealed is None or sealer.is_current(sealed):
            continue
        where = f"{place}/{name}"
        changes[column] = credentials.resealed(sealer, sealed, where, where) or sealed
    return replace(record, **changes)
