"""`relay setup`: connect a platform in one command."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import typer

from app.cli import lookup, network_keys, output, session
from app.cli.network_keys import ApiCredentials, ApiKey, ApiSecret, WpPassword, WpUser
from app.cli.options import AsJson
from app.runtime import Runtime
from app.services import api_access
from app.services.bootstrap import FIRST_SOURCE
from app.services.network_plan import Plan, Situation, Step, StepKind, Way, plan, removal
from app.services.set_up_network import KIND, Look, Made, Wish
from app.store.sources import SourceRecord

commands = typer.Typer(no_args_is_help=True, help="Connect a platform in one command.")

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
#: Of 40 characters, some are left for a number.
_LONGEST_NAME = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """The options."""

    url: str | None
    source: str | None
    api_key: str | None
    api_secret: str | None
    api_credentials: str | None
    wp_user: str | None
    wp_password: str | None
    token: str | None
    way: Way
    yes: bool
    dry_run: bool
    remove: bool
    recount: bool
    new_secret: bool
    as_json: bool


@commands.callback()
def _group() -> None:
    """Keeps the platform's name in the command while there is only one."""


@commands.command("ultimate-multisite")
def ultimate_multisite(
    *,
    url: Annotated[
        str | None,
        typer.Option(help="The address of the network's main site; asked for if absent."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="The name of the relay's source; from the address if absent.")
    ] = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    api_credentials: ApiCredentials = None,
    wp_user: WpUser = None,
    wp_application_password: WpPassword = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="UM_SOURCE_TOKEN", help="The source's token, if you kept it; else a new one."
        ),
    ] = None,
    way: Annotated[
        Way,
        typer.Option("--with", help="How events come: what is there decides unless you do."),
    ] = Way.AUTO,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete the webhooks that this command made.")
    ] = False,
    recount: Annotated[
        bool, typer.Option("--recount", help="Forget what is missing, and count anew.")
    ] = False,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Make new constants for the bridge.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Connect a network: check its API, make or find its source, register its webhooks.

    Shows what it is going to do and asks first.
    Run it again at any time: it puts right what is not as it should be.
    """
    said = _Said(
        url=url,
        source=source,
        api_key=api_key,
        api_secret=api_secret,
        api_credentials=api_credentials,
        wp_user=wp_user,
        wp_password=wp_application_password,
        token=token,
        way=way,
        yes=yes,
        dry_run=dry_run,
        remove=remove,
        recount=recount,
        new_secret=new_secret,
        as_json=as_json,
    )
    if not session.operate(lambda runtime: _set_up(runtime, said)):
        raise typer.Exit(session.FAILED)


async def _set_up(runtime: Runtime, said: _Said) -> bool:
    """Whether it was done, or there was nothing to do."""
    setups = runtime.services.setups
    look = await setups.look(await _wish(runtime, said))
    found = look.situation
    wanted = _wanted(found, said)
    if not said.as_json:
        _show(look, wanted)
    if not wanted.steps or said.dry_run:
        if said.as_json:
            _show_json(look, wanted, None)
        return True
    if not said.yes and not typer.confirm("Do this?", err=True):
        output.say("Nothing was changed.")
        return False
    made = await setups.carry_out(look, wanted, _no_word if said.as_json else _teller(wanted))
    if said.as_json:
        _show_json(look, wanted, made)
    else:
        _show_made(look, wanted, made)
    return True


def _wanted(found: Situation, said: _Said) -> Plan:
    if said.remove:
        return removal(found)
    return plan(found, said.way, recount=said.recount, new_secret=said.new_secret)


async def _wish(runtime: Runtime, said: _Said) -> Wish:
    """What is wanted, with what is missing asked for."""
    setups = runtime.services.setups
    record = await setups.find(said.source, _with_scheme(said.url))
    address = _with_scheme(said.url)
    if address is None and (record is None or record.api_access_sealed is None):
        address = _with_scheme(typer.prompt("Address of the network's main site", err=True))
        record = record or await setups.find(said.source, address)
    keys = None
    if _wants_keys(said, record, address and setups.settled(address)):
        keys = network_keys.keys(said.api_key, said.api_secret, said.wp_user, said.wp_password)
    name = record.name if record else said.source or await _name(runtime, address or "")
    return Wish(
        source=name,
        address=address,
        keys=keys,
        in_body=None if said.api_credentials is None else said.api_credentials == "body",
        token=said.token,
    )


def _wants_keys(said: _Said, record: SourceRecord | None, address: str | None) -> bool:
    if said.api_key or said.api_secret or said.wp_user:
        return True
    if record is None or record.api_access_sealed is None:
        return True
    stored = record.settings.get(api_access.ADDRESS)
    return address is not None and address != stored


async def _name(runtime: Runtime, address: str) -> str:
    """A name for a new source: that of the first start's while it is free, else the host's."""
    named = {
        source.name: source for source in await lookup.everything(runtime.services.sources.page)
    }
    first = named.get(FIRST_SOURCE)
    if first is not None and first.kind == KIND and not first.api_access:
        return FIRST_SOURCE
    host = httpx.URL(address).host
    name = _NOT_IN_NAMES.sub("-", host.lower())[:_LONGEST_NAME].strip("-") or "network"
    names = (name, *(f"{name}-{number}" for number in range(2, len(named) + 3)))
    return next(free for free in names if free not in named)


def _with_scheme(address: str | None) -> str | None:
    """The address as it was typed, https:// before it where nothing stands."""
    return f"https://{address}" if address and "://" not in address else address


