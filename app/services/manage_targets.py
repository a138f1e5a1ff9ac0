"""The operator's work on targets: register a destination, change it, stop it, start it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from app.connectors.base import Connector
from app.connectors.registry import connector_class
from app.domain import signing
from app.domain.clock import Clock, to_micros
from app.domain.errors import Conflict, FieldError, NotFound
from app.domain.ids import is_id, new_id
from app.domain.target_urls import UrlPolicy
from app.services import credentials, field_errors, target_secrets
from app.services.listing import Listing, listing
from app.services.news import SOURCE as RELAY_SOURCE
from app.services.target_definition import Rules, TargetDraft
from app.services.target_views import Link, Target, TargetWithSecret, link_view, target_view
from app.store import routing, sources, target_links, targets, wakeups
from app.store.database import Database, ReadConnection, WriteConnection
from app.store.sealing import SealBroken, Sealer
from app.store.target_links import LinkRecord
from app.store.targets import TargetRecord

_LONGEST_SUBJECT = 255


class ManageTargets:
    """What an operator does to targets.

    `rotation_overlap` is how many seconds an old signing secret is still used after a rotation.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        clock: Clock,
        *,
        urls: UrlPolicy,
        rotation_overlap: int,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._urls = urls
        self._overlap = rotation_overlap * 1_000_000

    async def create(self, draft: TargetDraft) -> TargetWithSecret:
        """Register a destination. Raises ValidationFailed, and Conflict when the name is taken."""
        connector = connector_class(draft.connector)
        target_id, now = new_id("tgt"), to_micros(self._clock())
        columns = Rules(connector, self._urls, self._clock()).columns(_fields(draft))
        secret = signing.new_secret() if _signs(connector) else None
        record = TargetRecord(
            id=target_id,
            connector=draft.connector,
            **self._sealed(target_id, columns),
            signing_secret_sealed=self._seal(secret, target_id, "signing_secret"),
            created_at=now,
            updated_at=now,
        )

        def work(connection: WriteConnection) -> None:
            routing.bump(connection)
            _check_references(connection, record, record.sources)
            targets.insert(connection, record)

        await self._database.write(work)
        return TargetWithSecret(target=self._view(record), signing_secret=secret)

    async def get(self, target_id: str) -> Target:
        """One target. Raises NotFound."""
        return self._view(await self._database.read(lambda c: _found(c, target_id)))

    async def page(self, *, limit: int, before: str | None = None) -> Listing[Target]:
        """Targets, newest first, those older than the id `before`."""
        rows = await self._database.read(lambda c: targets.page(c, limit=limit + 1, before=before))
        return listing(rows, limit, lambda row: row.id, self._view)

    async def update(self, target_id: str, changes: Mapping[str, Any]) -> Target:
        """Change the fields that `changes` names (names and types of TargetDraft).

        `settings` are merged key by key: null removes one, a mask keeps the stored secret, unless
        the destination moves to another host: then secrets must be given again.
        Raises NotFound, ValidationFailed and Conflict.
        """

        def change(connection: WriteConnection, record: TargetRecord) -> TargetRecord:
            rules = Rules(connector_class(record.connector), self._urls, self._clock())
            wanted = dict(changes)
            if "settings" in wanted:
                wanted["settings"] = self._merged(record, wanted["settings"])
            columns = rules.columns(wanted)
            if "settings" in wanted:
                kept = target_secrets.kept(columns["secrets"], changes["settings"])
                rules.check_destination(record.settings, columns["settings"], kept)
            changed = replace(record, **self._sealed(record.id, columns))
            _check_references(connection, changed, columns.get("sources"))
            return changed

        return await self._change(target_id, change)

    async def pause(self, target_id: str) -> Target:
        """Hold the target's deliveries until it is resumed. Raises NotFound."""

        def change(_connection: WriteConnection, record: TargetRecord) -> TargetRecord:
            if record.status == "paused":
                return record
            reason = "Paused by an operator."
            if record.status == "disabled" and record.status_reason:
                reason = f"{reason} Disabled before that: {record.status_reason}"
            return replace(record, status="paused", status_reason=reason)

        return await self._change(target_id, change)

    async def resume(self, target_id: str) -> Target:
        """Deliver again: what was held is due at once, what slowed the target down is forgotten.

        Nothing happens to a target that is active. Raises NotFound.
        """

        def change(connection: WriteConnection, record: TargetRecord) -> TargetRecord:
            if record.status == "active":
                return record
            targets.release_held(connection, record.id, to_micros(self._clock()))
            wakeups.notify(connection)
            return replace(record, status="active", status_reason=None)

        return await self._change(target_id, change)

    async def rotate_secret(self, target_id: str) -> TargetWithSecret:
        """Make a new signing secret; both sign while the overlap lasts.

        Raises NotFound, and Conflict when the connector does not sign.
        """
        secret = signing.new_secret()

        def change(_connection: WriteConnection, record: TargetRecord) -> TargetRecord:
            if record.signing_secret_sealed is None:
                raise Conflict(
                    f"Targets of the connector {record.connector!r} have no signing secret; change"
                    " their credential in settings."
                )
            return replace(
                self._with_previous_secret(record, record.signing_secret_sealed),
                signing_secret_sealed=self._seal(secret, record.id, "signing_secret"),
            )

        return TargetWithSecret(target=await self._change(target_id, change), signing_secret=secret)

    async def delete(self, target_id: str) -> None:
        """Remove a target; what is queued for it is cancelled. Raises NotFound."""

        def work(connection: WriteConnection) -> None:
            routing.bump(connection)
            record = _found(connection, target_id)
            reason = f"The target {record.name!r} was deleted."
            targets.delete(connection, record.id, reason=reason, now=to_micros(self._clock()))

        await self._database.write(work)

    async def links(
        self,
        target_id: str,
        *,
        limit: int,
        after: str | None = None,
        subject: str | None = None,
    ) -> Listing[Link]:
        """The destination's ids, in the order of their subjects. Raises NotFound."""
        # No subject is that long or has a NUL, and PostgreSQL refuses to look for one.
        unknown = subject is not None and (len(subject) > _LONGEST_SUBJECT or "\0" in subject)

        def work(connection: ReadConnection) -> list[LinkRecord]:
            record = _found(connection, target_id)
            if unknown:
                return []
            return target_links.page(
                connection, record.id, limit=limit + 1, after=after, subject=subject
            )

        rows = await self._database.read(work)
        return listing(rows, limit, lambda row: row.subject, link_view)

    async def forget_link(self, target_id: str, subject: str) -> None:
        """Forget one subject's id: the next event looks for the contact anew. Raises NotFound."""

        def work(connection: WriteConnection) -> None:
            record = _found(connection, target_id)
            if "\0" in subject or not target_links.delete(connection, record.id, subject):
                raise NotFound("No id is remembered for this subject at this target.")

        await self._database.write(work)

    async def _change(
        self, target_id: str, change: Callable[[WriteConnection, TargetRecord], TargetRecord]
    ) -> Target:
        def work(connection: WriteConnection) -> TargetRecord:
            routing.lock(connection)
            record = _found(connection, target_id)
            changed = change(connection, record)
            if changed is record:
                return record
            changed = replace(changed, updated_at=to_micros(self._clock()))
            routing.bump(connection)
            targets.update(connection, changed)
            return changed

        return self._view(await self._database.write(work))

    def _merged(self, record: TargetRecord, given: Mapping[str, Any]) -> dict[str, Any]:
        try:
            secrets = target_secrets.opened(self._sealer, record)
        except SealBroken:
            # Whoever lost the key must be able to set the secrets anew.
            secrets = {}
        merged = {**record.settings, **secrets}
        for name, value in given.items():
            if value is None:
                merged.pop(name, None)
            else:
                merged[name] = target_secrets.unmasked(value, secrets.get(name))
        return merged

    def _sealed(self, target_id: str, columns: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(columns)
        if "secrets" in found:
            secrets = found.pop("secrets")
            found["settings_sealed"] = target_secrets.seal(self._sealer, target_id, secrets)
        return found

    def _seal(self, secret: str | None, target_id: str, column: str) -> str | None:
        return (
            None if secret is None else self._sealer.seal(secret, f"targets/{target_id}/{column}")
        )

    def _with_previous_secret(self, record: TargetRecord, sealed: str) -> TargetRecord:
        if not self._overlap:
            return replace(record, previous_signing_secret_sealed=None, previous_expires_at=None)
        place = f"targets/{record.id}/"
        return replace(
            record,
            previous_signing_secret_sealed=credentials.resealed(
                self._sealer, sealed, place + "signing_secret", place + "previous_signing_secret"
            ),
            previous_expires_at=to_micros(self._clock()) + self._overlap,
        )

    def _view(self, record: TargetRecord) -> Target:
        return target_view(
            record,
            target_secrets.masked(self._sealer, record),
            trouble=target_secrets.trouble(self._sealer, record),
        )


def _fields(draft: TargetDraft) -> dict[str, Any]:
    return {
        field.name: getattr(draft, field.name)
        for field in fields(draft)
        if field.name != "connector"
    }


def _signs(connector: type[Connector[Any]]) -> bool:
    return connector.kind == "webhook"


def _found(connection: ReadConnection | WriteConnection, target_id: str) -> TargetRecord:
    record = targets.get(connection, target_id) if is_id(target_id, "tgt") else None
    if record is None:
        raise NotFound("There is no target with this id.")
    return record


def _check_references(
    connection: WriteConnection, record: TargetRecord, names: Sequence[str] | None
) -> None:
    """Raises Conflict when the name is another's, ValidationFailed when a source is unknown."""
    namesake = targets.get_by_name(connection, record.name)
    if namesake is not None and namesake.id != record.id:
        raise Conflict(f"There is a target named {record.name!r} already; a name is used once.")
    unknown = sources.unknown_names(connection, names or ()) - {RELAY_SOURCE}
    if unknown:
        errors = [
            FieldError(
                field_errors.pointer(("sources", position)), "There is no source with this name."
            )
            for position, name in enumerate(names or ())
            if name in unknown
        ]
        raise field_errors.refuse(errors)
