"""Which vendors may carry a message, in which order; and the settings and the catalogue that decide it."""

import datetime
import json
from collections.abc import Callable, Container, Mapping
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from voice_gateway.model.errors import AwsUnavailable, SettingsError
from voice_gateway.model.faults import Fault
from voice_gateway.model.hours import CHINA, Window, next_opening
from voice_gateway.model.message import Message, State
from voice_gateway.model.request import Catalogue, Form, Request, Template, Text, VendorTemplate, placeholders
from voice_gateway.platform import aws
from voice_gateway.platform.secrets import Secrets
from voice_gateway.platform.settings import Settings, web_address, window
from voice_gateway.sending import catalogue
from voice_gateway.sending.routing import Resting, Route, Router, mismatch
from voice_gateway.vendors.common.accounts import Account, Accounts
from voice_gateway.vendors.common.base import Vendor

pytestmark = pytest.mark.disable_socket

ENVIRON = {
    "VENDOR_ORDER": "dxtong,jumdata",
    "DXTONG_ENDPOINT": "https://api.vm.dxtong.com",
    "DXTONG_SECRET_ARN": "arn:dxtong",
    "JUMDATA_ENDPOINT": "https://api.jumdata.com",
    "JUMDATA_SECRET_ARN": "arn:jumdata",
    "JUMDATA_HOURS": "09:00-21:00",
}
ORDER = Catalogue("order_shipped", {"order": "9633", "carrier": "顺丰"})
ENTRY: dict[str, Any] = {
    "text": "您的订单号是:{order}。已由{carrier}发出,请注意查收。",
    "vendors": {"dxtong": {}, "jumdata": {"template_id": "T1001", "params": ["order", "carrier"]}},
}
TEMPLATE = Template("order_shipped", ENTRY["text"], ENTRY["vendors"])
TURNED = Template("order_shipped", ENTRY["text"], dict(reversed(ENTRY["vendors"].items())))


def at(text: str) -> float:
    """A time of day in China, 22 November 2026."""
    day, _, time = text.rpartition(" ")
    return datetime.datetime.fromisoformat(f"{day or '2026-11-22'}T{time}").replace(tzinfo=CHINA).timestamp()


NOON = at("12:00:00")


class Clock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def filled_in(vendor: Vendor) -> Mapping[str, str] | None:
    return dict.fromkeys(vendor.credentials, "x")


class FilledIn(Accounts):
    """Accounts whose credentials are those that a test gives."""

    def __init__(self, settings: Settings, credentials: Callable[[Vendor], Mapping[str, str] | None]) -> None:
        super().__init__(settings, Secrets())
        self._given = credentials

    def _made(self, vendor: Vendor) -> Account:
        account, given = super()._made(vendor), self._given
        account.credentials = lambda *, anew=False: given(vendor)  # type: ignore[method-assign]
        return account


class Routes(Router):
    """The routes of one and the same message."""

    def route(  # type: ignore[override]
        self, request: Request, template: Template | None, now: float, avoid: str | None = None
    ) -> Route:
        message = Message(request.message_id, State.CALLING, now, number_hash="h")
        return super().route(request, template, message, now, avoid)


def router(
    resting: Resting | None = None,
    credentials: Callable[[Vendor], Mapping[str, str] | None] = filled_in,
    used_up: Container[str] = (),
    **environ: str,
) -> "Routes":
    settings = Settings({**ENVIRON, **environ})
    return Routes(settings, FilledIn(settings, credentials), resting or Resting(Clock()), used_up)


def request(form: Form = ORDER, vendor: str | None = None) -> Request:
    return Request("order-9633", "13800138000", form, vendor)


def names(route: Route) -> list[str]:
    return [carrier.vendor.name for carrier in route.carriers]


def passed(route: Route) -> list[tuple[str | None, str]]:
    return [(fault.vendor, fault.code) for fault in route.passed]


# -- the order


