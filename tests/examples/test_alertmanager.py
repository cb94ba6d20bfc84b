"""`examples/alertmanager`: what Alertmanager makes of an alert is a request without faults, whatever the alert holds.

Alertmanager itself publishes one in tests/e2e/test_examples.py.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from voice_gateway.model.request import Catalogue, Request
from voice_gateway.sending.reading import read

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "alertmanager"
CONFIG: dict[str, Any] = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
NOW = 1795316700.0
LABELS = {"alertname": "DiskFull", "oncall": "13800138000"}
NASTY = [
    'say "no" \\ maybe \\"',
    "磁盘\n满了\r\n\t\x00\x07\x1b\x7f\x85\u2028\u2029.",
    "<b>A&B</b> 'quoted' =%",
    "\\n \\u0041 \\' `x` {{ . }}",
    "emoji 😀 \U000e0001 é",
    "\\" * 20,
    '"' * 20,
]

with_amtool = pytest.mark.skipif(
    shutil.which("amtool") is None, reason="amtool is not installed (prometheus-alertmanager)"
)


def rendered(tmp_path: Path, labels: dict[str, str], annotations: dict[str, str], starts: str = "03:04:05Z") -> Any:
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": f"2026-11-22T{starts}",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "0a1b2c3d4e5f6071",
    }
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"receiver": "voice", "status": "firing", "alerts": [alert]}))
    message = CONFIG["receivers"][1]["sns_configs"][0]["message"]
    command = ["amtool", "template", "render", "--template.glob", str(FOLDER / "voice_gateway.tmpl")]
    command += ["--template.text", message, "--template.data", str(data)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def taken(raw: Any) -> Request:
    """The request as the gateway reads it, which raises if it has faults; it brings its own id."""
    request = read(raw, "x", NOW)
    assert request.message_id != "x"
    return request


def test_the_route_keeps_what_the_readme_relies_on() -> None:
    (route,) = CONFIG["route"]["routes"]
    assert route["receiver"] == "voice"
    assert route["matchers"] == ['oncall != ""']
    assert route["group_by"] == ["..."]
    assert route["repeat_interval"] == "4d"
    (sns,) = next(each["sns_configs"] for each in CONFIG["receivers"] if each["name"] == "voice")
    assert (sns["send_resolved"], sns["subject"]) == (False, "")
    (template,) = re.findall(r'^\{\{ template "([\w.]+)" \. \}\}$', sns["message"])
    assert CONFIG["templates"] == ["voice_gateway.tmpl"]
    assert f'{{{{ define "{template}" -}}}}' in (FOLDER / "voice_gateway.tmpl").read_text()


@with_amtool
def test_amtool_takes_the_configuration() -> None:
    command = ["amtool", "check-config", str(FOLDER / "alertmanager.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 templates\n  SUCCESS" in done.stdout


@with_amtool
def test_an_alert_is_a_request(tmp_path: Path) -> None:
    raw = rendered(tmp_path, {**LABELS, "escalate_to": "13800138001, 13800138002"}, {"voice": "磁盘已满"})
    assert raw == {
        "message_id": "0a1b2c3d4e5f6071-1795316645",
        "mobile": "13800138000",
        "escalate_to": ["13800138001", "13800138002"],
        "redial": {"times": 1, "after_seconds": 60},
        "template": "alert",
        "params": {"alert": "DiskFull", "summary": "磁盘已满"},
    }
    request = taken(raw)
    assert request.escalate_to == ("13800138001", "13800138002")
    shipped = json.loads((FOLDER / "templates.json").read_text())
    assert isinstance(request.form, Catalogue)
    assert request.form.template in shipped
    assert set(re.findall(r"\{(\w+)\}", shipped["alert"]["text"])) == set(raw["params"])


@with_amtool
def test_an_alert_that_begins_again_is_another_message(tmp_path: Path) -> None:
    ids = {rendered(tmp_path, LABELS, {}, starts)["message_id"] for starts in ("03:04:05Z", "03:04:05.9Z", "04:04:05Z")}
    assert ids == {"0a1b2c3d4e5f6071-1795316645", "0a1b2c3d4e5f6071-1795320245"}


@with_amtool
@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        ("13800138001", ["13800138001"]),
        (" ,13800138001 , ,13800138002,\n", ["13800138001", "13800138002"]),
        ("+86 138-0013-8001", ["+86 138-0013-8001"]),
        ("", None),
        (" , ", None),
    ],
)
def test_the_next_numbers_are_a_list(tmp_path: Path, given: str, read_as: list[str] | None) -> None:
    raw = rendered(tmp_path, {**LABELS, "escalate_to": given}, {})
    assert raw.get("escalate_to") == read_as
    taken(raw)


@with_amtool
def test_what_is_read_out_is_the_first_that_is_there(tmp_path: Path) -> None:
    for annotations, summary in (
        ({"voice": "一", "summary": "二"}, "一"),
        ({"summary": "二"}, "二"),
        ({"voice": ""}, "DiskFull"),
    ):
        assert rendered(tmp_path, LABELS, annotations)["params"]["summary"] == summary


@with_amtool
@pytest.mark.parametrize("nasty", NASTY)
def test_values_come_through_whatever_they_hold(tmp_path: Path, nasty: str) -> None:
    raw = rendered(tmp_path, {**LABELS, "alertname": nasty}, {"voice": nasty})
    without_controls = re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", nasty[:20])
    assert raw["params"] == {"alert": without_controls, "summary": without_controls}
    taken(raw)


@with_amtool
def test_a_long_value_is_cut_to_what_dxtong_takes(tmp_path: Path) -> None:
    raw = rendered(tmp_path, LABELS, {"voice": "满" * 19 + '"' + "满" * 300})
    assert raw["params"]["summary"] == "满" * 19 + '"'


@with_amtool
def test_a_number_that_is_none_is_told_and_breaks_nothing(tmp_path: Path) -> None:
    raw = rendered(tmp_path, {**LABELS, "oncall": 'call "me"\n\\', "escalate_to": '"a\\, b"'}, {})
    assert raw["mobile"] == 'call "me" \\'
    assert raw["escalate_to"] == ['"a\\', 'b"']
