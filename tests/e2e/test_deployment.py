"""What the deployment itself must give: every package of the layer, and its dashboard."""

import json

import pytest

from local.simulators.server import LoopbackServer, Reply, Request
from local.stack import InvokeError, Stack
from tests.e2e.use import SHIPPED, number, send, sends, until


@pytest.mark.parametrize("package", ["botocore", "requests", "urllib3", "certifi", "dateutil"])
def test_a_package_taken_out_of_the_layer_is_missed(gateway: Stack, package: str) -> None:
    sends(gateway)
    with gateway.without_package("send", package), pytest.raises((InvokeError, AssertionError)):
        sends(gateway)


def test_xml_is_read_with_the_packages_of_the_layer(gateway: Stack) -> None:
    """A dxtong that answers in its default format, whatever it was asked for."""
    with AnsweringInXml() as vendor, gateway.with_setting("send", "DXTONG_ENDPOINT", vendor.address):
        request = {"mobile": number(79), "vendor": "dxtong", **SHIPPED}
        assert send(gateway, **request)["call_id"] == "60495654"
        with gateway.without_package("send", "defusedxml"), pytest.raises((InvokeError, AssertionError)):
            assert send(gateway, **request)["call_id"] == "60495654"


class AnsweringInXml(LoopbackServer):
    def handle(self, request: Request) -> Reply:
        answer = "<SubmitResult><code>2</code><msg>提交成功</msg><voiceid>60495654</voiceid></SubmitResult>\n"
        return Reply(f'<?xml version="1.0" encoding="utf-8"?>{answer}'.encode())


def test_the_dashboard_is_there_and_its_metrics_come_in(gateway: Stack) -> None:
    """What the template leaves to deployment in its text is filled in, and a call makes a metric of its vendor."""
    cloudwatch = gateway.aws.cloudwatch
    (name,) = [each["DashboardName"] for each in cloudwatch.list_dashboards()["DashboardEntries"]]
    body = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
    assert "${" not in json.dumps(body)
    (alarms,) = [each["properties"]["alarms"] for each in body["widgets"] if each["type"] == "alarm"]
    deployed = {each["AlarmArn"] for each in cloudwatch.describe_alarms(MaxRecords=100)["MetricAlarms"]}
    assert set(alarms) <= deployed
    sends(gateway)

    def counted() -> bool:
        found = cloudwatch.list_metrics(Namespace="VoiceGateway", MetricName="Accepted")["Metrics"]
        return any({one["Name"] for one in each["Dimensions"]} == {"stack", "vendor", "service"} for each in found)

    until(counted, what="a metric of the vendor")
