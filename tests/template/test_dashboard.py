"""The dashboard, the alarms and the saved queries: what they name is there, and somebody writes it."""

import itertools
import json
import re
from typing import Any

import pytest

from tests.found import FUNCTIONS, VENDORS
from tests.gateway import ROOT
from tests.template import dashboard, written
from tests.template.dashboard import Metric
from tests.template.evaluation import FRANKFURT, PLACES, Evaluation, Place

MODES = ("push", "poll")
COLUMNS = 24

# Per namespace: the metrics that AWS documents for it, and by what they are told apart.
OF_AWS: dict[str, tuple[set[str], list[set[str]]]] = {
    # docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}, [{"QueueName"}]),
    # docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": ({"Errors", "Duration", "IteratorAge"}, [{"FunctionName"}]),
    # docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    "AWS/ApiGateway": ({"Count", "4XXError", "5XXError"}, [{"ApiName"}, {"ApiName", "Stage"}]),
}
RESOURCES_OF_AWS = {"QueueName": "AWS::SQS::Queue", "FunctionName": "AWS::Lambda::Function"}


@pytest.fixture(params=MODES)
def template(request: pytest.FixtureRequest) -> Evaluation:
    return Evaluation(FRANKFURT, CallbackMode=request.param)


def named(template: Evaluation) -> set[Metric]:
    return {*dashboard.of_widgets(dashboard.widgets(template, "metric")), *dashboard.of_alarms(template)}


def written_by_nobody(metrics: set[Metric]) -> set[Metric]:
    return {each for each in metrics if each.namespace == "VoiceGateway"} - written.metrics()


def to_come() -> set[str]:
    """The forecast of the credit, which its widgets are there for already; nothing once the code has it."""
    source = "".join(path.read_text() for path in (ROOT / "layers/gateway/src/voice_gateway/credit").glob("*.py"))
    return set() if "CreditDaysLeft" in source else {"CreditPerDay", "CreditDaysLeft"}


# Metrics.


def test_every_metric_that_is_named_is_one_that_a_function_writes(template: Evaluation) -> None:
    assert not {each for each in written_by_nobody(named(template)) if each.name not in to_come()}


@pytest.mark.parametrize(
    ("name", "dimensions"),
    [
        ("Delivred", {"vendor": "dxtong", "service": "publish"}),
        ("Delivered", {"service": "publish"}),
        ("Delivered", {"vendor": "dxtong", "service": "send"}),
        ("Delivered", {"vendor": "nobody", "service": "publish"}),
        ("OutcomeUnknown", {"vendor": "dxtong", "service": "publish"}),
    ],
)
def test_a_metric_that_nobody_writes_would_be_found(name: str, dimensions: dict[str, str]) -> None:
    row = ["VoiceGateway", name, *itertools.chain(*({"stack": "gateway"} | dimensions).items()), {"label": "x"}]
    (metric,) = dashboard.of_widgets([{"metrics": [row]}])
    assert written_by_nobody({metric}) == {metric}


def test_the_metrics_of_aws_are_of_this_templates_resources(template: Evaluation) -> None:
    of_aws = {each for each in named(template) if each.namespace != "VoiceGateway"}
    assert {each.namespace for each in of_aws} <= set(OF_AWS)
    for namespace, name, dimensions in of_aws:
        metrics, ways = OF_AWS[namespace]
        assert name in metrics
        assert {each for each, _ in dimensions} in ways
        for dimension, value in dimensions:
            if dimension == "ApiName":
                (api,) = template.of_type("AWS::ApiGateway::RestApi").values()
                assert value == api["Properties"]["Name"]
            elif dimension == "Stage":
                (stage,) = template.of_type("AWS::ApiGateway::Stage").values()
                assert value == stage["Properties"]["StageName"]
            else:
                resource = re.sub(r"^\$\{(\w+)(?:\.QueueName)?\}$", r"\1", value)
                assert template.resources[resource]["Type"] == RESOURCES_OF_AWS[dimension]


def test_the_dashboard_shows_every_vendor_and_every_function(template: Evaluation) -> None:
    """A further vendor gets its rows here, as it gets its block in the template."""
    shown = set(dashboard.of_widgets(dashboard.widgets(template, "metric")))
    for metric in ("Accepted", "Delivered", "Failed", "RingToReceiptSeconds", "Credit", "CreditDaysLeft"):
        vendors = {dict(each.dimensions)["vendor"] for each in shown if each.name == metric}
        assert vendors == set(VENDORS), metric
    functions = {f"{name}Function" for name in FUNCTIONS} & set(template.resources)
    for metric in ("Errors", "Duration"):
        found = {value for each in shown if each.name == metric for _, value in each.dimensions}
        assert found == {f"${{{name}}}" for name in functions}, metric
    refused = {dict(each.dimensions)["service"] for each in shown if each.name == "BadToken"}
    assert refused == ({f"callback_{name}" for name in VENDORS} if "CallbackApi" in template.resources else set())


# Widgets.


def test_no_widgets_overlap_and_all_are_within_the_columns(template: Evaluation) -> None:
    taken: dict[tuple[int, int], str] = {}
    for widget in dashboard.body(template)["widgets"]:
        title = widget["properties"].get("title", widget["type"])
        assert 0 <= widget["x"] < widget["x"] + widget["width"] <= COLUMNS, title
        for at in itertools.product(
            range(widget["x"], widget["x"] + widget["width"]), range(widget["y"], widget["y"] + widget["height"])
        ):
            assert at not in taken, f"{title} and {taken[at]}"
            taken[at] = title
    rows = {y for _, y in taken}
    assert rows == set(range(len(rows))), "a row is empty"


