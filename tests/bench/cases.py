"""What is run: the gateway's functions as they are built, what others would write in their place, and the bases."""

import compileall
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voice_gateway.platform.callback_tokens import CallToken, Keyring

from local.places import ROOT
from tests.bench import site
from tests.bench.fake import SECRETS
from tests.found import TITLES, VENDORS

PEERS = ("typical", "naive", "floor")
A = "A"
"""The unit of cold starts: Python, boto3 imported, one client made."""
SEND_ANEW = "ours send, bytecode made anew"
_BASES = {"callback": "base_update", "send": "base_send"}
"""The units of warm invocations."""
_HERE = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Case:
    """A handler, what it is invoked with, and where it finds what it imports. ``base`` is its unit when warm."""

    app: Path
    event: Mapping[str, Any]
    paths: tuple[Path, ...]
    base: str | None = None
    ours: bool = False


def ours(what: str, vendor: str) -> str:
    return f"ours {what} {vendor}"


def layers(built: Path) -> tuple[Path, ...]:
    return tuple(built / f"{name}Layer" / "python" for name in ("Dependencies", "Gateway"))


def cases(built: Path, folder: Path) -> dict[str, Case]:
    """In the order in which they take turns: what is compared stands close together."""
    on_site, on_layers, anew = (site.make(folder / "site"),), layers(built), (_made_anew(built, folder / "anew"),)
    found = {A: Case(_HERE / "base_cold.py", {}, on_site)}
    for what, events in (("callback", _callbacks()), ("send", _sends())):
        base = _BASES[what]
        found[base] = Case(_HERE / f"{base}.py", {}, on_site)
        for vendor in VENDORS:
            function = f"Callback{TITLES[vendor]}Function" if what == "callback" else "SendFunction"
            app = built / function / "app.py"
            found[ours(what, vendor)] = Case(app, events[vendor], on_layers, base, ours=True)
        if what == "send":
            found[SEND_ANEW] = Case(app, events["dxtong"], anew, ours=True)
        for peer in PEERS:
            found[f"{peer} {what}"] = Case(_HERE / f"{peer}_{what}.py", events["dxtong"], on_site, base)
    return found


def environment(home: Path, fake: str, case: Case) -> dict[str, str]:
    """Made from nothing: no proxy, certificate or account of the machine's gets in."""
    queue = f"{fake}/123456789012"
    secrets = {
        f"{name.upper()}_SECRET_ARN": f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-bench"
        for name in SECRETS
    }
    return {
        "PATH": os.defpath,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": ":".join(map(str, case.paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_ENDPOINT_URL": fake,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_METRICS_NAMESPACE": "bench",
        "STACK_NAME": "bench",
        "CALLS_TABLE": "calls",
        **{f"{name}_QUEUE_URL": f"{queue}/{name}" for name in ("OUTBOX", "DEAD_LETTER", "URGENT", "BULK")},
        **secrets,
        **{f"{vendor.upper()}_ENDPOINT": fake for vendor in VENDORS},
        **{f"{vendor.upper()}_HOURS": "00:00-24:00" for vendor in VENDORS},
        "DXTONG_DAILY_CAP": "0",
        "JUMDATA_DAILY_CAP": "3",
        "VENDOR_ORDER": ",".join(VENDORS),
        "CALLBACK_MODE": "push",
        "CALLBACK_BASE_URL": fake,
        "RETENTION_DAYS": "30",
    }


def _callbacks() -> dict[str, dict[str, Any]]:
    keyring = Keyring.from_secret(json.dumps(SECRETS["callback"]))
    call = CallToken("m1", "0123456789abcdef", int(time.time()) + 86_400)
    return {
        "dxtong": _pushed("callback_dxtong", keyring.static_token("dxtong")),
        "jumdata": _pushed("callback_jumdata_post", keyring.call_token("jumdata", call)),
    }


def _pushed(name: str, token: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text(encoding="utf-8"))
    return {**event, "pathParameters": {"token": token}}


def _sends() -> dict[str, dict[str, Any]]:
    request = {
        "message_id": "m0",
        "mobile": "13800138000",
        "template": "order_shipped",
        "params": {"order": "9633", "carrier": "顺丰"},
    }
    return {vendor: {**request, "vendor": vendor} for vendor in VENDORS}


def _made_anew(built: Path, folder: Path) -> Path:
    """The layers in one folder, with what this Python makes of their sources by itself."""
    for layer in layers(built):
        shutil.copytree(layer, folder, dirs_exist_ok=True)
    compileall.compile_dir(folder, quiet=2, force=True)
    return folder
