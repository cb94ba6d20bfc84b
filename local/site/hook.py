"""What mkdocs does not do by itself, so that a page is the same on GitHub and in the site (`make docs`).

- The navigation is the table of contents, docs/README.md; there is no second one.
- A page outside docs/ that the contents list (CONTRIBUTING.md, examples/README.md, …) is a page of the site, and so are
  the READMEs in the folders beside it. A link to any other file is plain text there.
- Lists are indented as Python-Markdown wants them: by four, where GitHub counts to the item's text.
- A Mermaid diagram is folded up as its text: what draws it would have to be loaded from elsewhere.
"""

import logging
import posixpath
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File  # type: ignore[import-not-found]  # it is in an environment of its own

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

ENTRY = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<target>[^)\s]+)\)", re.MULTILINE)
LINK = re.compile(r"(?P<code>(`+)[^`]+\2)|\[(?P<label>(?:[^\]`]|`[^`]*`)*)\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^ *(?P<fence>```+|~~~+)")
ITEM = re.compile(r"^ *(?:[-*+]|\d+\.) +(?=\S)")

logging.getLogger("jieba").setLevel(logging.WARNING)

# The contents

GROUPS: dict[str, dict[str, Path]] = {}
"""The groups of docs/README.md, each with titles and files."""
OUTSIDE: dict[Path, str] = {}
"""Where the files outside docs/ that it lists are in the site."""


def beside(path: Path) -> list[Path]:
    """The pages for which a folder's README stands: in docs/ those in its folder, elsewhere the READMEs one below."""
    if path.name != "README.md" or path.parent == ROOT:
        return []
    return sorted(path.parent.glob("*.md" if path.is_relative_to(DOCS) else "*/README.md"))


for _group in re.split(r"^## ", (DOCS / "README.md").read_text(), flags=re.MULTILINE)[1:]:
    _entries = {each["title"]: (DOCS / each["target"]).resolve() for each in ENTRY.finditer(_group)}
    GROUPS[_group.partition("\n")[0].strip()] = _entries
    for _path in _entries.values():
        if not _path.is_relative_to(DOCS):
            for _each in (_path, *beside(_path)):
                # Not README: mkdocs would take it for the front page of its group.
                _name = _each.relative_to(ROOT).as_posix().removesuffix(".md").removesuffix("/README")
                OUTSIDE[_each] = f"repository/{'project' if _name == 'README' else _name.lower()}.md"


def place(path: Path) -> str | None:
    """Where a file of the repository is in the site; None if it is not there."""
    return path.relative_to(DOCS).as_posix() if path.is_relative_to(DOCS) else OUTSIDE.get(path)


def entry(title: str, path: Path) -> dict[str, Any]:
    """A folder's README stands for the pages beside it, or in the folders beside it, that the contents do not list."""
    listed = {each for entries in GROUPS.values() for each in entries.values()}
    unlisted = [place(each) for each in beside(path) if each not in listed]
    return {title: [place(path), *unlisted] if unlisted else place(path)}


def on_config(config: Any) -> None:
    groups = [{group: [entry(*each) for each in entries.items()]} for group, entries in GROUPS.items()]
    config.nav = [{"Contents": "README.md"}, *groups]


def on_files(files: Any, config: Any) -> None:
    for path, uri in OUTSIDE.items():
        files.append(File.generated(config, uri, abs_src_path=str(path)))


# A page


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    parts = []
    for code, lines in groupby(indented(markdown), key=lambda each: each[0]):
        part = "\n".join(line for _, line in lines)
        parts.append(folded(part) if code else relinked(part, page.file.src_uri))
    return "\n".join(parts)


def relinked(text: str, here: str) -> str:
    origin = {uri: path for path, uri in OUTSIDE.items()}.get(here, DOCS / here)

    def replaced(found: re.Match[str]) -> str:
        target = found["target"] or ""
        file, hash_, anchor = target.partition("#")
        if not file or re.match(r"[a-z]+:", target):
            return found[0]
        path = (origin.parent / file).resolve()
        there = place(path)
        if there is None:
            return found["label"] if path.exists() else found[0]
        return f"[{found['label']}]({posixpath.relpath(there, posixpath.dirname(here) or '.')}{hash_}{anchor})"

    return LINK.sub(replaced, text)


def indented(markdown: str) -> Iterator[tuple[bool, str]]:
    """The lines, and whether each is code between fences."""
    columns: list[int] = []  # of the list items that the line is in: where the text of each begins
    fence, before, apart = "", "", False
    for line in markdown.splitlines():
        indent = len(line) - len(line.lstrip(" "))
        item = None if fence else ITEM.match(line)
        goes_on = bool(before) and not item and not FENCE.match(line)  # a paragraph's next line, however indented
        # A paragraph, for which Python-Markdown wants a blank line: one between lists, or the second one of an item.
        interrupts = bool(item and before and (not columns or apart))
        while line and columns and not fence and not goes_on and indent < columns[-1]:
            columns.pop()
        within = max(0, indent - columns[-1] if columns else indent)
        if item and within < 4:
            if interrupts:
                yield False, ""
            within = 0
        else:
            item = None  # it is code
        found = FENCE.match(line)
        yield bool(fence or found), line and " " * (4 * len(columns) + within) + line.lstrip(" ")
        if item:
            columns.append(item.end())
        apart = not item and (apart or not line)  # since the item began there was a blank line
        if found and not fence:
            fence = found["fence"]
        elif line.strip() == fence:
            fence = ""
        before = "" if fence or found else line.strip()


def folded(code: str) -> str:
    if not code.startswith("```mermaid"):
        return code
    lines = code.replace("```mermaid", "```text", 1).splitlines()
    return "\n".join(['??? info "Diagram, as Mermaid text"', "", *(f"    {line}" for line in lines)])
