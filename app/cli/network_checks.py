"""What networks say they sent, compared with what came in."""

from __future__ import annotations

from collections.abc import Sequence

from app import __version__
from app.cli.finding import Finding, State
from app.domain.addresses import AddressPolicy
from app.domain.clock import system_clock
from app.domain.errors import PlatformUnavailable, RelayError
from app.egress.client import Egress
from app.services.network_counts import Comparison, NetworkCounts
from app.services.platform_api import PlatformApi
from app.settings import Settings
from app.sources import ultimate_multisite_rest as rest
from app.store import sources
from app.store.database import Database
from app.store.sealing import Sealer
from app.store.sources import SourceRecord

#: Seconds for each request to a network.
_PATIENCE = 10.0


async def all_of(
    settings: Settings, database: Database, sealer: Sealer, policy: AddressPolicy
) -> list[Finding]:
    """A finding for each source that has access to its network's API; none where no source has."""
    rows = [row for row in await database.read(sources.list_all) if row.api_access_sealed]
    if not rows:
        return []
    egress = Egress(policy, user_agent=f"Lifecycle-Relay/{__version__}")
    try:
        platform = PlatformApi(database, sealer, egress, per_second=settings.platform_rate)
        counts = NetworkCounts(
            database, platform, system_clock, retention_days=settings.retention_days
        )
        return [await _finding(platform, counts, row) for row in rows]
    finally:
        await egress.aclose()


async def _finding(platform: PlatformApi, counts: NetworkCounts, row: SourceRecord) -> Finding:
    name = f"network {row.name}"
    try:
        network = await platform.call(row.id, rest.ask_auth, seconds=_PATIENCE)
        compared = await counts.compare(row.id)
    except PlatformUnavailable as error:
        return Finding(name, State.WARNING, error.detail, "Does the site run? Try again later.")
    except RelayError as error:
        return Finding(name, State.FAILED, error.detail, f"relay sources update {row.name} --help")
    if compared is None:
        return Finding(name, State.OK, f"the API of {network or row.name} answers")
    return _judged(name, row.name, compared)


def _judged(name: str, source: str, compared: Comparison) -> Finding:
    says = [*_losses(compared), *_others(compared)]
    if not says:
        sent = sum(one.sent for one in compared.counted)
        return Finding(name, State.OK, f"all {sent} events that it sent by webhooks came in")
    advice = f"relay setup ultimate-multisite --source {source}"
    if any(one.missing > 0 for one in compared.counted):
        advice = (
            f"relay reconcile {source} fetches what was lost; then count anew with: {advice}"
            " --recount"
        )
    return Finding(name, State.WARNING, "; ".join(says), advice)


def _losses(compared: Comparison) -> Sequence[str]:
    lost = [
        f"{one.event}: {one.sent} sent, {one.arrived} arrived since {one.since:%Y-%m-%d %H:%M} UTC"
        for one in compared.counted
        if one.missing > 0
    ]
    if lost:
        lost.append("what is missing was lost on the way, or was the same content again")
    return lost


def _others(compared: Comparison) -> Sequence[str]:
    says = []
    if compared.gone:
        says.append(f"its webhooks for {', '.join(compared.gone)} are gone")
    if compared.unknowable:
        says.append(f"{', '.join(compared.unknowable)}: not compared for too long, counted anew")
    return says