def test_a_template_has_an_order_of_its_own() -> None:
    assert names(router().route(request(), TEMPLATE, NOON)) == ["dxtong", "jumdata"]
    assert names(router().route(request(), TURNED, NOON)) == ["jumdata", "dxtong"]
    assert names(router(VENDOR_ORDER="dxtong,jumdata").route(request(), TURNED, NOON)) == ["jumdata", "dxtong"]


@pytest.mark.parametrize("order", ["dxtong,jumdata", "jumdata,dxtong", " jumdata , dxtong ,"])
def test_without_a_template_the_setting_has_it(order: str) -> None:
    routes = router(VENDOR_ORDER=order)
    assert names(routes.route(request(Text("1125")), None, NOON)) == ["dxtong"]
    assert names(routes.route(request(VendorTemplate("T1001")), None, NOON)) == ["jumdata"]


@pytest.mark.parametrize("order", ["dxtong,jumdata", "jumdata,dxtong"])
def test_a_vendor_that_has_no_such_form_is_not_why_a_message_is_not_carried(order: str) -> None:
    """Over 180 characters, and nobody left: content_too_long, wherever jumdata stands in the order."""
    found = router(VENDOR_ORDER=order).route(request(Text("字" * 181)), None, NOON)
    assert (names(found), passed(found)) == ([], [("dxtong", "content_too_long")])
    found = router(VENDOR_ORDER=order).route(request(VendorTemplate("T1001", ("a,b",))), None, NOON)
    assert (names(found), passed(found)) == ([], [("jumdata", "template_mismatch")])


def test_a_pinned_vendor_is_the_only_one() -> None:
    for vendor in ("dxtong", "jumdata"):
        found = router().route(request(vendor=vendor), TEMPLATE, NOON)
        assert (found.order, names(found), passed(found)) == ((vendor,), [vendor], [])


def test_a_pinned_vendor_that_the_template_does_not_name_cannot_carry_it() -> None:
    only = Template("t", ENTRY["text"], {"dxtong": {}})
    found = router().route(request(vendor="jumdata"), only, NOON)
    assert (names(found), passed(found)) == ([], [("jumdata", "template_mismatch")])


def test_a_vendor_that_the_template_does_not_name_is_not_asked() -> None:
    found = router().route(request(), Template("t", ENTRY["text"], {"dxtong": {}}), NOON)
    assert found.order == ("dxtong",)


def test_a_vendor_that_there_is_not_is_a_wrong_setting() -> None:
    """A slip in the order would go unseen until the one vendor that is left has no credit."""
    with pytest.raises(SettingsError, match="VENDOR_ORDER names gone"):
        router(VENDOR_ORDER="gone,dxtong").route(request(Text("1125")), None, NOON)


def test_a_vendor_that_is_not_in_the_order_is_not_asked() -> None:
    assert "dxtong" not in router(VENDOR_ORDER="jumdata").route(request(Text("1125")), None, NOON).order
    assert names(router(VENDOR_ORDER="jumdata").route(request(Text("1125")), None, NOON)) == []


def test_a_redial_asks_another_vendor_first_and_else_the_same() -> None:
    assert names(router().route(request(), TEMPLATE, NOON, avoid="dxtong")) == ["jumdata", "dxtong"]
    assert names(router().route(request(), TEMPLATE, NOON, avoid="jumdata")) == ["dxtong", "jumdata"]
    assert names(router().route(request(Text("1125")), None, NOON, avoid="dxtong")) == ["dxtong"]
    assert names(router().route(request(vendor="dxtong"), TEMPLATE, NOON, avoid="dxtong")) == ["dxtong"]


# -- resting


def test_a_resting_vendor_goes_last_never_out() -> None:
    clock = Clock()
    resting = Resting(clock)
    resting.rest("dxtong", 60)
    assert names(router(resting).route(request(), TEMPLATE, NOON)) == ["jumdata", "dxtong"]
    assert names(router(resting).route(request(Text("1125")), None, NOON)) == ["dxtong"]
    assert names(router(resting).route(request(vendor="dxtong"), TEMPLATE, NOON)) == ["dxtong"]


