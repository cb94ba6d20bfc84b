"""What Alertmanager makes of an alert is a request of the gateway, whatever the alert holds."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from voice_gateway.model.request import Catalogue
from voice_gateway.sending.reading import InvalidRequest, read

from local.places import ROOT

EXAMPLE = ROOT / "examples" / "alertmanager"
CONFIG = yaml.safe_load((EXAMPLE / "alertmanager.yml").read_text(encoding="utf-8"))
NASTY = '磁盘 <html>&\'\\\' "x" \\\\" {{ . }} 😀'


@pytest.fixture(scope="module")
def amtool() -> str:
    found = shutil.which("amtool")
    if found is None:
        pytest.skip("amtool is not installed")
    return found


def alert(**changes: Any) -> dict[str, Any]:
    labels = {
        "alertname": "磁盘",
        "severity": "page",
        "oncall": "13800138000",
        "escalate_to": "13800138001, 13800138002",
    }
    plain = {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "将满"},
        "fingerprint": "c9d2f0a1b2c3d4e5",
    }
    return {**plain, "startsAt": "2026-11-27T22:00:00+08:00", "endsAt": "0001-01-01T00:00:00Z", **changes}


def rendered(amtool: str, folder: Path, **changes: Any) -> Any:
    (folder / "alert.json").write_text(json.dumps({"receiver": "phone", "alerts": [alert(**changes)]}))
    command = [amtool, "template", "render", f"--template.glob={EXAMPLE / 'voice_gateway.tmpl'}"]
    (sns,) = CONFIG["receivers"][1]["sns_configs"]
    command += [f"--template.text={sns['message']}", f"--template.data={folder / 'alert.json'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_its_configuration_is_one(amtool: str) -> None:
    done = subprocess.run([amtool, "check-config", EXAMPLE / "alertmanager.yml"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_alert_is_a_group_of_its_own_and_an_end_rings_nobody() -> None:
    (page,) = CONFIG["route"]["routes"]
    (sns,) = CONFIG["receivers"][1]["sns_configs"]
    assert page["group_by"] == ["..."]
    assert sns["send_resolved"] is False
    assert page["receiver"] == CONFIG["receivers"][1]["name"]


def test_an_alert_is_a_request(amtool: str, tmp_path: Path) -> None:
    found = read(rendered(amtool, tmp_path), "other", time.time())
    assert found.message_id == "c9d2f0a1b2c3d4e5-1795788000"
    assert found.numbers == ("13800138000", "13800138001", "13800138002")
    assert found.form == Catalogue("alert", {"name": "磁盘", "summary": "将满"})
    assert found.expires_at is not None
    assert found.expires_at.isoformat() == "2026-11-27T16:00:00+00:00"


def test_texts_arrive_as_they_are(amtool: str, tmp_path: Path) -> None:
    found = rendered(amtool, tmp_path, annotations={"summary": f"{NASTY}\n\t"})
    assert found["params"]["summary"] == f"{NASTY}\n\t"


def test_one_number_alone_and_none_at_all(amtool: str, tmp_path: Path) -> None:
    labels = {"alertname": "磁盘", "oncall": "13800138000"}
    assert read(rendered(amtool, tmp_path, labels=labels), "other", time.time()).numbers == ("13800138000",)
    with pytest.raises(InvalidRequest, match="mobile"):
        read(rendered(amtool, tmp_path, labels={"alertname": "磁盘"}), "other", time.time())
