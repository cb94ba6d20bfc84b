"""The Chinese pages say what the English ones say: block by block the same code, numbers and links, in plain Chinese.

What is prose is not compared. So a field, a status, a row, a command or a limit that is new or changed in the English
fails here until the Chinese has it, and so does one that only the Chinese has.
"""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import Block, Page, heading, read

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CHINESE = DOCS / "zh"
CONTENTS = CHINESE / "README.md"
"""It lists what docs/README.md lists, and has a glossary besides."""
PAIRS = {
    ROOT / "README.zh-CN.md": ROOT / "README.md",
    **{path: DOCS / path.name for path in sorted(CHINESE.glob("*.md"))},
}
"""Chinese pages, and of which they are the Chinese."""
TRANSLATED = {english: chinese for chinese, english in PAIRS.items()}
TEXTS = [path for path in PAIRS if path != CONTENTS]

HAN = r"\u3400-\u9fff"
TYPOGRAPHY = {
    "half-width punctuation in Chinese": rf"[{HAN}] ?[,;:!?()]|[,;:!?()] ?[{HAN}]|[{HAN}]\.(?!\w)",
    "no blank between Chinese and Latin": rf"[{HAN}][A-Za-z0-9`]|[A-Za-z0-9`%+][{HAN}]",
    "a blank at full-width punctuation": r" [，。；：！？、（）“”]|[，。；：！？、（）“”] ",
    "two blanks": r"  ",
    "emphasis that is not one": r"\*",
    "a line break, which is shown as a blank": r"\n",
}


def differences(english: Page, chinese: Page) -> list[str]:
    """What one has and the other has not, beside the prose; of blocks that are not the same, only the first."""
    found: list[str] = []
    theirs, ours = english.blocks, chinese.blocks
    for at, (block, translated) in enumerate(zip(theirs, ours, strict=False)):
        where = f"{heading(theirs, at)!r}, line {block.line}, in Chinese line {translated.line}"
        if block.kind != translated.kind:
            return [*found, f"{where}: {block.kind}, in Chinese {translated.kind}"]
        found += [f"{where}: {each}" for each in _unlike(block, translated)]
        if _leads(english, block) != _leads(chinese, translated):
            found.append(f"{where}: links {_leads(english, block)}, in Chinese {_leads(chinese, translated)}")
    if len(theirs) != len(ours):
        found.append(f"{len(theirs)} blocks, in Chinese {len(ours)}")
    return found


def _unlike(block: Block, translated: Block) -> list[str]:
    found = []
    in_order = block.kind.endswith("cell 1")
    if (block.code if in_order else set(block.code)) != (translated.code if in_order else set(translated.code)):
        found.append(f"code {block.code}, in Chinese {translated.code}")
    if missing := block.numbers - translated.numbers:
        found.append(f"{sorted(missing)} is not in the Chinese")
    return found


def _leads(page: Page, block: Block) -> list[str]:
    return sorted(target(page, link) for link in block.links)


def target(page: Page, link: str) -> str:
    """Where a link leads, in both languages the same: the English page, and which of its headings."""
    if re.match(r"[a-z]+:", link):
        return link
    file, _, anchor = unquote(link).partition("#")
    path = (page.path.parent / file).resolve() if file else page.path
    name = str(PAIRS.get(path, path).relative_to(ROOT))
    if path not in PAIRS and path not in TRANSLATED:
        return f"{name}#{anchor}"
    anchors = (page if path == page.path else read(path)).anchors
    return f"{name}#{anchors.index(anchor) if anchor in anchors else anchor}"


def unidiomatic(page: Page) -> list[str]:
    """What is not written as Chinese is."""
    found = []
    for block in page.blocks:
        prose = re.sub(r"`[^`]*`", "`", block.prose)
        for what, pattern in TYPOGRAPHY.items():
            found += [f"line {block.line}: {what}: {each[0]!r}" for each in re.finditer(pattern, prose)]
        # GB 2312 has the simplified characters; what vendors call theirs stands between 【】.
        odd = "".join(
            each for each in re.sub(r"【.*?】", "", prose) if re.match(f"[{HAN}]", each) and not simplified(each)
        )
        found += [f"line {block.line}: not simplified: {odd}"] if odd else []
    escaped = re.findall(r"\\u(?!00)[0-9a-fA-F]{4}|&#?\w+;|%[89a-fA-F][0-9a-fA-F]", page.text)
    return found + [f"escaped: {each}" for each in escaped]


