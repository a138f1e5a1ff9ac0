"""No container engine runs here: these tests hold the Dockerfile and compose.yaml to the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import container_files
import pytest
import relay_commands

from app.cli.server_config import LONGEST_REQUESTS
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "compose.yaml").read_text()
SERVICES = container_files.services(COMPOSE)
FINAL = container_files.final_stage(DOCKERFILE)
RELAY_SERVICES = sorted(SERVICES.keys() - {"postgres"})


def rest(word: str) -> list[str]:
    return [instruction.rest for instruction in FINAL if instruction.word == word]


def hadolint(dockerfile: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "-"],
        input=dockerfile,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_dockerfile_has_no_findings():
    done = hadolint(DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_careless_dockerfile_has_findings():
    assert hadolint("FROM python\nRUN cd /srv && apt-get install curl\n").returncode == 1


def test_every_command_that_the_files_name_exists():
    commands = container_files.relay_commands(DOCKERFILE, COMPOSE)
    assert {command[1] for command in commands} == {"serve", "migrate", "worker"}
    known = relay_commands.known()
    for _, name, *options in commands:
        assert name in known
        assert set(options) <= known[name], name


def test_every_variable_that_the_files_set_is_a_setting():
    settings = {f"RELAY_{name.upper()}" for name in Settings.model_fields}
    assert container_files.relay_variables(DOCKERFILE) <= settings
    assert container_files.relay_variables(COMPOSE) <= settings


def test_a_setting_that_stands_in_the_environment_reaches_every_service():
    # What the files do not name would be ignored without a word.
    settings = {f"RELAY_{name.upper()}" for name in Settings.model_fields}
    # Within a container these are the image's and the command's matter.
    own = {f"RELAY_{name}" for name in ("DATA_DIR", "HOST", "PORT", "WORKER_PORT")}
    own.add("RELAY_EMBEDDED_WORKER")
    for name in RELAY_SERVICES:
        given = SERVICES[name]["environment"]
        assert given.keys() == settings - own
        fixed = {variable for variable, value in given.items() if value is not None}
        assert fixed == {
            "RELAY_ENVIRONMENT",
            "RELAY_DATABASE_URL",
            "RELAY_SECRET_KEY",
            "RELAY_ADMIN_KEY",
            "RELAY_LOG_FORMAT",
        }


def test_an_unknown_variable_is_caught():
    assert container_files.relay_variables("x: ${RELAY_SECRT:?no}") == {"RELAY_SECRT"}


def test_base_images_are_pinned_by_tag():
    every = container_files.instructions(DOCKERFILE)
    images = [instruction.rest.split()[0] for instruction in every if instruction.word == "FROM"]
    images += [service["image"] for service in SERVICES.values() if "build" not in service]
    for image in images:
        assert re.fullmatch(r"[\w./-]+:\d[\w.-]*", image), image


def test_the_process_is_not_root():
    (user,) = rest("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)


def test_the_image_checks_its_health_over_http():
    (check,) = rest("HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    compile(command[2], "healthcheck", "exec")
    assert "/health/live" in command[2]


def test_a_worker_answers_the_health_check_where_an_api_does():
    (environment,) = rest("ENV")
    assert (
        re.search(r"\bRELAY_PORT=(\d+)", environment)[1]
        == re.search(r"\bRELAY_WORKER_PORT=(\d+)", environment)[1]
    )
    assert not {"healthcheck", "ports"} & SERVICES["worker"].keys()


def test_the_image_writes_to_its_volume_only():
    (environment,) = rest("ENV")
    assert rest("VOLUME") == ['["/data"]']
    assert "RELAY_DATA_DIR=/data" in environment
    assert "PYTHONDONTWRITEBYTECODE=1" in environment


def test_dependencies_are_installed_by_hash():
    installs = re.findall(r"pip (?:--python \S+ )?install ([^&]*)", DOCKERFILE.replace("\\\n", " "))
    assert len(installs) == 3
    for arguments in installs:
        assert "--require-hashes" in arguments or "--no-index" in arguments


def test_the_final_stage_has_no_build_tools():
    commands = " ".join(rest("RUN"))
    assert re.search(r"\b(?:pip|apt-get|gcc|make|hatchling|uv)\b", commands) is None
    copied = " ".join(rest("COPY"))
    assert "requirements" not in copied
    # pip would stand in the copied environment unless it was made without.
    assert "venv --without-pip /opt/relay" in DOCKERFILE


def test_the_image_holds_all_that_runs():
    copied = " ".join(rest("COPY"))
    for part in ("/opt/relay", "app", "migrations", "alembic.ini"):
        assert part in copied


def test_the_image_can_be_read_whoever_made_the_checkout():
    # A file from a checkout under umask 077 would be root's alone: it goes by way of the builder.
    assert all(copy.startswith("--from=builder ") for copy in rest("COPY"))
    assert re.search(r"chmod -R a=rX,u\+w alembic\.ini app migrations$", DOCKERFILE, re.MULTILINE)


def test_nothing_is_compiled_at_run_time():
    # The base image has no bytecode of Python's own library, and nothing is written at run time.
    (setup,) = rest("RUN")
    compiled = r'compileall .*--invalidation-mode unchecked-hash .*get_path\("stdlib"\)'
    assert re.search(compiled, setup)
    assert "unchecked-hash app migrations" in DOCKERFILE


def test_the_builder_sees_only_what_the_image_is_made_of():
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source.rstrip("/")
        for instruction in container_files.instructions(DOCKERFILE)
        if instruction.word == "COPY" and not instruction.rest.startswith("--from")
        for source in instruction.rest.split()[:-1]
    }
    assert {source.split("/")[0] for source in copied} == allowed
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize("name", RELAY_SERVICES)
def test_a_service_runs_with_a_read_only_root_and_no_privileges(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", RELAY_SERVICES)
def test_a_service_leaves_no_volume_without_a_name(name):
    # The image declares /data: where nothing is mounted there, every new container makes a volume.
    assert "data:/data" in SERVICES[name]["volumes"]


@pytest.mark.parametrize("name", ["api", "worker"])
def test_a_service_waits_for_the_migration_and_may_finish_its_work(name):
    service = SERVICES[name]
    assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert service["depends_on"]["postgres"] == {"condition": "service_healthy"}
    grace = int(service["stop_grace_period"].removesuffix("s"))
    assert grace > LONGEST_REQUESTS + Settings.model_fields["grace"].default


def test_the_migration_waits_for_a_healthy_database_and_runs_once():
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["migrate"]["restart"] == "no"
    assert SERVICES["postgres"]["healthcheck"]["test"][1] == "pg_isready"


def test_no_secret_has_a_default():
    for name in ("POSTGRES_PASSWORD", "RELAY_SECRET_KEY", "RELAY_ADMIN_KEY"):
        uses = re.findall(rf"\$\{{{name}(.*?)\}}", COMPOSE)
        assert uses
        assert all(use.startswith(":?") for use in uses)


def test_the_services_run_in_production_mode():
    for name in RELAY_SERVICES:
        assert SERVICES[name]["environment"]["RELAY_ENVIRONMENT"] == "production"
