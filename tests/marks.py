"""Nothing leaks: what must be found in no log line, metric, exception or message, in whatever spelling.

The tests' own secrets, tokens, numbers and texts are the marks, so that every test that goes through a handler or the
deployed stack looks for them. What may hold what is in docs/security.md, "What is kept where".
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache
from urllib.parse import quote, quote_plus

NUMBERS = "138001380"
"""How every sandbox number begins."""
NOTIFY_DATA = "仓库"
TEXTS = ("顺丰快递", "您的订单号是", "请注意查收")
"""Of params and content."""

# What every token ends with, whatever it is for: the key's id, and the signature.
_TOKEN = re.compile(r"\.k\d+\.[A-Za-z0-9_-]{43}")
# Signatures of requests (MD5, SHA-256) and hashes of numbers and requests.
_DIGEST = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{64})(?![0-9A-Za-z])")


def leaks(text: str, secrets: Iterable[str], *, notify_data: bool = False, digests: bool = False) -> list[str]:
    """The marks that stand in a text; ``notify_data`` and ``digests`` where these are none of its business either."""
    words = (NUMBERS, *TEXTS, *secrets, *((NOTIFY_DATA,) if notify_data else ()))
    found = [word for word in words if any(spelling in text for spelling in spellings(word))]
    found += [f"a token: …{match[0][-8:]}" for match in _TOKEN.finditer(text)]
    return found + ([f"a digest: {match[0]}" for match in _DIGEST.finditer(text)] if digests else [])


@cache
def spellings(word: str) -> frozenset[str]:
    """How a word may come to stand in a text: as it is, escaped, encoded, in another case, hashed."""
    data = word.encode()
    gbk = word.encode("gbk")
    ways = {word, word.lower(), word.upper(), data.hex(), gbk.hex()}
    ways |= {quote(each, safe="") for each in (data, gbk)} | {quote_plus(each) for each in (data, gbk)}
    ways |= {json.dumps(word)[1:-1], json.dumps(json.dumps(word))[3:-3], repr(data)[2:-1], repr(gbk)[2:-1]}
    ways |= {hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest()}
    if word == NUMBERS:
        ways |= {"138 0013 80", "138-0013-80"}
        every = [f"{prefix}{word}{ending:02}".encode() for prefix in ("", "86", "+86") for ending in range(100)]
        ways |= {hashed(number).hexdigest() for number in every for hashed in (hashlib.md5, hashlib.sha256)}
    return frozenset(ways | {part for each in (data, gbk) for part in _within_base64(each)})


def _within_base64(data: bytes) -> Iterable[str]:
    """What base64 makes of bytes wherever they begin, in both alphabets; less what depends on the bytes beside them."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data).decode().rstrip("=")
        whole = encoded[(0, 2, 3)[before] : (before + len(data)) * 8 // 6]
        if len(whole) >= 8:  # shorter ones turn up by chance
            yield whole
            yield whole.translate(str.maketrans("+/", "-_"))
