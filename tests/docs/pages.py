"""A Markdown page as its blocks, with all in them that is not prose: what two languages have in common."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

MARKDOWN = MarkdownIt("commonmark").enable("table")
HOLDERS = {"list_item_open": "item", "blockquote_open": "quote"}
HAS_COMMENTS = {"", "sh", "python", "yaml"}
"""Languages of code whose comments may be translated. An indented block, which has none, holds commands."""
COMMENT = re.compile(r"(?:^|[ \t]+)#(?: .*)?$", re.MULTILINE)
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
OTHER_LANGUAGE = "English · 简体中文"
"""The line that leads to the same page in the other language."""


@dataclass(frozen=True)
class Block:
    """A heading, a paragraph, a cell or a block of code."""

    kind: str
    """What it is, and in which lists: ``h2``, ``paragraph``, ``item paragraph``, ``cell 1``, ``code python``."""
    line: int
    prose: str
    """The text as it is read, with `` ` `` around code."""
    code: tuple[str, ...]
    """The spans of code in it, or the block of code."""
    links: tuple[str, ...]

    @property
    def numbers(self) -> set[str]:
        return set(NUMBER.findall(re.sub(r"`.*?`", "", self.prose)))


@dataclass(frozen=True)
class Page:
    """A page's text and its blocks, without the line that leads to the other language."""

    path: Path
    text: str

    @property
    def blocks(self) -> list[Block]:
        return [block for block in _blocks(MARKDOWN.parse(self.text)) if block.prose != OTHER_LANGUAGE]

    @property
    def other_language(self) -> list[str]:
        """Where the line leads that leads to the other language."""
        return [
            to for block in _blocks(MARKDOWN.parse(self.text)) if block.prose == OTHER_LANGUAGE for to in block.links
        ]

    @property
    def anchors(self) -> list[str]:
        """As GitHub makes them of the headings, in their order."""
        headings = [block.prose for block in self.blocks if re.fullmatch(r"h\d", block.kind)]
        return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def read(path: Path) -> Page:
    return Page(path, path.read_text(encoding="utf-8"))


def _blocks(tokens: Sequence[Token]) -> Iterator[Block]:
    within: list[str] = []
    kind, column, line = "", 0, 0
    for token in tokens:
        line = token.map[0] + 1 if token.map else line
        if token.type in HOLDERS:
            within.append(HOLDERS[token.type])
        elif token.type.replace("close", "open") in HOLDERS:
            within.pop()
        elif token.type == "tr_open":
            column = 0
        elif token.type in {"th_open", "td_open"}:
            column, kind = column + 1, f"cell {column + 1}"
        elif token.type in {"heading_open", "paragraph_open"}:
            kind = token.tag if token.type == "heading_open" else "paragraph"
        elif token.type in {"fence", "code_block"}:
            language = token.info.strip()
            yield Block(" ".join([*within, "code", language]), line, "", (_code(language, token.content),), ())
        elif token.type == "inline":
            yield _written(" ".join([*within, kind]), line, token.children or [])


def _code(language: str, content: str) -> str:
    return COMMENT.sub("", content) if language in HAS_COMMENTS else content


def _written(kind: str, line: int, children: Sequence[Token]) -> Block:
    code = tuple(each.content for each in children if each.type == "code_inline")
    links = tuple(str(each.attrs["href"]) for each in children if each.type == "link_open")
    return Block(kind, line, "".join(map(_read, children)), code, links)


def _read(token: Token) -> str:
    if token.type in {"softbreak", "hardbreak"}:
        return "\n"
    return f"`{token.content}`" if token.type == "code_inline" else token.content


def heading(blocks: Sequence[Block], at: int) -> str:
    """The heading that a block stands under."""
    before = list(takewhile(lambda block: not re.fullmatch(r"h\d", block.kind), reversed(blocks[: at + 1])))
    above = at - len(before)
    return blocks[above].prose if above >= 0 else ""