def _show(look: Look, wanted: Plan) -> None:
    found = look.situation
    output.say(f"{found.address} is the network {found.network or '(no name)'}.")
    for note in wanted.notes:
        output.say(note)
    if not wanted.steps:
        output.say("There is nothing to do.")
        return
    output.say("What there is to do:")
    for number, step in enumerate(wanted.steps, 1):
        output.say(f"  {number}. {step.sentence}")


def _teller(wanted: Plan) -> Callable[[Step], None]:
    """Says of each step that it is done."""
    numbers = itertools.count(1)
    return lambda _step: output.say(f"  {next(numbers)} of {len(wanted.steps)} done")


def _no_word(_step: Step) -> None:
    """JSON comes in one piece, at the end."""


def _show_made(look: Look, wanted: Plan, made: Made) -> None:
    if wanted.way is Way.BRIDGE and made.signing_secret:
        output.say("Put these two lines into wp-config.php now; the secret is not shown again:")
        for name, value in _constants(look, made).items():
            output.line(f"  define( '{name}', '{value}' );")
    else:
        token = made.token if _makes_token(wanted) else None
        output.secrets([("token", token), ("signing secret", made.signing_secret)])
    if wanted.removes:
        output.say("The webhooks are deleted.")
        return
    output.say(
        f"The source {look.situation.source} is set up. See what comes with: relay events list"
    )


def _makes_token(wanted: Plan) -> bool:
    return wanted.has(StepKind.CREATE_SOURCE) or wanted.has(StepKind.NEW_TOKEN)


def _constants(look: Look, made: Made) -> dict[str, str]:
    return {
        "LIFECYCLE_RELAY_URL": look.situation.ingest_url,
        "LIFECYCLE_RELAY_SECRET": made.signing_secret or "",
    }


def _show_json(look: Look, wanted: Plan, made: Made | None) -> None:
    shown: dict[str, Any] = {
        "source": look.situation.source,
        "network": look.situation.network,
        "with": wanted.way,
        "notes": wanted.notes,
        "steps": wanted.steps,
        "done": made is not None or not wanted.steps,
    }
    if made is not None:
        token = made.token if _makes_token(wanted) else None
        shown |= {"token": token, "signing_secret": made.signing_secret}
    output.json(shown)
