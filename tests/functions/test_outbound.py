"""Where the gateway connects to: the configured vendors, and nowhere else, whatever settings and vendors say."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import time_machine
from moto import mock_aws
from voice_gateway.model.errors import AwsUnavailable, SettingsError
from voice_gateway.platform.settings import Settings

from local.simulators.server import LoopbackServer, Reply, Request, json_reply
from tests.addresses import GOOD, HOSTILE
from tests.functions.test_send import SHIPPED, number
from tests.gateway import Gateway, deployed

ADDRESSES = ("DXTONG_ENDPOINT", "JUMDATA_ENDPOINT", "CALLBACK_BASE_URL")
VENDORS = ("dxtong", "jumdata")
DXTONG, JUMDATA = "https://api.vm.dxtong.com", "https://api.jumdata.com"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
SUBMITTED = {
    "dxtong": Reply("<R><code>2</code><msg>提交成功</msg><voiceid>60495654</voiceid></R>".encode()),
    "jumdata": json_reply({"code": 200, "msg": "成功", "data": {"callId": "12121212121212"}}),
}


class Connections:
    """Every host that this process looks up or connects to, from any thread, as the interpreter itself reports it."""

    def __init__(self) -> None:
        self.made: set[tuple[str, int]] = set()
        self._watching = False
        sys.addaudithook(self._heard)  # there to stay: a hook cannot be taken out

    @contextmanager
    def watched(self) -> Iterator[set[tuple[str, int]]]:
        self.made, self._watching = set(), True
        try:
            yield self.made
        finally:
            self._watching = False

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._watching and event == "socket.getaddrinfo":
            self.made.add((str(arguments[0]), int(arguments[1] or 0)))
        elif self._watching and event == "socket.connect" and isinstance(arguments[1], tuple):
            self.made.add(arguments[1][:2])


@pytest.fixture(scope="session")
def connections() -> Connections:
    return Connections()


def place(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("http://").partition(":")
    return host, int(port)


class Vendor(LoopbackServer):
    """A vendor, or whoever else listens, that answers every request alike and remembers it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply
        self.requests: list[Request] = []

    def handle(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.reply


@pytest.fixture
def vendors() -> Iterator[dict[str, Vendor]]:
    with Vendor(SUBMITTED["dxtong"]) as dxtong, Vendor(SUBMITTED["jumdata"]) as jumdata:
        yield {"dxtong": dxtong, "jumdata": jumdata}


@pytest.fixture
def elsewhere() -> Iterator[Vendor]:
    """Whom nobody configured: he would gladly take the call."""
    with Vendor(SUBMITTED["jumdata"]) as elsewhere:
        yield elsewhere


@pytest.fixture
def gateway(vendors: dict[str, Vendor]) -> Iterator[Gateway]:
    with mock_aws(), deployed({name: vendor.address for name, vendor in vendors.items()}) as gateway:
        yield gateway


# What the settings take.


def read(name: str, value: str) -> str:
    """A setting as the function that needs it reads it."""
    environ = {"DXTONG_ENDPOINT": DXTONG, "JUMDATA_ENDPOINT": JUMDATA, "CALLBACK_BASE_URL": "https://a.example.com"}
    secrets = {"DXTONG_SECRET_ARN": "arn", "JUMDATA_SECRET_ARN": "arn"}
    settings = Settings({**environ, **secrets, name: value})
    if name == "CALLBACK_BASE_URL":
        return settings.callback_base_url
    return settings.vendor(name.partition("_")[0].lower()).endpoint


def refusal(name: str, value: str) -> str | None:
    """What the function says of a setting; None where it takes it."""
    try:
        read(name, value)
    except SettingsError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_that_leads_elsewhere_is_refused_by_name_and_rule(name: str) -> None:
    assert [value for value in HOSTILE if refusal(name, value) is None] == []
    said = {refusal(name, value) for value in HOSTILE}
    assert len(said) == 1  # and so shows nothing of the value, which may hold a password
    assert str(said.pop()).startswith(f"{name} must be https://, a public host name")


@pytest.mark.parametrize("name", ADDRESSES)
def test_vendors_proxies_and_the_local_stack_are_taken(name: str) -> None:
    assert [read(name, value) for value in GOOD] == [value.rstrip("/") for value in GOOD]


def ask_everybody(gateway: Gateway) -> Iterator[str]:
    """All that may call a vendor, from a cold start; yields what each raised."""
    for function in ("send", "sweep", "balance_check"):
        gateway.start_anew(function)
    for vendor in VENDORS:
        try:
            gateway.send(message_id=f"to-{vendor}", mobile=number(0), vendor=vendor, **SHIPPED)
        except SettingsError as error:
            yield str(error)
    try:
        gateway.invoke("balance_check", {})
    except AwsUnavailable as error:
        yield str(error)
    gateway.sweep()


@pytest.mark.parametrize("name", ADDRESSES)
def test_with_such_an_address_nothing_leaves_nothing_is_claimed_and_the_function_says_why(
    gateway: Gateway, vendors: dict[str, Vendor], connections: Connections, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    configured = {place(vendor.address) for vendor in vendors.values()}
    own = vendors.get(name.partition("_")[0].lower())
    # Some of each kind: all of them went through the settings above. An environment holds no NUL.
    for value in [value for value in HOSTILE if "\x00" not in value][::25]:
        monkeypatch.setenv(name, value)
        with connections.watched() as made:
            said = list(ask_everybody(gateway))
        assert any(each.startswith((f"{name} ", f"{name.partition('_')[0].lower()}: {name} ")) for each in said), value
        assert made <= configured, value
        assert own is None or own.requests == [], value
        if own is None:  # no address to hand out: nobody is called at all, for a callback could not come back
            assert gateway.item("MSG#to-jumdata") is gateway.item("MSG#to-dxtong") is None
        else:
            assert gateway.item(f"MSG#to-{name.partition('_')[0].lower()}") is None


# Whom the gateway speaks to.


def test_no_proxy_is_taken_from_the_environment(
    gateway: Gateway,
    vendors: dict[str, Vendor],
    elsewhere: Vendor,
    connections: Connections,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever can set a variable of a function would read every number, and ring at its owner's cost."""
    for name in (*PROXIES, *(each.upper() for each in PROXIES)):
        monkeypatch.setenv(name, elsewhere.address)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with connections.watched() as made:
        asks_everything(gateway)
    assert made == {place(vendor.address) for vendor in vendors.values()}
    assert elsewhere.requests == []
    assert {len(vendor.requests) for vendor in vendors.values()} == {2, 3}  # jumdata is asked for a result as well


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(
    gateway: Gateway, vendors: dict[str, Vendor], elsewhere: Vendor, connections: Connections, status: int
) -> None:
    """Followed, it would carry number, text and signature to wherever it points, and might ring twice."""
    gateway.send(message_id="asked", mobile=number(1), vendor="jumdata", **SHIPPED)
    for vendor in vendors.values():
        vendor.reply = Reply(status=status, location=f"{elsewhere.address}/")
        vendor.requests.clear()
    with connections.watched() as made:
        asks_everything(gateway)
    assert made == {place(vendor.address) for vendor in vendors.values()}
    assert elsewhere.requests == []
    # The call may have been placed for all that anybody knows. Nobody is asked twice.
    assert {gateway.status(f"m-{vendor}")["status"] for vendor in VENDORS} == {"unknown"}
    assert sorted(len(vendor.requests) for vendor in vendors.values()) == [2, 3]


def test_no_address_in_a_reply_is_visited(
    gateway: Gateway, vendors: dict[str, Vendor], elsewhere: Vendor, connections: Connections
) -> None:
    entity = (
        f'<!DOCTYPE R [<!ENTITY x SYSTEM "{elsewhere.address}/x"> <!ENTITY % y SYSTEM "{elsewhere.address}/y"> %y;]>'
    )
    vendors["dxtong"].reply = Reply(f"{entity}<R><code>2</code><msg>&x;</msg><voiceid>1</voiceid></R>".encode())
    links = {
        "code": 200,
        "url": elsewhere.address,
        "data": {"callId": elsewhere.address, "notifyUrl": elsewhere.address},
    }
    vendors["jumdata"].reply = json_reply(links)
    with connections.watched() as made:
        asks_everything(gateway)
    assert made == {place(vendor.address) for vendor in vendors.values()}
    assert elsewhere.requests == []


def test_what_a_caller_writes_moves_no_request(
    gateway: Gateway, vendors: dict[str, Vendor], elsewhere: Vendor, connections: Connections
) -> None:
    """Ids and texts are values of fields, never parts of an address."""
    written = f"@{elsewhere.address.removeprefix('http://')}/../?#"
    request: dict[str, Any] = {"vendor": "jumdata", "template_id": written, "params": [written], "notify_data": written}
    with connections.watched() as made:
        gateway.send(message_id="m-1", mobile=number(2), **request)
        with time_machine.travel(time.time() + 3601):
            gateway.sweep()
    assert made == {place(vendors["jumdata"].address)}
    asked = [request.path.partition("?")[0] for request in vendors["jumdata"].requests]
    assert asked == ["/voice-notify/send", "/voice-notify/result"]
    assert elsewhere.requests == []


def asks_everything(gateway: Gateway) -> None:
    """A call by each vendor, the credit of both, and a result of jumdata's."""
    start = time.time()
    for vendor in VENDORS:
        gateway.send(message_id=f"m-{vendor}", mobile=number(0), vendor=vendor, **SHIPPED)
    gateway.invoke("balance_check", {})
    with time_machine.travel(start + 3601):
        gateway.sweep()
