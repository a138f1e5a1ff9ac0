"""How uvicorn is run: the options that every server of the relay has, whatever it serves."""

from __future__ import annotations

import math
import resource
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

import uvicorn

from app.cli import listening
from app.cli.bounded_protocol import ConnectionLimits
from app.cli.prompt_protocol import PromptProtocol
from app.settings import Settings

#: Those above `RELAY_MAX_CONNECTIONS` are answered 503, which takes a connection; so there may be
#: so many times as many.
_REFUSED_TOO = 2
#: Seconds within which a server that stops finishes its requests; the worker inside gets its grace
#: after that, and whoever stops the process waits for the sum.
LONGEST_REQUESTS = 10
#: Open files that are no connections of senders or to targets: libraries, logs, the database.
_OTHER_FILES = 256


def server_config(
    settings: Settings, app: str | Callable[..., Any], **options: Any
) -> uvicorn.Config:
    """Uvicorn's configuration for `app`; `options` are its own, and go before these."""
    given: dict[str, Any] = {
        "loop": "uvloop",
        # Each process makes its protocols of this, so it must be something that can be pickled.
        "http": cast("Any", partial(PromptProtocol, limits=connection_limits(settings))),
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        # Nothing here asks for the sender's address or scheme: forged X-Forwarded-* mean nothing.
        "proxy_headers": False,
        "limit_concurrency": settings.max_connections,
        "timeout_keep_alive": settings.keep_alive_timeout,
        "backlog": listening.BACKLOG,
        "timeout_graceful_shutdown": math.ceil(min(settings.grace, LONGEST_REQUESTS)),
    }
    return uvicorn.Config(app, **given | options)


def connection_limits(settings: Settings) -> ConnectionLimits:
    """What a connection may cost before the application sees a request of it."""
    return ConnectionLimits(
        head_seconds=settings.header_timeout,
        head_bytes=settings.header_limit,
        head_fields=settings.header_count_limit,
        connections=settings.max_connections * _REFUSED_TOO,
    )


def allow_open_files(settings: Settings) -> None:
    """Let this process, and those it starts, open as many files as it may need connections.

    The usual limit of 1024 is what a user gets who asks for nothing; the system's own limit is
    far higher, and what it allows is taken.
    """
    wanted = settings.max_connections * _REFUSED_TOO + settings.max_in_flight + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