def test_a_rest_ends() -> None:
    clock = Clock()
    resting = Resting(clock)
    resting.rest("dxtong", 60)
    for seconds, rests in ((0, True), (59.9, True), (60, False), (3600, False)):
        clock.now = NOON + seconds
        assert ("dxtong" in resting) is rests, seconds
    assert "jumdata" not in resting


def test_where_all_rest_the_order_stands() -> None:
    resting = Resting(Clock())
    for vendor in ("jumdata", "dxtong"):
        resting.rest(vendor, 60)
    assert names(router(resting).route(request(), TEMPLATE, NOON)) == ["dxtong", "jumdata"]


# -- credit that is used up


class Looked:
    """Vendors without credit; notes after which of them somebody asked."""

    def __init__(self, *used_up: str) -> None:
        self.used_up = used_up
        self.asked: list[str] = []

    def __contains__(self, vendor: object) -> bool:
        self.asked.append(str(vendor))
        return vendor in self.used_up


@pytest.mark.parametrize(
    ("used_up", "order", "asked"),
    [
        ((), ["dxtong", "jumdata"], ["dxtong"]),
        (("jumdata",), ["dxtong", "jumdata"], ["dxtong"]),
        (("dxtong",), ["jumdata", "dxtong"], ["dxtong", "jumdata"]),
        (("dxtong", "jumdata"), ["dxtong", "jumdata"], ["dxtong", "jumdata"]),
    ],
)
def test_a_vendor_without_credit_goes_last_and_no_further_one_is_looked_at(
    used_up: tuple[str, ...], order: list[str], asked: list[str]
) -> None:
    looked = Looked(*used_up)
    assert names(router(used_up=looked).route(request(), TEMPLATE, NOON)) == order
    assert looked.asked == asked


def test_a_vendor_without_credit_goes_behind_one_that_rests_and_the_one_that_is_to_be_avoided() -> None:
    resting = Resting(Clock())
    resting.rest("jumdata", 60)
    assert names(router(resting, used_up=["dxtong"]).route(request(), TEMPLATE, NOON)) == ["jumdata", "dxtong"]
    avoiding = router(used_up=["dxtong"]).route(request(), TEMPLATE, NOON, avoid="jumdata")
    assert names(avoiding) == ["jumdata", "dxtong"]


def test_where_one_vendor_only_could_carry_it_nobodys_credit_is_looked_at() -> None:
    looked = Looked("dxtong", "jumdata")
    routes = router(used_up=looked)
    assert names(routes.route(request(vendor="dxtong"), TEMPLATE, NOON)) == ["dxtong"]
    assert names(routes.route(request(Text("1125")), None, NOON)) == ["dxtong"]
    assert names(routes.route(request(), TURNED, at("23:00:00"))) == ["dxtong"], "jumdata's hours are over"
    assert looked.asked == []


# -- what passes a vendor over


def test_a_comma_passes_jumdata_over() -> None:
    comma = Catalogue("order_shipped", {"order": "9633,9634", "carrier": "顺丰"})
    found = router().route(request(comma), TURNED, NOON)
    assert (names(found), passed(found)) == (["dxtong"], [("jumdata", "template_mismatch")])
    alone = router().route(request(VendorTemplate("T1001", ("a,b",))), None, NOON)
    assert (names(alone), passed(alone)) == ([], [("jumdata", "template_mismatch")])


def test_length_passes_dxtong_over() -> None:
    long = Catalogue("order_shipped", {"order": "9" * 180, "carrier": "顺丰"})
    found = router().route(request(long), TEMPLATE, NOON)
    assert (names(found), passed(found)) == (["jumdata"], [("dxtong", "content_too_long")])


