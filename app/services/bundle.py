"""The use-cases the API, the pages and the commands are given."""

from __future__ import annotations

from dataclasses import dataclass

from app.services.backfill import Backfills
from app.services.browse import Browse
from app.services.checking import CheckTarget
from app.services.configuration import ConfigurationCache
from app.services.idempotency import Idempotency
from app.services.ingest import Ingest
from app.services.jobs import Jobs
from app.services.manage_api_keys import ManageApiKeys
from app.services.manage_sources import ManageSources
from app.services.manage_targets import ManageTargets
from app.services.platform_api import PlatformApi
from app.services.preview import PreviewTarget
from app.services.quarantine import Quarantine
from app.services.reconcile import Reconciliations
from app.services.replay import Replays
from app.services.set_up_network import SetUpNetwork
from app.services.steer_deliveries import SteerDeliveries


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One of each, sharing one database."""

    ingest: Ingest
    configuration: ConfigurationCache
    sources: ManageSources
    targets: ManageTargets
    api_keys: ManageApiKeys
    idempotency: Idempotency
    browse: Browse
    deliveries: SteerDeliveries
    quarantine: Quarantine
    replays: Replays
    reconciliations: Reconciliations
    backfills: Backfills
    jobs: Jobs
    previews: PreviewTarget
    checks: CheckTarget
    platform: PlatformApi
    setups: SetUpNetwork
