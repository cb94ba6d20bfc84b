"""What a deployment sets, read from the environment that template.yaml gives each function.

One variable a setting; what belongs to one vendor carries its name as a prefix (``DXTONG_ENDPOINT``), so that a
further vendor needs no line here. A function that does not need a setting need not have it: reading an absent one
raises :class:`SettingsError`, which names the variable and the rule.
"""

import os
import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from voice_gateway.model.errors import SettingsError
from voice_gateway.model.hours import Window, read_window

_A_DAY = 86400
_WRITES_SECONDS = 10.0

# What an address may be, as a grammar and not as a parser's opinion: where two parsers read one text differently, the
# one that checks and the one that connects part ways. template.yaml has the same text; tests/template holds them equal.
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# Names of somebody's own network, metadata services among them: no public authority gives a certificate for these
# (RFC 6761, 6762, 7686, 8375; ICANN has set "internal" aside).
_PRIVATE = "arpa|corp|home|internal|intranet|invalid|lan|local|localdomain|localhost|onion|private|test"
# A last label that begins with a letter: no spelling of an IP address has one, decimal, octal or hexadecimal.
_HOST = rf"(?:{_LABEL}\.)+(?!(?i:{_PRIVATE})(?:[:/]|$))[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]"
_PORT = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_PATH = "(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?"
WEB_ADDRESS = rf"(?=.{{1,255}}$)(?:https://{_HOST}(?::{_PORT})?|http://(?:127\.0\.0\.1|localhost):{_PORT}){_PATH}"
_WEB_ADDRESS = re.compile(WEB_ADDRESS)


class VendorSettings(NamedTuple):
    """What a deployment sets of one vendor. ``daily_cap`` 0 means that the line has none."""

    endpoint: str
    secret: str
    hours: Window
    daily_cap: int
    low_credit: str