def test_faults_are_in_the_order_of_the_vendors() -> None:
    """Where every vendor is passed over, the error is that of the first."""
    both = Catalogue("order_shipped", {"order": "9" * 180, "carrier": "a,b"})
    assert passed(router().route(request(both), TEMPLATE, NOON)) == [
        ("dxtong", "content_too_long"),
        ("jumdata", "template_mismatch"),
    ]
    assert passed(router().route(request(both), TURNED, NOON))[0] == ("jumdata", "template_mismatch")


def test_a_vendor_without_credentials_is_passed_over() -> None:
    found = router(credentials=lambda vendor: None if vendor.name == "dxtong" else filled_in(vendor)).route(
        request(), TEMPLATE, NOON
    )
    assert (names(found), passed(found)) == (["jumdata"], [("dxtong", "not_configured")])


def unreadable(name: str) -> Callable[[Vendor], Mapping[str, str] | None]:
    def credentials(vendor: Vendor) -> Mapping[str, str] | None:
        if vendor.name == name:
            raise AwsUnavailable("secretsmanager: a secret could not be read")
        return filled_in(vendor)

    return credentials


def test_a_secret_that_cannot_be_read_costs_its_vendor_only() -> None:
    assert names(router(credentials=unreadable("dxtong")).route(request(), TEMPLATE, NOON)) == ["jumdata"]


def test_where_that_leaves_nobody_it_is_aws_that_failed() -> None:
    """That is no fault of the request's: it must not be rejected for it."""
    with pytest.raises(AwsUnavailable):
        router(credentials=unreadable("dxtong")).route(request(Text("1125")), None, NOON)


def test_a_carrier_has_its_call_and_its_credentials_and_shows_none() -> None:
    carrier = (
        router(credentials=lambda vendor: dict.fromkeys(vendor.credentials, "secret"))
        .route(request(), TEMPLATE, NOON)
        .carriers[0]
    )
    assert carrier.call.content == "您的订单号是:9633。已由顺丰发出,请注意查收。"
    assert set(carrier.credentials) == {"account", "apiKey"}
    assert "secret" not in repr(carrier)


def test_where_callbacks_cannot_come_dxtong_is_left_out_unless_it_is_pinned() -> None:
    polling = router(CALLBACK_MODE="poll")
    assert names(polling.route(request(), TEMPLATE, NOON)) == ["jumdata"]
    assert names(polling.route(request(Text("1125")), None, NOON)) == []
    assert names(polling.route(request(vendor="dxtong"), TEMPLATE, NOON)) == ["dxtong"]
    assert names(polling.route(request(vendor="jumdata"), TEMPLATE, NOON)) == ["jumdata"]


# -- hours


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("00:00:00", False), ("08:59:59.999", False), ("09:00:00", True), ("12:00:00", True), ("20:58:59", True),
        ("20:58:59.999", True), ("20:59:00", False), ("20:59:59", False), ("21:00:00", False), ("23:59:59", False),
    ],
)  # fmt: skip
def test_jumdata_calls_from_9_to_21_but_for_the_last_minute(moment: str, open_: bool) -> None:
    found = router().route(request(vendor="jumdata"), TEMPLATE, at(moment))
    assert names(found) == (["jumdata"] if open_ else [])
    assert passed(found) == ([] if open_ else [("jumdata", "outside_hours")])
    assert (found.opens is None) == open_


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("00:00:00", "2026-11-22 09:00:00"), ("08:59:59.999", "2026-11-22 09:00:00"),
        ("20:59:00", "2026-11-23 09:00:00"), ("23:59:59", "2026-11-23 09:00:00"),
        ("2026-12-31 22:00:00", "2027-01-01 09:00:00"), ("2028-02-28 22:00:00", "2028-02-29 09:00:00"),
    ],
)  # fmt: skip
def test_a_shut_window_opens_next(moment: str, opens: str) -> None:
    assert next_opening(window("JUMDATA_HOURS", "09:00-21:00"), at(moment)) == at(opens)


