"""The import contracts hold, and each one catches what it is there for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = (
    "api",
    "cli",
    "connectors",
    "domain",
    "egress",
    "services",
    "sources",
    "store",
    "web",
    "worker",
)
MODULES = ("__main__", "main", "otlp", "runtime", "settings", "telemetry", "tracing")

# Module of a miniature app, and an import that must not stand in it.
PLANTED = (
    ("app.api.edge", "app.worker"),
    ("app.connectors.crm", "app.egress"),
    ("app.connectors.crm", "app.sources"),
    ("app.connectors.crm", "asyncio"),
    ("app.domain.event", "app.services"),
    ("app.domain.event", "asyncio"),
    ("app.egress.transport", "app.services"),
    ("app.otlp", "app.settings"),
    ("app.services.ingest", "aiohttp"),
    ("app.services.ingest", "app.api"),
    ("app.services.ingest", "app.runtime"),
    ("app.services.ingest", "app.otlp"),
    ("app.services.ingest", "app.settings"),
    ("app.services.ingest", "app.tracing"),
    ("app.services.ingest", "fastapi"),
    ("app.services.ingest", "opentelemetry"),
    ("app.services.ingest", "rich"),
    ("app.services.ingest", "sqlalchemy"),
    ("app.store.database", "app.connectors"),
    ("app.runtime", "app.otlp"),
    ("app.telemetry", "app.services"),
    ("app.worker.loop", "uvicorn"),
)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts over the `app` in `folder`."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def miniature(folder: Path) -> Path:
    """An app with every package and module the contracts name, and nothing in them."""
    app = folder / "app"
    for layer in LAYERS:
        (app / layer).mkdir(parents=True)
        (app / layer / "__init__.py").touch()
    (app / "__init__.py").touch()
    for module in (*MODULES, "services/bootstrap"):
        (app / f"{module}.py").touch()
    shutil.copy(ROOT / ".importlinter", folder)
    return app


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> str:
    """What the contracts say of an app in which every rule is broken."""
    folder = tmp_path_factory.mktemp("planted")
    app = miniature(folder)
    for module, imported in PLANTED:
        with (app.parent / (module.replace(".", "/") + ".py")).open("a") as file:
            file.write(f"import {imported}\n")
    done = lint(folder)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_the_app_keeps_every_contract():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_empty_app_keeps_every_contract(tmp_path):
    miniature(tmp_path)
    done = lint(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("module", "imported"), PLANTED)
def test_a_planted_import_is_caught(planted, module, imported):
    assert f"{module} -> {imported} (l." in planted


def test_a_package_that_has_no_place_is_caught(tmp_path):
    (miniature(tmp_path) / "jobs.py").touch()
    done = lint(tmp_path)
    assert done.returncode == 1
    assert "jobs" in done.stdout