class Settings:
    """A view of the environment, checked as it is read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(name, "").strip()
        if value:
            return value
        if default is None:
            raise SettingsError(name, "is not set")
        return default

    def whole(self, name: str, default: int | None = None, least: int = 0) -> int:
        value = self.text(name, None if default is None else str(default))
        if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or int(value) < least:
            raise SettingsError(name, f"must be a whole number of at least {least}")
        return int(value)

    # The gateway's own resources on AWS.

    @property
    def stack(self) -> str:
        return self.text("STACK_NAME")

    @property
    def calls_table(self) -> str:
        return self.text("CALLS_TABLE")

    @property
    def templates_prefix(self) -> str:
        """The SSM path of the template catalogue, with its last slash."""
        return f"/{self.stack}/templates/"

    @property
    def results_topic(self) -> str:
        return self.text("RESULTS_TOPIC_ARN")

    @property
    def alarm_topic(self) -> str:
        return self.text("ALARM_TOPIC_ARN")

    @property
    def urgent_queue(self) -> str:
        return self.text("URGENT_QUEUE_URL")

    @property
    def bulk_queue(self) -> str:
        return self.text("BULK_QUEUE_URL")

    @property
    def outbox_queue(self) -> str:
        return self.text("OUTBOX_QUEUE_URL")

    @property
    def dead_letter_queue(self) -> str:
        return self.text("DEAD_LETTER_QUEUE_URL")

    @property
    def callback_secret(self) -> str:
        return self.text("CALLBACK_SECRET_ARN")

    # How the gateway behaves: template.yaml has the same names in CamelCase, and the defaults.

    @property
    def vendor_order(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.text("VENDOR_ORDER").split(",") if name.strip())

    @property
    def vendor_deadline_seconds(self) -> int:
        return self.whole("VENDOR_DEADLINE_SECONDS", 8, least=1)

    @property
    def seconds_for_a_call(self) -> float:
        """What an invocation must have left to begin a call: its deadline, and the writes after it.

        A request to a DynamoDB that hangs takes about 8 s for its three tries; then comes the write to the outbox.
        """
        return self.vendor_deadline_seconds + _WRITES_SECONDS

    @property
    def vendor_rest_seconds(self) -> int:
        return self.whole("VENDOR_REST_SECONDS", 60)

    @property
    def redial_after_seconds(self) -> int:
        return self.whole("REDIAL_AFTER_SECONDS", 300, least=1)

    @property
    def unanswered_after_seconds(self) -> int:
        return self.whole("UNANSWERED_AFTER_SECONDS", 3600, least=1)

    @property
    def link_by_number(self) -> bool:
        return self.text("LINK_BY_NUMBER", "true").lower() in {"true", "on", "yes", "1"}

    @property
    def retention_days(self) -> int:
        # SNS can deliver a message again for 23 days: a message forgotten sooner could ring again.
        return self.whole("RETENTION_DAYS", 30, least=24)

    @property
    def retention_seconds(self) -> int:
        return self.retention_days * _A_DAY

    @property
    def poll(self) -> bool:
        """True if no callback can reach the deployment, so that vendors are asked for results instead."""
        mode = self.text("CALLBACK_MODE", "push")
        if mode not in {"push", "poll"}:
            raise SettingsError("CALLBACK_MODE", "must be push or poll")
        return mode == "poll"

    @property
    def query_times(self) -> tuple[int, ...]:
        """When a vendor is asked for a result that no receipt brought: seconds after the call, within a day."""
        times = [60, 120, 300, 600, 1800, 3600] if self.poll else [self.unanswered_after_seconds]
        while times[-1] * 2 <= _A_DAY:
            times.append(times[-1] * 2)
        return tuple(times)

    @property
    def callback_base_url(self) -> str:
        return self._web_address("CALLBACK_BASE_URL")

    @property
    def credit_clear_percent(self) -> int:
        return self.whole("CREDIT_CLEAR_PERCENT", 120, least=100)

    @property
    def credit_days_ahead(self) -> int:
        """Credit that lasts for fewer days than these is low; 0: however long it lasts."""
        return self.whole("CREDIT_DAYS_AHEAD", 3)

    def has(self, vendor: str) -> bool:
        """Whether the deployment sets this vendor at all."""
        return self.text(f"{vendor.upper()}_SECRET_ARN", "-") != "-"

    def per_second(self, vendor: str) -> int:
        """How many calls may be begun a second at a vendor; 0 is no pace."""
        return self.whole(f"{vendor.upper()}_PER_SECOND", 0)

    def vendor(self, name: str) -> VendorSettings:
        prefix = name.upper()
        return VendorSettings(
            endpoint=self._web_address(f"{prefix}_ENDPOINT"),
            secret=self.text(f"{prefix}_SECRET_ARN"),
            hours=window(f"{prefix}_HOURS", self.text(f"{prefix}_HOURS", "00:00-24:00")),
            daily_cap=self.whole(f"{prefix}_DAILY_CAP", 0),
            low_credit=self.text(f"{prefix}_LOW_CREDIT", "0"),
        )

    def _web_address(self, name: str) -> str:
        self.text(name)  # raises if it is not set at all
        return web_address(name, self._environ[name])  # as it stands: an address has no white space to take off


def window(name: str, value: str) -> Window:
    """A vendor's hours, ``HH:MM-HH:MM``. Raises SettingsError."""
    found = read_window(value)
    if found is None or found.opens >= found.closes:
        raise SettingsError(name, "must be HH:MM-HH:MM, the first before the second, 24:00 at the latest")
    return found


def web_address(name: str, value: str) -> str:
    """Checks an address that the gateway calls or hands out, and takes its last slash off. Raises SettingsError.

    These requests carry credentials and phone numbers. So it is https to a public name, whose certificate says that it
    is the right one wherever the name resolves to; or plain http to this machine, for the local stack.
    """
    if not _WEB_ADDRESS.fullmatch(value):
        raise SettingsError(
            name,
            "must be https://, a public host name and, if need be, a port and a path: no IP address, user, query, "
            "fragment, '..' or '//'; plain http only to 127.0.0.1 or localhost, with a port",
        )
    return value.rstrip("/")


@cache
def settings() -> Settings:
    """The settings of this function."""
    return Settings(dict(os.environ))  # copied, for to look into the real one takes ten times as long
