"""From the environment to a runtime, and from every error to a sentence and an exit code.

The exit codes: 0 it worked; 1 it did not; 2 a setting, or what was asked for, is not valid;
3 the database needs `relay migrate`.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import typer
import uvloop
from pydantic import ValidationError
from pydantic_settings import SettingsError

from app.cli import output
from app.domain.errors import (
    ConfigurationError,
    RelayError,
    StoreUnavailable,
    ValidationFailed,
)
from app.runtime import Runtime
from app.settings import Settings
from app.store import schema
from app.store.database import Database
from app.store.opening import parse_url
from app.telemetry import configure_logging, redact
from app.tracing import open_tracer

FAILED = 1
NOT_VALID = 2
OLD_SCHEMA = 3

T = TypeVar("T")
#: What a command does once everything stands.
Work = Callable[[Runtime], Coroutine[Any, Any, T]]


class OldSchema(ConfigurationError):
    """The database is not at the revision this version needs; the text names the command."""


class WrongSettings(ConfigurationError):
    """Settings that cannot be used; `errors` has one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class DatabaseDown(RelayError):
    """The database does not answer; the text says which one, and why."""


def load_settings(**changes: Any) -> Settings:
    """The settings of the environment, and the `changes` that say anything; starts the log.

    Raises WrongSettings, without a word of what stands in them.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        raise WrongSettings(_problems(error)) from None
    except SettingsError as error:
        raise WrongSettings([str(error)]) from None
    except UnicodeDecodeError:
        raise WrongSettings(["The file .env is not UTF-8 text."]) from None
    changed = {name: value for name, value in changes.items() if value not in (None, "")}
    settings = settings.model_copy(update=changed)
    configure_logging(settings.log_level, settings.log_format)
    return settings


def operate(work: Work[T]) -> T:
    """Run `work` against the relay the environment describes, and report every error in words."""
    with plain_errors():
        settings = load_settings()
        return run(_operate(settings, work))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, on the event loop the server uses too."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn errors into sentences on standard error and an exit code; never a traceback."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except RelayError as error:
        _report(error)
        raise typer.Exit(_exit_code(error)) from None
    except Exception as error:  # noqa: BLE001  the last resort, so that no traceback is shown
        output.failure(f"{type(error).__name__}: {str(error) or 'no further words'}")
        if os.environ.get("RELAY_LOG_LEVEL") == "debug":
            for entry in traceback.format_exc().splitlines():
                output.failure(redact(entry))
        else:
            output.failure("This should not happen. RELAY_LOG_LEVEL=debug shows where it did.")
        raise typer.Exit(FAILED) from None


async def require_schema(database: Database) -> None:
    """Raise OldSchema, which names the command to run, unless the schema is this version's."""
    try:
        await schema.require_current(database)
    except ConfigurationError as error:
        raise OldSchema(error.detail) from None


@contextmanager
def named_database(settings: Settings) -> Iterator[None]:
    """Say which database is down, and why, instead of what a sender would be told."""
    try:
        yield
    except StoreUnavailable as error:
        why = f": {error.cause}" if error.cause else ""
        name = database_name(settings)
        raise DatabaseDown(
            f"The database {name} does not answer{why}. {advice(settings)}"
        ) from None


def advice(settings: Settings) -> str:
    """What to look at when the database does not answer."""
    file = sqlite_file(settings)
    if file is None:
        return "Is it running, and is RELAY_DATABASE_URL right?"
    return f"May this user read and write {file} and its folder, and is it the relay's file?"


def database_name(settings: Settings) -> str:
    """The database in words, without user and password: `postgresql db.example:5432/relay`."""
    url = parse_url(settings.resolved_database_url)
    if url.get_backend_name() == "sqlite":
        return f"sqlite {url.database}"
    if not url.host:
        return f"postgresql {url.database} on a local socket"
    return f"postgresql {url.host}{f':{url.port}' if url.port else ''}/{url.database}"


def sqlite_file(settings: Settings) -> Path | None:
    """The SQLite file, None where the database is another."""
    url = parse_url(settings.resolved_database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database)


def make_folder(settings: Settings) -> None:
    """Make the folder of the SQLite file. Raises ConfigurationError."""
    file = sqlite_file(settings)
    if file is None:
        return
    try:
        # Names and addresses of customers stand in the file: no other user of the machine reads it.
        file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder {file.parent} cannot be made ({error.strerror}); set RELAY_DATA_DIR to one"
            " that can be written to."
        ) from None


def require_file(settings: Settings) -> None:
    """Raise ConfigurationError when there is no SQLite file where one should be.

    Without this, a command in the wrong folder would leave an empty database and a key there.
    """
    file = sqlite_file(settings)
    if file is not None and not file.exists():
        raise ConfigurationError(
            f"There is no database at {file}. Set RELAY_DATA_DIR or RELAY_DATABASE_URL to those of"
            " the running relay, or start one with: relay serve"
        )


@asynccontextmanager
async def running(settings: Settings, *, worker: bool) -> AsyncIterator[Runtime]:
    """A runtime that is started, and stopped at the end.

    Raises OldSchema, DatabaseDown and ConfigurationError.
    """
    require_file(settings)
    tracer = open_tracer(settings) if worker else None
    runtime = Runtime(settings, worker=worker, tracer=tracer)
    with named_database(settings):
        try:
            await require_schema(runtime.database)
            await runtime.start()
        except BaseException:
            # Not stop(): a worker that never started has no tables to give anything back to.
            await runtime.database.close()
            raise
        try:
            yield runtime
        finally:
            await runtime.stop()


async def _operate(settings: Settings, work: Work[T]) -> T:
    async with running(settings, worker=False) as runtime:
        return await work(runtime)


def _problems(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [_problem(detail["loc"], detail["msg"]) for detail in found]


def _problem(place: tuple[int | str, ...], message: str) -> str:
    sentence = message.removeprefix("Value error, ")
    name = f"RELAY_{place[0]}".upper() if place else ""
    if not name or name in sentence:
        return sentence
    return f"{name}: {sentence}"


def _report(error: RelayError) -> None:
    if isinstance(error, WrongSettings):
        for problem in error.problems:
            output.failure(problem)
        return
    output.failure(error.detail)
    for wrong in error.errors:
        if wrong.detail != error.detail:
            output.failure(f"  {wrong.pointer}: {wrong.detail}")


def _exit_code(error: RelayError) -> int:
    if isinstance(error, OldSchema):
        return OLD_SCHEMA
    # As for an option that does not exist: another try with the same words would end the same.
    return NOT_VALID if isinstance(error, ConfigurationError | ValidationFailed) else FAILED
