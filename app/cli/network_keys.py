"""The options by which a source is given access to its network's own API.

The secrets come from the environment or are asked for: what stands on a command line is seen by
others.
"""

from __future__ import annotations

import getpass
import sys
import warnings
from typing import Annotated, Any, Literal

import typer

from app.cli import output
from app.services.api_access import ApiKeys

ApiUrl = Annotated[
    str | None, typer.Option(help="The address of the network's main site, for its REST API.")
]
ApiCredentials = Annotated[
    Literal["header", "body"] | None,
    typer.Option(help="Where the API's keys stand: body for hosts that drop Authorization."),
]
ApiKey = Annotated[
    str | None,
    typer.Option(envvar="UM_API_KEY", help="The network's API key; asked for if absent."),
]
ApiSecret = Annotated[
    str | None,
    typer.Option(envvar="UM_API_SECRET", help="The secret beside it; asked for if absent."),
]
WpUser = Annotated[
    str | None,
    typer.Option(help="A WordPress user who may list users, for customers' email addresses."),
]
WpPassword = Annotated[
    str | None,
    typer.Option(
        envvar="UM_WP_APPLICATION_PASSWORD",
        help="An application password of that user; asked for if absent.",
    ),
]


def keys(
    api_key: str | None, api_secret: str | None, wp_user: str | None, wp_password: str | None
) -> ApiKeys:
    """The keys that were given, those that are missing asked for without an echo."""
    return ApiKeys(
        api_key=api_key or _asked("API key of the network", "UM_API_KEY"),
        api_secret=api_secret or _asked("API secret", "UM_API_SECRET"),
        wp_user=wp_user,
        wp_application_password=(
            wp_password
            or _asked(f"Application password of {wp_user}", "UM_WP_APPLICATION_PASSWORD")
        )
        if wp_user
        else None,
    )


def settings(api_url: str | None, api_credentials: str | None) -> dict[str, Any]:
    """The settings among the options."""
    found = {"api_url": api_url, "api_credentials": api_credentials}
    return {name: value for name, value in found.items() if value is not None}


def _asked(what: str, variable: str) -> str:
    try:
        with warnings.catch_warnings():
            # Where there is no terminal, what is asked is said all the same.
            warnings.simplefilter("ignore", getpass.GetPassWarning)
            found: str = typer.prompt(what, hide_input=True, err=True)
    except typer.Abort:
        if not sys.stdin.isatty():
            output.failure(f"There is nobody to ask; scripts give it in {variable}.")
        raise
    return found