def simplified(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_chinese_page_is_of_an_english_one_and_leads_there(path: Path) -> None:
    assert PAIRS[path].exists()
    assert [(path.parent / link).resolve() for link in read(path).other_language] == [PAIRS[path]]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_chinese_page_has_what_the_english_one_has(path: Path) -> None:
    assert differences(read(PAIRS[path]), read(path)) == []


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_chinese_page_is_written_as_chinese_is(path: Path) -> None:
    assert unidiomatic(read(path)) == []


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_chinese_page_leads_to_chinese_pages_where_there_are_any(path: Path) -> None:
    for block in read(path).blocks:
        for link in block.links:
            assert (path.parent / link.partition("#")[0]).resolve() not in TRANSLATED, link


def test_the_contents_list_what_the_english_contents_list_and_say_what_is_in_english() -> None:
    english, chinese = read(DOCS / "README.md"), read(CONTENTS)
    listed = {to for block in chinese.blocks for to in _leads(chinese, block)}
    assert listed == {to for block in english.blocks for to in _leads(english, block)} - {"docs/README.md#"}
    for block in chinese.blocks:
        for link in block.links:
            marked = "（英文）" in block.prose
            assert marked == ((CHINESE / link).resolve() not in PAIRS), link


ENGLISH = """# Page

English · [简体中文](using.md)

One of `a` and `b`, at most 30. [There](#more), [scale](scale.md).

| field | rule |
|---|---|
| `x`, `y` | 1-3 |

```python
send(1)  # now
```

## More

- first
- second
"""
TRANSLATION = """# 页

[English](../using.md) · 简体中文

`b` 和 `a` 里选一个，最多 30。见 [scale](../scale.md) 和[那里](#更多)。

| 字段 | 规则 |
|---|---|
| `x`、`y` | 1-3 |

```python
send(1)  # 现在
```

## 更多

- 一
- 二
"""


def translated(text: str) -> list[str]:
    return differences(Page(DOCS / "using.md", ENGLISH), Page(CHINESE / "using.md", text))


def test_a_faithful_translation_differs_in_nothing() -> None:
    assert translated(TRANSLATION) == []
    assert unidiomatic(Page(CHINESE / "using.md", TRANSLATION)) == []


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("`a`", "`c`"),
        ("`b` 和 `a`", "`b`"),
        ("最多 30", "最多 20"),
        ("scale.md", "cli.md"),
        ("#更多", "#页"),
        ("#更多", "#更少"),
        ("`x`、`y`", "`y`、`x`"),
        ("| `x`、`y` | 1-3 |\n", ""),
        ("| `x`、`y` | 1-3 |\n", "| `x`、`y` | 1-3 |\n| `z` | 1-3 |\n"),
        ("| 1-3 |", "| 1-4 |"),
        ("send(1)", "send(2)"),
        ("```python", "```sh"),
        ("## 更多", "### 更多"),
        ("- 二\n", ""),
        ("- 二\n", "- 二\n- 三\n"),
        ("- 二\n", "- 二\n\n三\n"),
        ("- 一\n- 二\n", "一\n\n二\n"),
    ],
)
def test_what_was_left_out_added_or_changed_is_found(was: str, becomes: str) -> None:
    assert was in TRANSLATION
    assert translated(TRANSLATION.replace(was, becomes))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("a span of code", lambda text: re.sub(r"`(\w+)`", r"`\1_too`", text, count=1)),
        (
            "a row",
            lambda text: re.sub(r"(\|---\|\n)", r"\1| new |" + "\n", text, count=1) if "|---|" in text else "- new",
        ),
        ("a heading", lambda text: f"{text}\n## New\n"),
        (
            "a command",
            lambda text: re.sub(r"^( *```\w+\n)", r"\1new", f"{text}\n```sh\n```\n", count=1, flags=re.MULTILINE),
        ),
        ("a number", lambda text: re.sub(r"(?<=\b[a-z]{2} )(?=[a-z])", "4711 ", text, count=1)),
    ],
)
def test_what_is_new_in_the_english_is_missed(path: Path, what: str, change: Callable[[str], str]) -> None:
    english = read(PAIRS[path])
    text = change(english.text)
    assert text != english.text, what
    assert differences(Page(english.path, text), read(path)) != []


@pytest.mark.parametrize(
    "text",
    [
        "中文,中文",
        "中文, 中文",
        "中文(中文)",
        "中文:`x`",
        "中文text",
        "30天",
        "中文`x`",
        "`x`中文",
        "中文。 中文",
        "中文 （x）",
        "中  文",
        "中文**（中文）**中文",
        "中文\n中文",
        "電話",
        "\\u4e2d文",
        "&#20013;文",
        "[中](a%E4%B8%AD.md)",
        "中文.",
    ],
)
def test_what_is_not_written_as_chinese_is_found(text: str) -> None:
    assert unidiomatic(Page(CHINESE / "using.md", text))


@pytest.mark.parametrize(
    "text",
    [
        "中文 text 中文，30 天。",
        "`電話,x`",
        "参见 [README](a.md)。",
        "写成【變量】。",
        "`\\u007b` 和 a, b",
        "**中文**。中文",
    ],
)
def test_what_is_written_as_chinese_is_passes(text: str) -> None:
    assert unidiomatic(Page(CHINESE / "using.md", text)) == []