def test_a_window_that_never_shuts_has_no_last_minute() -> None:
    always = window("DXTONG_HOURS", "00:00-24:00")
    assert always.always
    for moment in ("00:00:00", "23:59:00", "23:59:59.999"):
        assert next_opening(always, at(moment)) is None


def test_a_window_until_midnight_has_one() -> None:
    evening = window("JUMDATA_HOURS", "18:00-24:00")
    assert next_opening(evening, at("23:58:59")) is None
    assert next_opening(evening, at("23:59:00")) == at("2026-11-23 18:00:00")


def test_the_machine_s_own_time_zone_does_not_matter() -> None:
    utc = datetime.datetime(2026, 11, 22, 1, 0, tzinfo=datetime.UTC).timestamp()
    assert next_opening(window("JUMDATA_HOURS", "09:00-21:00"), utc) is None
    assert next_opening(window("JUMDATA_HOURS", "09:00-21:00"), utc - 1) == utc


def test_at_night_the_other_vendor_carries_it() -> None:
    found = router().route(request(), TURNED, at("23:00:00"))
    assert (names(found), passed(found)) == (["dxtong"], [("jumdata", "outside_hours")])


def test_the_first_opening_of_all_counts() -> None:
    found = router(DXTONG_HOURS="07:30-20:00").route(request(), TURNED, at("23:00:00"))
    assert (names(found), found.opens) == ([], at("2026-11-23 07:30:00"))


def test_only_a_window_that_is_all_that_stands_in_the_way_is_waited_for() -> None:
    """A vendor that cannot carry it will not carry it tomorrow."""
    night = at("23:00:00")
    comma = VendorTemplate("T1001", ("a,b",))
    assert router().route(request(comma, "jumdata"), None, night).opens is None
    assert router(credentials=lambda vendor: None).route(request(vendor="jumdata"), TEMPLATE, night).opens is None
    assert router().route(request(Text("1125"), None), None, night).opens is None
    long = Catalogue("order_shipped", {"order": "9" * 180, "carrier": "顺丰"})
    found = router().route(request(long), TEMPLATE, night)
    assert passed(found) == [("dxtong", "content_too_long"), ("jumdata", "outside_hours")]
    assert found.opens == at("2026-11-23 09:00:00")


# -- values of a template


@pytest.mark.parametrize(
    ("params", "named"),
    [({"order": "1"}, "carrier"), ({}, "order"), ({"order": "1", "carrier": "2", "more": "3"}, "more")],
)
def test_a_missing_or_an_extra_value_is_a_mismatch(params: dict[str, str], named: str) -> None:
    fault = mismatch(request(Catalogue("order_shipped", params)), TEMPLATE)
    assert fault is not None
    assert fault.code == "template_mismatch"
    assert named in fault.message


def test_the_right_values_are_none() -> None:
    assert mismatch(request(), TEMPLATE) is None
    assert mismatch(request(Text("1125")), TEMPLATE) is None


# -- settings


@pytest.mark.parametrize("hours", ["09:00-21:00", "00:00-24:00", "00:00-00:01", "23:59-24:00"])
def test_hours(hours: str) -> None:
    found = window("JUMDATA_HOURS", hours)
    assert isinstance(found, Window)
    assert found.opens < found.closes


@pytest.mark.parametrize(
    "hours",
    ["", "9:00-21:00", "09:00", "21:00-09:00", "09:00-09:00", "24:00-24:00", "09:00-24:01", "09:00-25:00",
     "09:60-21:00", "09:00-21:00 ", "09:00–21:00", "09:00-21:00\n", "always"],
)  # fmt: skip
def test_no_hours(hours: str) -> None:
    with pytest.raises(SettingsError) as caught:
        window("JUMDATA_HOURS", hours)
    assert caught.value.name == "JUMDATA_HOURS"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://api.jumdata.com", "https://api.jumdata.com"),
        ("https://api.jumdata.com/", "https://api.jumdata.com"),
        ("https://example.com:8443/base/", "https://example.com:8443/base"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080/x", "http://localhost:8080/x"),
    ],
)
def test_an_address(address: str, expected: str) -> None:
    assert web_address("JUMDATA_ENDPOINT", address) == expected


