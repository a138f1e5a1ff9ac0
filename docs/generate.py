"""Make the pages that come from the code: `python -m docs.generate`, or `make docs`.

With `--check` nothing is written; the exit status is 1 when a page is not what the code says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from docs.generators import connector_pages, event_pages, problem_page, settings_pages

ROOT = Path(__file__).resolve().parents[1]
#: Folders in which every page is generated: a page that no declaration asks for is removed.
OWNED_FOLDERS = (Path("docs/connectors"),)


def pages() -> dict[Path, str]:
    """Every generated file: its path from the root, and its text."""
    return {
        Path(".env.example"): settings_pages.env_example(),
        Path("docs/settings.md"): settings_pages.reference(),
        Path("docs/problems.md"): problem_page.reference(),
        Path("docs/event-types.md"): event_pages.reference(),
        **{
            Path("docs/connectors") / name: text
            for name, text in connector_pages.references().items()
        },
    }


def outdated(root: Path, wanted: Mapping[Path, str]) -> list[str]:
    """What is wrong with the files under `root`: missing, different, or no longer wanted."""
    found = []
    for path, text in wanted.items():
        if not (root / path).exists():
            found.append(f"{path}: missing")
        elif (root / path).read_text() != text:
            found.append(f"{path}: not what the code says")
    return found + [f"{path}: no longer generated" for path in _leftovers(root, wanted)]


def write(root: Path, wanted: Mapping[Path, str]) -> None:
    """Write every page, and remove those that are no longer wanted."""
    for path, text in wanted.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for path in _leftovers(root, wanted):
        (root / path).unlink()


def _leftovers(root: Path, wanted: Mapping[Path, str]) -> list[Path]:
    present = [
        path.relative_to(root)
        for folder in OWNED_FOLDERS
        for path in sorted((root / folder).glob("*.md"))
    ]
    return [path for path in present if path not in wanted]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; answers its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, report differences")
    options = parser.parse_args(arguments)
    wanted = pages()
    if not options.check:
        write(ROOT, wanted)
        return 0
    differences = outdated(ROOT, wanted)
    for difference in differences:
        sys.stderr.write(f"{difference}\n")
    if differences:
        sys.stderr.write("Run: make docs\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
