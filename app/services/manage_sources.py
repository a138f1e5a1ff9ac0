"""The operator's work on sources: register a sender, change it, give it new credentials."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from app.domain import signing
from app.domain.catalogue import CATALOGUE
from app.domain.clock import Clock, from_micros, to_micros
from app.domain.errors import Conflict, NotFound
from app.domain.ids import is_id, new_id
from app.domain.target_urls import UrlPolicy
from app.services import api_access as access_rules
from app.services import credentials, field_errors, network_counts
from app.services.api_access import ApiKeys
from app.services.listing import Listing, listing
from app.services.source_definition import (
    SourceDraft,
    check_draft,
    checked_settings,
    needs_secret,
    signing_secret_error,
)
from app.sources.base import SecretForm, SourceAdapter
from app.sources.registry import ADAPTERS
from app.store import installation, routing, sources
from app.store.database import Database, ReadConnection, WriteConnection
from app.store.sealing import SealBroken, Sealer
from app.store.sources import SourceRecord

#: The kind whose built-in sender knows nothing but a URL, and whose bridge signs.
_PATH_KIND = "ultimate_multisite"
# The column of the sender's own table is varchar(191); the contract keeps every URL below it.
_LONGEST_URL = 190
_LONGEST_TYPE = max(CATALOGUE, key=len)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source as the operator sees it: without its credentials."""

    id: str
    name: str
    kind: str
    strict: bool
    settings: Mapping[str, Any]
    ingest_url: str
    created_at: datetime
    updated_at: datetime
    api_access: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceWithCredentials:
    """A source and the credentials that were just made for it: never to be had again."""

    source: Source
    token: str | None
    signing_secret: str | None