@pytest.mark.parametrize(
    "address",
    ["", "api.jumdata.com", "http://api.jumdata.com", "http://10.0.0.1", "http://0.0.0.0", "http://localhost.example.com",
     "http://127.0.0.1.example.com", "ftp://127.0.0.1", "file:///etc/hostname", "https://", "https:///x",
     "https://user:secret@example.com", "https://example.com?x=1", "https://example.com#x", "https://example.com:99999",
     "https://example.com:0", "https://example.com/../x", "https://exa mple.com", "https://example.com\n",
     "//example.com", "https://例子.com", "http://127.0.0.1@example.com", "https://example.com\\@127.0.0.1"],
)  # fmt: skip
def test_no_address(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        web_address("JUMDATA_ENDPOINT", address)
    assert caught.value.name == "JUMDATA_ENDPOINT"
    assert "secret" not in str(caught.value)


def test_the_settings_of_a_vendor() -> None:
    found = Settings({**ENVIRON, "JUMDATA_DAILY_CAP": "3", "JUMDATA_LOW_CREDIT": "50"}).vendor("jumdata")
    assert (found.endpoint, found.secret, found.daily_cap) == ("https://api.jumdata.com", "arn:jumdata", 3)
    assert (found.hours.opens, found.low_credit) == (datetime.timedelta(hours=9), "50")
    other = Settings(ENVIRON).vendor("dxtong")
    assert other.hours.always
    assert other.daily_cap == 0


def test_a_vendor_that_nobody_wrote_yet_has_settings_under_its_name() -> None:
    third = Settings({"THIRD_ENDPOINT": "https://example.com", "THIRD_SECRET_ARN": "arn:third"}).vendor("third")
    assert (third.endpoint, third.secret) == ("https://example.com", "arn:third")


def test_the_defaults_of_section_8() -> None:
    found = Settings({})
    seconds = (found.vendor_deadline_seconds, found.vendor_rest_seconds, found.redial_after_seconds)
    assert (*seconds, found.unanswered_after_seconds) == (8, 60, 300, 3600)
    assert (found.link_by_number, found.retention_days, found.poll, found.credit_clear_percent) == (
        True,
        30,
        False,
        120,
    )


@pytest.mark.parametrize(
    ("name", "values", "read"),
    [
        ("VENDOR_DEADLINE_SECONDS", ["0", "-1", "1.5", "eight", "８", "1" * 10], lambda s: s.vendor_deadline_seconds),
        ("RETENTION_DAYS", ["0", "23", "30 days"], lambda s: s.retention_days),
        ("CREDIT_CLEAR_PERCENT", ["99", "-120"], lambda s: s.credit_clear_percent),
        ("CALLBACK_MODE", ["pull", "POLL"], lambda s: s.poll),
        ("CALLBACK_BASE_URL", ["http://example.com", "example.com"], lambda s: s.callback_base_url),
        ("REDIAL_AFTER_SECONDS", ["0"], lambda s: s.redial_after_seconds),
        ("UNANSWERED_AFTER_SECONDS", ["0"], lambda s: s.unanswered_after_seconds),
        ("CREDIT_DAYS_AHEAD", ["-1", "2.5", "three"], lambda s: s.credit_days_ahead),
    ],
)
def test_a_setting_that_is_wrong_is_named(name: str, values: list[str], read: Callable[[Settings], object]) -> None:
    for value in values:
        with pytest.raises(SettingsError) as caught:
            read(Settings({name: value}))
        assert caught.value.name == name


def test_a_message_is_never_forgotten_while_sns_may_deliver_it_again() -> None:
    assert Settings({"RETENTION_DAYS": "24"}).retention_days == 24


def test_a_setting_that_is_needed_and_absent_is_named() -> None:
    found = Settings({"DXTONG_ENDPOINT": " "})
    with pytest.raises(SettingsError, match=r"^VENDOR_ORDER"):
        _ = found.vendor_order
    with pytest.raises(SettingsError, match=r"^STACK_NAME"):
        _ = found.templates_prefix
    with pytest.raises(SettingsError, match=r"^DXTONG_ENDPOINT"):
        found.vendor("dxtong")


def test_where_callbacks_cannot_come_results_are_asked_for_soon() -> None:
    assert Settings({"CALLBACK_MODE": "poll"}).query_times[:6] == (60, 120, 300, 600, 1800, 3600)
    pushed = Settings({}).query_times
    assert pushed[0] == 3600
    assert 43_200 <= pushed[-1] <= 86_400
    gaps = [later - sooner for sooner, later in pairwise(pushed)]
    assert gaps == sorted(gaps)


# -- the catalogue


class Parameters:
    """SSM, as a client answers for it: parameters by name."""

    def __init__(self, stored: dict[str, str]) -> None:
        self.stored = stored
        self.asked: list[str] = []
        self.down = False

    def get_parameter(self, *, Name: str) -> dict[str, Any]:  # noqa: N803
        self.asked.append(Name)
        if self.down:
            raise EndpointConnectionError(endpoint_url="https://example.com")
        if Name not in self.stored:
            raise ClientError({"Error": {"Code": "ParameterNotFound", "Message": ""}}, "GetParameter")
        return {"Parameter": {"Value": self.stored[Name]}}


Stored = Callable[..., Parameters]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Stored:
    """Puts parameters into the place of SSM: entries by their template's name, as JSON unless they are texts."""

    def instead(**entries: Any) -> Parameters:
        texts = {name: entry if isinstance(entry, str) else json.dumps(entry) for name, entry in entries.items()}
        ssm = Parameters({f"/stack/templates/{name}": text for name, text in texts.items()})
        monkeypatch.setattr(aws, "client", {"ssm": ssm}.__getitem__)
        return ssm

    return instead


def templates(clock: Clock | None = None) -> catalogue.TemplateCatalogue:
    return catalogue.TemplateCatalogue("/stack/templates/", clock or Clock())


def test_a_template_is_read_by_its_name(stored: Stored) -> None:
    stored(order_shipped=ENTRY)
    loaded = templates().load("order_shipped")
    assert loaded == TEMPLATE
    assert isinstance(loaded, Template)
    assert list(loaded.vendors) == ["dxtong", "jumdata"]


@pytest.mark.parametrize("name", ["Order", "a" * 65, "../secret", "a/b", "", "号", "a\n", "a.b"])
def test_a_name_that_is_none_is_not_asked_for(name: str, stored: Stored) -> None:
    ssm = stored()
    fault = templates().load(name)
    assert isinstance(fault, Fault)
    assert (fault.code, ssm.asked) == ("unknown_template", [])


@pytest.mark.parametrize(("seconds", "asked"), [(0, 1), (299, 1), (301, 2)])
def test_a_template_is_asked_for_once_in_a_cache_s_life(seconds: float, asked: int, stored: Stored) -> None:
    clock, ssm = Clock(), stored(order_shipped=ENTRY)
    cached = templates(clock)
    assert cached.load("order_shipped") == TEMPLATE
    clock.now += seconds
    assert cached.load("order_shipped") == TEMPLATE
    assert ssm.asked == ["/stack/templates/order_shipped"] * asked


def test_a_template_that_is_not_there_is_unknown_until_it_is_there(stored: Stored) -> None:
    ssm = stored()
    cached = templates()
    fault = cached.load("order_shipped")
    assert isinstance(fault, Fault)
    assert fault.code == "unknown_template"
    ssm.stored["/stack/templates/order_shipped"] = json.dumps(ENTRY)
    assert cached.load("order_shipped") == TEMPLATE


def test_while_ssm_is_down_a_copy_serves_and_without_one_it_is_aws_that_failed(stored: Stored) -> None:
    """That is no fault of the request's: it must not be rejected for it."""
    clock, ssm = Clock(), stored(order_shipped=ENTRY, other=ENTRY)
    cached = templates(clock)
    cached.load("order_shipped")
    ssm.down = True
    clock.now += 301
    assert cached.load("order_shipped") == TEMPLATE
    with pytest.raises(AwsUnavailable):
        cached.load("other")


@pytest.mark.parametrize(
    "entry",
    ["", "text", "null", "[]", "{}", '{"text": "x"}', '{"text": "{", "vendors": {"dxtong": {}}}',
     '{"text": "{order}", "vendors": {"jumdata": {"template_id": "T1001", "params": [["order"]]}}}'],
)  # fmt: skip
def test_a_stored_template_that_cannot_be_used_is_a_fault_and_no_crash(entry: str, stored: Stored) -> None:
    stored(t=entry)
    fault = templates().load("t")
    assert isinstance(fault, Fault)
    assert fault.code == "unknown_template"


def test_a_good_entry_has_no_warnings() -> None:
    assert catalogue.check_template("order_shipped", ENTRY) == []


def test_an_entry_for_one_vendor_is_good() -> None:
    for vendor, own in ENTRY["vendors"].items():
        assert catalogue.check_template("t", {"text": ENTRY["text"], "vendors": {vendor: own}}) == []


@pytest.mark.parametrize(
    "entry",
    [
        None, [], "text", {}, {"text": "x"}, {"vendors": {"dxtong": {}}}, {**ENTRY, "more": 1},
        {**ENTRY, "text": ""}, {**ENTRY, "text": " "}, {**ENTRY, "text": 1}, {**ENTRY, "text": None},
        {**ENTRY, "vendors": {}}, {**ENTRY, "vendors": []}, {**ENTRY, "vendors": {"gone": {}}},
        {**ENTRY, "vendors": {"base": {}}}, {**ENTRY, "vendors": {"dxtong": None}},
        {**ENTRY, "vendors": {"dxtong": []}},
        {**ENTRY, "vendors": {"dxtong": {"template_id": "T1"}}}, {**ENTRY, "vendors": {"jumdata": {}}},
        {"text": "字" * 181, "vendors": {"dxtong": {}}},
        {"text": "字" * 1400, "vendors": {"jumdata": {"template_id": "T1"}}},
    ],
)  # fmt: skip
def test_an_entry_that_no_vendor_could_carry_is_refused(entry: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        catalogue.check_template("t", entry)


@pytest.mark.parametrize(
    "text", ["{", "}", "{}", "{0}", "{a b}", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{号}", "{a{b}}", "{-a}"]
)
def test_braces_hold_a_name_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        placeholders(text)
    with pytest.raises(ValueError, match=r".+"):
        catalogue.check_template("t", {"text": text, "vendors": {"jumdata": {"template_id": "T1001"}}})


def test_doubled_braces_are_literal() -> None:
    assert placeholders("{{a}} {b} }}{{") == {"b"}


def test_every_fault_of_an_entry_is_listed() -> None:
    bad = {"dxtong": {"x": 1}, "jumdata": {"template_id": "", "params": ["gone"]}, "gone": {}}
    with pytest.raises(ValueError, match=r"dxtong.*jumdata.*jumdata.*gone"):
        catalogue.check_template("t", {"text": "{order}", "vendors": bad})


def test_what_a_vendor_may_refuse_is_warned_of() -> None:
    warnings = catalogue.check_template("t", {"text": "字" * 175 + "{order}", "vendors": {"dxtong": {}}})
    assert len(warnings) == 1
    assert "dxtong" in warnings[0]
