"""What a callback needs of a request of API Gateway's proxy integration, and the response."""

import base64
import binascii
from codecs import BOM_UTF8
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

HttpResponse = dict[str, Any]


@dataclass(frozen=True)
class Pushed:
    """What a vendor pushed. Each part is read when it is needed: without a good token, no more than the token."""

    event: dict[str, Any]

    @property
    def token(self) -> str:
        """The last part of the path."""
        return (self.event.get("pathParameters") or {}).get("token") or ""

    @cached_property
    def body(self) -> bytes:
        """The body as it was sent, byte for byte."""
        sent = self.event.get("body") or ""
        if not self.event.get("isBase64Encoded"):
            return str(sent).encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(sent, validate=True)
        except (binascii.Error, ValueError):
            return str(sent).encode("utf-8", "surrogatepass")

    @property
    def empty(self) -> bool:
        """Whether there is neither a body nor a query."""
        return not self.query and not self.body.removeprefix(BOM_UTF8).strip()

    @property
    def query(self) -> str:
        """The query string, built again from API Gateway's parsed parameters."""
        return urlencode(self.event.get("queryStringParameters") or {}, errors="replace")

    @property
    def content_type(self) -> str:
        headers = self.event.get("headers") or {}
        return next((str(value) for name, value in headers.items() if name.lower() == "content-type"), "")

    def as_it_came(self) -> dict[str, str]:
        """What a person may have to look at later, without the token."""
        body = base64.b64encode(self.body).decode()
        return {"content_type": self.content_type, "query": self.query, "body_base64": body}


def response(status: int, text: str = "", text_type: str = "text/plain; charset=utf-8") -> HttpResponse:
    return {"statusCode": status, "headers": {"Content-Type": text_type}, "body": text}
