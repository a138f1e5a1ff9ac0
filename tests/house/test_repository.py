"""What must hold of the files around the code, each rule proven by a planted violation."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import repository_rules
from house_rules import Finding

ROOT = Path(__file__).resolve().parents[2]
BINARY = frozenset({".gz", ".ico", ".jpg", ".png", ".woff2", ".zip"})


@cache
def texts() -> dict[str, str]:
    """Path to text of every file that is, or is about to be, part of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(errors="replace")
        for path in paths
        if path.is_file() and path.suffix not in BINARY
    }


def broken(rule, *prefixes: str) -> list[str]:
    """Findings of `rule` over all texts, or those under one of `prefixes`."""
    findings: Iterator[tuple[str, Finding]] = (
        (path, finding)
        for path, text in texts().items()
        if not prefixes or path.startswith(prefixes)
        for finding in rule(text)
    )
    return [f"{path}:{finding.line}: {finding.text}" for path, finding in findings]


def test_lock_files_hold_exact_versions_and_hashes_and_name_no_host():
    assert sorted(path for path in texts() if path.startswith("requirements/")) == [
        "requirements/base.lock",
        "requirements/build.lock",
        "requirements/dev.lock",
    ]
    assert broken(repository_rules.loose_lock_lines, "requirements/") == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url elsewhere",
        "httpx>=0.28",
        "httpx==0.28.1",
        "httpx @ https://packages.example/httpx.whl",
        "    --hash=sha256:short",
    ],
)
def test_a_loose_lock_line_is_caught(line):
    assert [*repository_rules.loose_lock_lines(line)] != []


def test_no_file_names_a_path_of_somebodys_machine():
    assert broken(repository_rules.machine_paths) == []


@pytest.mark.parametrize("folder", ["root", "work", "home", "Users"])
def test_a_machine_path_is_caught(folder):
    assert [*repository_rules.machine_paths(f"see /{folder}/ada/relay")] != []
    assert [*repository_rules.machine_paths(f"https://relay.example/{folder}/ada")] == []


def test_no_file_holds_a_credential_of_a_known_service():
    assert broken(repository_rules.key_material) == []


def test_a_credential_is_caught():
    assert [*repository_rules.key_material("AKIA" + "A" * 16)] != []
    assert [*repository_rules.key_material("-----BEGIN " + "PRIVATE KEY-----")] != []


def test_fixtures_name_no_real_host():
    assert broken(repository_rules.real_hosts, "tests/fixtures/") == []


@pytest.mark.parametrize(
    ("text", "real"),
    [
        ("https://www.a-shop.com/x", True),
        (r'"https:\/\/www.a-shop.com\/x"', True),
        ("jane@a-shop.com", True),
        ("https://user:pass@a-shop.com/", True),
        ("https://shop.example/", False),
        ("mockeduser@dev.dev", False),
        ("https://api.hubapi.com/crm", False),
    ],
)
def test_a_real_host_is_caught(text, real):
    assert ([*repository_rules.real_hosts(text)] != []) is real


def test_the_changelog_has_a_place_for_what_comes_next():
    assert repository_rules.has_unreleased_section(texts()["CHANGELOG.md"])
    assert not repository_rules.has_unreleased_section("## 0.1.0\n")


def test_no_settings_file_with_values_is_part_of_the_project():
    assert [path for path in texts() if Path(path).name == ".env"] == []


def test_ci_runs_what_the_readme_says():
    script = texts()[".ci/run"]
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert "make check" in script
    assert "make test" in script
    assert "make test" in texts()["README.md"]