def test_every_widget_has_a_title_of_its_own_and_every_line_a_label(template: Evaluation) -> None:
    widgets = dashboard.widgets(template, "metric") + dashboard.widgets(template, "alarm")
    titles = [each["title"] for each in widgets]
    assert len(set(titles)) == len(titles)
    for each in dashboard.widgets(template, "metric"):
        options = [row[-1] for row in each["metrics"]]
        assert all("label" in one or one["visible"] is False for one in options), each["title"]
        reckoned = [one["expression"] for one in options if "expression" in one]
        ids = {one["id"] for one in options if "id" in one}
        for expression in reckoned:
            assert set(re.findall(r"[a-z]\w+", expression)) <= ids, expression


def test_it_begins_with_where_to_begin(template: Evaluation) -> None:
    first, second, *_ = dashboard.body(template)["widgets"]
    assert (first["type"], first["y"]) == ("text", 0)
    assert "voice-gateway why ID --stack gateway" in first["properties"]["markdown"]
    assert second["type"] == "alarm"


def test_every_alarm_is_on_it(template: Evaluation) -> None:
    (widget,) = dashboard.widgets(template, "alarm")
    assert set(widget["alarms"]) == {f"${{{name}.Arn}}" for name in template.of_type("AWS::CloudWatch::Alarm")}
    assert len(set(widget["alarms"])) == len(widget["alarms"]) <= 100


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.region)
@pytest.mark.parametrize("mode", MODES)
def test_it_is_of_its_own_place(place: Place, mode: str) -> None:
    deployed = Evaluation(place, CallbackMode=mode)
    assert {each["region"] for each in dashboard.widgets(deployed, "metric")} == {place.region}
    # Dashboards are of the whole account: two regions' stacks of one name would take each other's.
    (resource,) = deployed.of_type("AWS::CloudWatch::Dashboard").values()
    assert resource["Properties"]["DashboardName"] == f"gateway-{place.region}"
    assert deployed.outputs["DashboardName"]["Value"] == {"Ref": "Dashboard"}


# Saved queries.

WORDS = {
    *("fields", "filter", "sort", "limit", "stats", "parse", "by", "as", "asc", "desc"),
    *("and", "or", "in", "like", "ispresent", "count", "max", "min", "pct"),
}
OF_THE_LOGS = {"@timestamp", "@message", "@log", "@type", "@initDuration"}


def queries(template: Evaluation) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in template.of_type("AWS::Logs::QueryDefinition").items()}


def logged() -> set[str]:
    """The fields of what is logged: the functions' lines, and Powertools' Logger's."""
    return {name for line in written.lines() for name in line}


def fields_of(query: str) -> set[str]:
    """What a query reads: no words of the language, no texts, no patterns, and no names that it gives itself."""
    bare = re.sub(r'"[^"]*"|\'[^\']*\'|/[^/]+/', " ", query)
    given = set(re.findall(r"\bas (\w+)", bare)) | set(re.findall(r"\(\?<(\w+)>", query))
    return set(re.findall(r"@?[A-Za-z_]\w*", bare)) - given - WORDS


def test_the_queries_are_in_a_folder_of_the_stacks(template: Evaluation) -> None:
    names = [each["Name"] for each in queries(template).values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"gateway/[A-Z][A-Za-z ]+", name) for name in names)
    expected = {"MessageQuery", "RefusedQuery", "SlowVendorQuery", "WentWrongQuery", "ColdStartQuery"}
    assert set(queries(template)) - {"RefusedCallbackQuery"} == expected
    assert ("RefusedCallbackQuery" in queries(template)) == ("CallbackApi" in template.resources)


def test_a_query_asks_log_groups_of_the_template(template: Evaluation) -> None:
    groups = {f"${{{name}}}" for name in template.of_type("AWS::Logs::LogGroup")}
    for name, each in queries(template).items():
        asked = {dashboard.text(group) for group in each["LogGroupNames"]}
        assert asked <= groups
        if name in {"MessageQuery", "WentWrongQuery", "ColdStartQuery"}:
            assert asked == groups - {"${CallbackApiLogGroup}"}


@pytest.mark.parametrize(
    "name", ["MessageQuery", "RefusedQuery", "SlowVendorQuery", "WentWrongQuery", "ColdStartQuery"]
)
def test_a_query_reads_fields_that_the_functions_log(name: str) -> None:
    asked = fields_of(queries(Evaluation(FRANKFURT))[name]["QueryString"])
    assert asked
    assert asked <= logged() | OF_THE_LOGS


def test_a_field_that_nobody_logs_would_be_found() -> None:
    assert fields_of('filter service = "send" and vendor_milliseconds > 2 | sort @timestamp desc') - logged() == {
        "vendor_milliseconds",
        "@timestamp",
    }


def test_the_query_of_refused_callbacks_reads_the_access_log() -> None:
    template = Evaluation(FRANKFURT)
    (stage,) = template.of_type("AWS::ApiGateway::Stage").values()
    written_there = set(json.loads(stage["Properties"]["AccessLogSetting"]["Format"]))
    asked = fields_of(queries(template)["RefusedCallbackQuery"]["QueryString"])
    assert asked - OF_THE_LOGS == {"status", "sourceIp", "method", "route"}
    assert asked <= written_there | OF_THE_LOGS


def test_the_operators_page_says_what_each_answers() -> None:
    page = (ROOT / "docs" / "dashboard.md").read_text()
    template = Evaluation(FRANKFURT)
    for each in dashboard.widgets(template, "metric") + dashboard.widgets(template, "alarm"):
        assert each["title"] in page
    for query in queries(template).values():
        assert query["Name"].removeprefix("gateway/") in page
