"""The documentation says what the code says, and its links lead somewhere."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import relay_commands

from app.connectors.registry import CONNECTORS, connector_class
from app.domain import errors
from app.services import source_definition
from app.settings import Settings
from docs import generate
from docs.generators import markdown, problem_page, settings_pages

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")],
    key=lambda page: page.as_posix(),
)
BODY = re.compile(r"(?:--data '|```json\n)(\{.*?\n?\})(?:'|\n```)", re.DOTALL)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> list[str]:
    """Links of a page to files, or to headings, that do not exist."""
    found = []
    for link in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (
            anchor and anchor not in anchors(text if target == page else target.read_text())
        ):
            found.append(link)
    return found


def test_generated_pages_are_current():
    assert generate.outdated(ROOT, generate.pages()) == []


def test_a_changed_missing_or_left_over_page_is_caught(tmp_path):
    wanted = {Path("docs/a.md"): "a\n", Path("docs/connectors/b.md"): "b\n"}
    generate.write(tmp_path, wanted)
    assert generate.outdated(tmp_path, wanted) == []
    (tmp_path / "docs/a.md").write_text("changed\n")
    (tmp_path / "docs/connectors/b.md").rename(tmp_path / "docs/connectors/c.md")
    assert generate.outdated(tmp_path, wanted) == [
        "docs/a.md: not what the code says",
        "docs/connectors/b.md: missing",
        "docs/connectors/c.md: no longer generated",
    ]


def test_writing_removes_pages_of_connectors_that_are_gone(tmp_path):
    generate.write(tmp_path, {Path("docs/connectors/old.md"): "old\n"})
    generate.write(tmp_path, {Path("docs/connectors/new.md"): "new\n"})
    assert [path.name for path in (tmp_path / "docs/connectors").iterdir()] == ["new.md"]


def test_the_example_settings_file_holds_every_setting_at_its_default(tmp_path, monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"RELAY_{name.upper()}", raising=False)
    example = settings_pages.env_example()
    uncommented = re.sub(r"^#(?=RELAY_)", "", example, flags=re.MULTILINE)
    (tmp_path / ".env").write_text(uncommented)
    assert Settings(_env_file=tmp_path / ".env") == Settings(_env_file=None)
    assert re.findall(r"^(RELAY_\w+)=", uncommented, re.MULTILINE) == [
        f"RELAY_{name.upper()}" for name in Settings.model_fields
    ]


def test_every_problem_has_a_section_under_its_slug():
    sections = anchors(problem_page.reference())
    assert {error.slug for error in problem_page.problems()} <= sections


def test_no_module_answers_with_a_problem_that_is_not_explained():
    named = {
        slug
        for path in (ROOT / "app").rglob("*.py")
        for slug in re.findall(
            r"^    slug(?:: [\w\[\]]+)? = \"(.+)\"$", path.read_text(), re.MULTILINE
        )
    }
    explained = {error.slug for error in problem_page.problems()}
    assert named - explained == {"error", "configuration"}


def test_a_problem_without_advice_is_caught(monkeypatch):
    class Teapot(errors.RelayError):
        slug = "teapot"

    monkeypatch.setattr(errors, "Teapot", Teapot, raising=False)
    with pytest.raises(ValueError, match="teapot"):
        problem_page.reference()


def test_a_cell_of_a_table_stays_in_its_cell():
    assert markdown.table(("a",), [("x | y\nz",)]).splitlines()[-1] == r"| x \| y z |"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    assert broken_links(page, page.read_text()) == []


def test_a_broken_link_is_caught():
    page = ROOT / "docs" / "operating.md"
    text = "# Here\n[a](no-such-page.md) [b](#here) [c](#there) [d](../README.md#no-such-heading)"
    assert broken_links(page, text) == ["no-such-page.md", "#there", "../README.md#no-such-heading"]


def shown_targets() -> list[dict[str, Any]]:
    """Every body of a target that a page tells its reader to send."""
    bodies = [json.loads(body) for page in PAGES for body in BODY.findall(page.read_text())]
    return [body for body in bodies if "connector" in body and "settings" in body]


def test_targets_that_the_pages_show_have_settings_that_their_connector_takes():
    shown = shown_targets()
    assert {target["connector"] for target in shown} == {*CONNECTORS}
    for target in shown:
        connector_class(target["connector"]).Settings.model_validate(target["settings"])


def test_targets_and_sources_that_the_pages_show_have_names_that_are_taken():
    shown = [json.loads(body) for page in PAGES for body in BODY.findall(page.read_text())]
    names = [one["name"] for one in shown if "name" in one and {"connector", "kind"} & one.keys()]
    assert len(names) > len(CONNECTORS)
    assert [name for name in names if source_definition.NAME.fullmatch(name) is None] == []


def test_make_targets_and_commands_that_the_pages_name_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = relay_commands.known().keys()
    for page in PAGES:
        text = page.read_text()
        named = re.findall(r"(?:^|`)make (?!-)([a-z]+)", text, re.MULTILINE)
        assert {*named} <= targets, page
        named = re.findall(r"(?:^|`|bin/|api )relay ([a-z]+)\b", text, re.MULTILINE)
        assert {*named} <= commands, page


def test_every_dependency_has_its_line_of_why():
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    required = [*project["project"]["dependencies"]]
    for group in project["dependency-groups"].values():
        required += group
    declared = {re.split(r"[<>=~! \[]", line)[0] for line in required}
    text = (ROOT / "docs/dependencies.md").read_text().partition("## Considered")[0]
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \| \S", text, re.MULTILINE)) == declared


def test_every_decision_is_listed_in_the_architecture():
    architecture = (ROOT / "docs/architecture.md").read_text()
    for page in sorted((ROOT / "docs/adr").glob("*.md")):
        assert f"(adr/{page.name})" in architecture
