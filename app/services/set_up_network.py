"""Setting a network up: look at both ends, and carry a plan out.

What is to be done is decided in network_plan.py; here it is found out, and done.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from app.domain.clock import Clock, from_micros, to_micros
from app.domain.errors import Conflict, PlatformRefused, PlatformUnavailable, ValidationFailed
from app.domain.signing import ID_HEADER
from app.domain.target_urls import UrlPolicy
from app.services import api_access, credentials, network_webhooks
from app.services.api_access import ApiKeys
from app.services.manage_sources import ManageSources
from app.services.network_counts import NetworkCounts, constants_fact
from app.services.network_plan import Bridge, Plan, Situation, Step, StepKind, Way
from app.services.network_webhooks import Webhook
from app.services.platform_api import PlatformApi
from app.services.source_definition import SourceDraft, check_draft
from app.sources import ultimate_multisite_rest as rest
from app.sources.ultimate_multisite_rest import ApiAccess
from app.store import arrivals, installation, sources
from app.store.database import Database
from app.store.intake import ORIGIN_HEADER
from app.store.sources import SourceRecord

KIND = "ultimate_multisite"
BRIDGE_STATUS = "lifecycle-relay/v1/status"
_PLUGIN = "lifecycle-relay"
#: For settling an address alone.
_NO_KEYS = ApiKeys(api_key="-", api_secret="-")  # noqa: S106  no secret
#: Among so many of the newest events one of the bridge is looked for.
_NEWEST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the operator said: which source, which network, and keys unless they are stored.

    `in_body` is None where it is to be found out; `token` is the source's, where it is known.
    """

    source: str
    address: str | None = None
    keys: ApiKeys | None = None
    in_body: bool | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found, and the way in that was found with it."""

    situation: Situation
    access: ApiAccess
    keys: ApiKeys | None


@dataclass(slots=True, kw_only=True)
class Made:
    """Credentials that were made on the way, to be shown once."""

    source_id: str = ""
    token: str | None = field(default=None, repr=False)
    signing_secret: str | None = field(default=None, repr=False)


class SetUpNetwork:
    """Looks, and carries out.

    `public_url` is the base of the URLs that senders use; `overlap` is how many seconds an old
    credential stays valid.
    """

    def __init__(
        self,
        database: Database,
        manage: ManageSources,
        platform: PlatformApi,
        counts: NetworkCounts,
        clock: Clock,
        *,
        urls: UrlPolicy,
        public_url: str,
        overlap: int,
    ) -> None:
        self._database = database
        self._manage = manage
        self._platform = platform
        self._clock = clock
        self.counts = counts
        self._urls = urls
        self._public_url = public_url
        self._overlap = overlap

    async def find(self, name: str | None, address: str | None) -> SourceRecord | None:
        """The source that is meant: by its name or id, else the one that has this address.

        Raises Conflict when the named source is of another kind, and ValidationFailed when the
        address is none.
        """
        rows = await self._database.read(sources.list_all)
        for row in rows:
            if name is not None and name in (row.name, row.id):
                if row.kind != KIND:
                    raise Conflict(f"The source {row.name!r} is of the kind {row.kind}.")
                return row
        if name is not None or address is None:
            return None
        wanted = self.settled(address)
        for row in rows:
            if row.kind == KIND and row.settings.get(api_access.ADDRESS) == wanted:
                return row
        return None

    def settled(self, address: str) -> str:
        """An address in the form that is stored. Raises ValidationFailed."""
        return self._settled(Wish(source="network"), address, _NO_KEYS).base_url

    async def look(self, wish: Wish) -> Look:
        """Ask both ends; nothing is changed.

        Raises PlatformRefused, PlatformUnavailable, ValidationFailed, and Conflict when the keys
        are neither given nor stored.
        """
        record = await self.find(wish.source, wish.address)
        access, keys, stored = await self._access(wish, record)
        search = wish.in_body is None and access != stored
        access, network = await self._let_in(access, search=search)
        hooks = await self._platform.ask(access, rest.list_hooks)
        webhooks = network_webhooks.read_all(await self._platform.ask(access, rest.list_webhooks))
        name = record.name if record else wish.source
        ingest_url = f"{self._public_url}/webhooks/{name}"
        ours, _ = network_webhooks.made_for(webhooks, record.id if record else None, ingest_url)
        situation = Situation(
            network=network,
            address=access.base_url,
            source=name,
            source_id=record.id if record else None,
            ingest_url=ingest_url,
            access_stored=access == stored,
            token=_known_token(record, wish.token, ours),
            hooks=frozenset(hooks),
            webhooks=webhooks,
            bridge=await self._bridge(access, record),
            counted=await self.counts.known(record.id) if record else frozenset(),
            overlap=self._overlap,
        )
        return Look(situation=situation, access=access, keys=keys)

    async def carry_out(
        self, look: Look, plan: Plan, told: Callable[[Step], None] = lambda _step: None
    ) -> Made:
        """Do what the plan says, step by step; `told` hears of each that is done.

        A step that fails ends it; what was done stays, and the next run goes on from there.
        Raises as `look` does.
        """
        made = Made(source_id=look.situation.source_id or "", token=look.situation.token)
        for step in plan.steps:
            await self._do(step, look, made)
            told(step)
        if plan.way is Way.BRIDGE and made.signing_secret:
            await self._remember_handing_out(made.source_id)
        return made

    async def _remember_handing_out(self, source_id: str) -> None:
        now = str(to_micros(self._clock()))
        await self._database.write(lambda c: installation.put(c, constants_fact(source_id), now))

    async def _handed_out_at(self, source_id: str) -> datetime | None:
        text = await self._database.read(lambda c: installation.get(c, constants_fact(source_id)))
        return None if text is None else from_micros(int(text))

    async def _do(self, step: Step, look: Look, made: Made) -> None:
        situation, access = look.situation, look.access
        if step.kind is StepKind.CREATE_SOURCE:
            created = await self._manage.create(self._draft(look))
            made.source_id = created.source.id
            made.token, made.signing_secret = created.token, created.signing_secret
        elif step.kind is StepKind.STORE_ACCESS:
            draft = self._draft(look)
            await self._manage.update(
                made.source_id, settings=draft.settings, api_access=draft.api_access
            )
        elif step.kind is StepKind.NEW_TOKEN:
            made.token = (await self._manage.rotate(made.source_id, only="token")).token
        elif step.kind is StepKind.NEW_SECRET:
            rotated = await self._manage.rotate(made.source_id, only="signing_secret")
            made.signing_secret = rotated.signing_secret
        elif step.kind in {StepKind.COUNT, StepKind.RECOUNT}:
            rows = network_webhooks.read_all(await self._platform.ask(access, rest.list_webhooks))
            ours, _ = network_webhooks.made_for(rows, made.source_id, situation.ingest_url)
            await self.counts.begin(made.source_id, ours, anew=step.kind is StepKind.RECOUNT)
        else:
            await self._webhook(step, look, made)

    async def _webhook(self, step: Step, look: Look, made: Made) -> None:
        if step.kind is StepKind.DELETE_WEBHOOK:
            delete = partial(rest.delete_webhook, webhook_id=step.webhook_id)
            await self._platform.ask(look.access, delete)
            await self.counts.drop(made.source_id, step.webhook_id)
            return
        url = network_webhooks.url_of(look.situation.ingest_url, step.event, made.token or "")
        if step.kind is StepKind.CHANGE_WEBHOOK:
            change = partial(rest.change_webhook, webhook_id=step.webhook_id, url=url)
            if await self._platform.ask(look.access, change) is not None:
                return
        create = partial(
            rest.create_webhook,
            name=f"Lifecycle Relay: {step.event}",
            url=url,
            event=step.event,
            integration=network_webhooks.marker(made.source_id),
        )
        await self._platform.ask(look.access, create)

    async def _access(
        self, wish: Wish, record: SourceRecord | None
    ) -> tuple[ApiAccess, ApiKeys | None, ApiAccess | None]:
        """The way in, the keys that were given for it, and the way in that is stored."""
        stored: ApiAccess | None = None
        if record is not None and record.api_access_sealed is not None:
            # Whoever lost the master key must be able to give the keys anew.
            with contextlib.suppress(PlatformRefused):
                stored = await self._platform.access(record.id)
        address = wish.address or (stored.base_url if stored else None)
        if address is None:
            raise ValidationFailed("Give the address of the network's main site.")
        if wish.keys is None:
            if stored is None or stored.base_url != self.settled(address):
                raise ValidationFailed("Give the API key and secret of the network.")
            return stored, None, stored
        keys = wish.keys
        given = self._settled(wish, address, keys)
        if stored and keys.wp_user is None and given.base_url == stored.base_url:
            keys = replace(keys, wp_user=stored.wp_user, wp_application_password=stored.wp_password)
            given = self._settled(wish, address, keys)
        if stored and wish.in_body is None:
            given = replace(given, in_body=stored.in_body)
        return given, keys, stored

    def _settled(self, wish: Wish, address: str, keys: ApiKeys) -> ApiAccess:
        """The way in with its address in the form that is stored. Raises ValidationFailed."""
        settings = {
            api_access.ADDRESS: address,
            "api_credentials": "body" if wish.in_body else "header",
        }
        draft = SourceDraft(name=wish.source, kind=KIND, settings=settings, api_access=keys)
        return api_access.access(keys, check_draft(draft, self._urls).settings)

    async def _let_in(self, access: ApiAccess, *, search: bool) -> tuple[ApiAccess, str]:
        """The way in that works, and the network's name; `search` also tries the other place."""
        try:
            return access, await self._platform.ask(access, rest.ask_auth)
        except PlatformRefused:
            if not search:
                raise
            other = replace(access, in_body=not access.in_body)
            try:
                return other, await self._platform.ask(other, rest.ask_auth)
            except PlatformRefused:
                pass
            raise

    async def _bridge(self, access: ApiAccess, record: SourceRecord | None) -> Bridge:
        status = None
        # Whatever it is, it is not the plugin.
        with contextlib.suppress(PlatformRefused, PlatformUnavailable):
            status = await self._platform.ask(
                access, partial(rest.plugin_status, path=BRIDGE_STATUS)
            )
        known = Bridge(
            seen_at=await self._seen_at(record.id) if record else None,
            handed_out_at=await self._handed_out_at(record.id) if record else None,
        )
        if status is None or status.get("plugin") != _PLUGIN:
            return known
        return replace(
            known,
            installed=True,
            version=str(status.get("version") or ""),
            configured=status.get("configured") is True,
        )

    async def _seen_at(self, source_id: str) -> datetime | None:
        """When the newest event came that brought an id with it, as the bridge's do."""
        found = await self._database.read(
            lambda c: arrivals.newest_with_header(
                c, source_id, ID_HEADER, but_not=ORIGIN_HEADER, among=_NEWEST
            )
        )
        return None if found is None else from_micros(found)

    def _draft(self, look: Look) -> SourceDraft:
        settings = {
            api_access.ADDRESS: look.access.base_url,
            "api_credentials": "body" if look.access.in_body else "header",
        }
        return SourceDraft(
            name=look.situation.source, kind=KIND, settings=settings, api_access=look.keys
        )


def _known_token(
    record: SourceRecord | None, given: str | None, ours: Sequence[Webhook]
) -> str | None:
    """A token that the source takes today: only its digest is stored, but the network's URLs hold it.

    Raises ValidationFailed when the one that was given is not the source's.
    """
    if record is None or record.token_digest is None:
        return None
    own = record.token_digest
    if given and not _has_digest(given, own):
        raise ValidationFailed("The token that was given is not the source's own.")
    candidates = (given, *(webhook.token for webhook in ours))
    valid = (text for text in candidates if text and _has_digest(text, own))
    return next(valid, None)


def _has_digest(token: str, digest: str) -> bool:
    return hmac.compare_digest(credentials.digest(token), digest)