class ManageSources:
    """What an operator does to sources.

    `public_url` is the base of the URLs that senders use, without a trailing slash;
    `rotation_overlap` is how many seconds an old credential stays valid after a rotation;
    `urls` decides which addresses a sender's own API may have.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        clock: Clock,
        *,
        public_url: str,
        rotation_overlap: int,
        urls: UrlPolicy | None = None,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._public_url = public_url
        self._urls = urls
        self._overlap = rotation_overlap * 1_000_000

    async def create(self, draft: SourceDraft) -> SourceWithCredentials:
        """Register a sender. Raises ValidationFailed, and Conflict when the name is taken."""
        checked = check_draft(draft, self._urls)
        token = _new_token(checked.adapter)
        self._check_url_length(draft, token)
        now = to_micros(self._clock())
        record = SourceRecord(
            id=new_id("src"),
            name=draft.name,
            kind=draft.kind,
            strict=draft.strict,
            settings=checked.settings,
            created_at=now,
            updated_at=now,
        )
        secret = draft.signing_secret or _new_secret(checked.adapter)
        record = self._with_credentials(record, token, secret)
        if draft.api_access:
            record = self._with_api_access(record, draft.api_access)

        def work(connection: WriteConnection) -> None:
            routing.bump(connection)
            if sources.get_by_name(connection, record.name) is not None:
                raise Conflict(
                    f"There is a source named {record.name!r} already; a name is used once."
                )
            sources.insert(connection, record)

        await self._database.write(work)
        shown = None if draft.signing_secret else secret
        return SourceWithCredentials(source=self._view(record), token=token, signing_secret=shown)

    async def get(self, source_id: str) -> Source:
        """One source. Raises NotFound."""
        return self._view(await self._database.read(lambda c: _found(c, source_id)))

    async def page(self, *, limit: int, before: str | None = None) -> Listing[Source]:
        """Sources, newest first, those older than the id `before`."""
        rows = await self._database.read(lambda c: sources.page(c, limit=limit + 1, before=before))
        return listing(rows, limit, lambda row: row.id, self._view)

    async def update(
        self,
        source_id: str,
        *,
        strict: bool | None = None,
        settings: Mapping[str, Any] | None = None,
        signing_secret: str | None = None,
        api_access: ApiKeys | None = None,
        forget_api_access: bool = False,
    ) -> Source:
        """Change what is not None; a setting given as null goes back to its default.

        The secret is one that the sender, or its vendor, chose; the one before stays valid while
        the overlap of a rotation lasts.
        `api_access` replaces the keys to the sender's own API, `forget_api_access` removes them.
        Raises NotFound and ValidationFailed.
        """

        def work(connection: WriteConnection) -> SourceRecord:
            routing.bump(connection)
            record = _found(connection, source_id)
            kind = ADAPTERS[record.kind]
            checked = checked_settings(kind, {**record.settings, **(settings or {})})
            keeps = bool(record.api_access_sealed) and not (api_access or forget_api_access)
            checked = access_rules.checked_change(
                record, checked, api_access, keeps=keeps, policy=self._urls
            )
            adapter = kind.configured(checked)
            secret = signing_secret or self._secret(record)
            if secret is not None and (error := signing_secret_error(adapter, secret)):
                raise field_errors.refuse([error])
            if signing_secret is not None:
                record = self._with_secret(record, signing_secret)
            if api_access or forget_api_access:
                record = self._with_api_access(record, api_access)
            changed = replace(
                record,
                strict=record.strict if strict is None else strict,
                settings=checked,
                updated_at=to_micros(self._clock()),
            )
            sources.update(connection, changed)
            return changed

        return self._view(await self._database.write(work))

    async def rotate(
        self,
        source_id: str,
        *,
        signing_secret: str | None = None,
        only: Literal["token", "signing_secret"] | None = None,
    ) -> SourceWithCredentials:
        """Make new credentials; the old ones stay valid while the overlap lasts.

        `signing_secret` is the sender's own new one, where the sender chooses it; `only` leaves
        the other credential as it is, for senders that use it.
        Raises NotFound and ValidationFailed.
        """

        def work(
            connection: WriteConnection,
        ) -> tuple[SourceRecord, str | None, str | None]:
            routing.bump(connection)
            record = _found(connection, source_id)
            adapter = ADAPTERS[record.kind].configured(record.settings)
            error = signing_secret_error(adapter, signing_secret)
            if error := error or (None if signing_secret else needs_secret(adapter)):
                raise field_errors.refuse([error])
            token = _new_token(adapter) if only != "signing_secret" else None
            secret = signing_secret or _new_secret(adapter) if only != "token" else None
            changed = self._with_credentials(self._with_previous(record), token, secret)
            changed = self._with_the_other(changed, record, only)
            sources.update(connection, changed)
            return changed, token, secret

        changed, token, secret = await self._database.write(work)
        shown = None if signing_secret else secret
        return SourceWithCredentials(source=self._view(changed), token=token, signing_secret=shown)

    async def delete(self, source_id: str) -> None:
        """Remove a source: its senders are refused from now on, its events stay.

        Raises NotFound.
        """

        def work(connection: WriteConnection) -> None:
            routing.bump(connection)
            sources.delete(connection, _found(connection, source_id).id)
            for fact in network_counts.facts_of(source_id):
                installation.delete(connection, fact)

        await self._database.write(work)

    def _with_credentials(
        self, record: SourceRecord, token: str | None, secret: str | None
    ) -> SourceRecord:
        place = f"sources/{record.id}/signing_secret"
        return replace(
            record,
            token_digest=credentials.digest(token) if token else None,
            signing_secret_sealed=self._sealer.seal(secret, place) if secret else None,
        )

    def _with_api_access(self, record: SourceRecord, keys: ApiKeys | None) -> SourceRecord:
        sealed = access_rules.seal(self._sealer, record.id, keys) if keys else None
        return replace(record, api_access_sealed=sealed)

    def _with_secret(self, record: SourceRecord, secret: str) -> SourceRecord:
        """The record with another signing secret, and the token it has."""
        retired = self._with_previous(record) if record.signing_secret_sealed else record
        place = f"sources/{record.id}/signing_secret"
        return replace(retired, signing_secret_sealed=self._sealer.seal(secret, place))

    def _secret(self, record: SourceRecord) -> str | None:
        """The signing secret the source has, None when there is none that can be opened."""
        if record.signing_secret_sealed is None:
            return None
        place = f"sources/{record.id}/signing_secret"
        with contextlib.suppress(SealBroken):
            return self._sealer.open(record.signing_secret_sealed, place)
        return None

    def _with_the_other(
        self, changed: SourceRecord, record: SourceRecord, only: str | None
    ) -> SourceRecord:
        """The changed record with what `only` leaves as it is in the record before."""
        overlaps = (record.previous_expires_at or 0) > to_micros(self._clock())
        if only == "token":
            return replace(
                changed,
                signing_secret_sealed=record.signing_secret_sealed,
                # Not the one of a rotation that is over: it would be valid again.
                previous_signing_secret_sealed=(
                    record.previous_signing_secret_sealed if overlaps else None
                ),
            )
        if only == "signing_secret":
            return replace(
                changed,
                token_digest=record.token_digest,
                previous_token_digest=record.previous_token_digest if overlaps else None,
            )
        return changed

    def _with_previous(self, record: SourceRecord) -> SourceRecord:
        """The record with its credentials in the place of the previous ones."""
        now = to_micros(self._clock())
        if not self._overlap:
            return replace(
                record,
                previous_token_digest=None,
                previous_signing_secret_sealed=None,
                previous_expires_at=None,
                updated_at=now,
            )
        place = f"sources/{record.id}/"
        sealed = record.signing_secret_sealed
        if sealed is not None:
            sealed = credentials.resealed(
                self._sealer, sealed, place + "signing_secret", place + "previous_signing_secret"
            )
        return replace(
            record,
            previous_token_digest=record.token_digest,
            previous_signing_secret_sealed=sealed,
            previous_expires_at=now + self._overlap,
            updated_at=now,
        )

    def _check_url_length(self, draft: SourceDraft, token: str | None) -> None:
        if draft.kind != _PATH_KIND:
            return
        url = f"{self._ingest_url(draft.name)}/{_LONGEST_TYPE}?token={token}"
        if len(url) > _LONGEST_URL:
            raise field_errors.refuse_one(
                "#/name",
                f"The longest URL of this source would have {len(url)} characters, and the"
                f" sender keeps {_LONGEST_URL} at most; take {len(url) - _LONGEST_URL} from the"
                " name or from RELAY_PUBLIC_URL.",
            )

    def _ingest_url(self, name: str) -> str:
        return f"{self._public_url}/webhooks/{name}"

    def _view(self, record: SourceRecord) -> Source:
        return Source(
            id=record.id,
            name=record.name,
            kind=record.kind,
            strict=record.strict,
            settings=record.settings,
            api_access=record.api_access_sealed is not None,
            ingest_url=self._ingest_url(record.name),
            created_at=from_micros(record.created_at),
            updated_at=from_micros(record.updated_at),
        )


def _new_token(adapter: SourceAdapter) -> str | None:
    """A token for senders that cannot sign, among them the platform's built-in webhooks."""
    return credentials.new_source_token() if adapter.issues_token else None


def _new_secret(adapter: SourceAdapter) -> str | None:
    """A signing secret, None for a kind that has none; a vendor's is one to try the source with."""
    if adapter.secret_form is SecretForm.TEXT:
        return credentials.new_text_secret()
    return None if adapter.secret_form is None else signing.new_secret()


def _found(connection: ReadConnection | WriteConnection, source_id: str) -> SourceRecord:
    record = sources.get(connection, source_id) if is_id(source_id, "src") else None
    if record is None:
        raise NotFound("There is no source with this id.")
    return record
