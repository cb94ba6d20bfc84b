"""The dependencies layer is pruned to what is used: what the template's roles allow is there, and works as unpruned."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session

from local.places import ROOT
from tests.packaging.test_built_functions import run
from tests.template.evaluation import FRANKFURT, Evaluation

EVERYTHING = {
    "VpcSubnetIds": "subnet-1",
    "VpcSecurityGroupIds": "sg-1",
    "Tracing": "on",
    "KmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/1",
}
Allowed = set[tuple[str, str]]
"""Service, as IAM and a signature name it, and operation."""


def allowed() -> Allowed:
    """The operations that the roles of the template allow; an action is the operation for one, and that for a batch."""
    actions = {action for statement in _statements() for action in statement}
    named = {tuple(action.split(":")) for action in actions}
    return {(service, name + suffix) for service, name in named for suffix in ("", "Batch")}


def _statements() -> Iterator[list[str]]:
    for role in Evaluation(FRANKFURT, **EVERYTHING).of_type("AWS::IAM::Role").values():
        policies = [policy["PolicyDocument"] for policy in role["Properties"].get("Policies", [])]
        for document in [*policies, role["Properties"]["AssumeRolePolicyDocument"]]:
            for statement in document["Statement"]:
                action = statement["Action"]
                yield [action] if isinstance(action, str) else action


def operations(data: Path | None) -> Allowed:
    """The operations that botocore describes, in a folder of its data or in its own."""
    session = botocore.session.Session()
    loader = session.get_component("data_loader")
    if data is not None:
        loader.search_paths[:] = [str(data)]
    found = set()
    for name in loader.list_available_services("service-2"):
        model = loader.load_service_model(name, "service-2")
        service = model["metadata"].get("signingName", model["metadata"]["endpointPrefix"])
        found |= {(service, operation) for operation in model["operations"]}
    return found


def data_of(built: Path) -> Path:
    return built / "DependenciesLayer" / "python" / "botocore" / "data"


def missing(built: Path, wanted: Allowed) -> Allowed:
    """What of it AWS has, and the layer has not."""
    return (wanted & operations(None)) - operations(data_of(built))


def test_the_layer_has_what_the_roles_allow_and_no_more(built: Path) -> None:
    wanted = allowed()
    assert ("dynamodb", "UpdateItem") in wanted
    assert not missing(built, wanted)
    assert operations(data_of(built)) == wanted & operations(None)


def test_an_action_that_a_role_gains_would_be_missed(built: Path) -> None:
    assert missing(built, allowed() | {("sqs", "PurgeQueue")}) == {("sqs", "PurgeQueue")}


def test_an_action_that_a_role_gains_is_in_the_next_layer(tmp_path: Path) -> None:
    template = (ROOT / "template.yaml").read_text()
    assert template.count("Action: sns:Publish") > 1
    data = tmp_path / "data"
    original = Path(botocore.__file__).parent / "data"
    for service in ("sns", "sqs"):
        shutil.copytree(original / service, data / service)
    (data / "endpoints.json").write_text((original / "endpoints.json").read_text())
    gained = template.replace("Action: sns:Publish", "Action: [sns:Publish, sns:ListTopics]", 1)
    code = f"""
import sys; sys.path.insert(0, {str(ROOT / "layers" / "dependencies")!r})
from pathlib import Path
import prune
prune.prune_models(Path({str(data)!r}), prune.actions(Path({str(tmp_path / "t.yaml")!r}).read_text()))
"""
    (tmp_path / "t.yaml").write_text(gained)
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {("sns", "Publish"), ("sns", "PublishBatch"), ("sns", "ListTopics")} <= operations(data)


def test_a_wildcard_is_refused() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'layers' / 'dependencies')!r}); import prune; "
    done = subprocess.run(
        [sys.executable, "-c", code + "prune.actions('Action: sqs:*')"], capture_output=True, text=True, check=False
    )
    assert "sqs:*: name the actions" in done.stderr


ENDPOINTS = """
import itertools, json
import botocore.session
from botocore.config import Config
session = botocore.session.Session()
session.set_credentials("key", "secret")
found = {}
partitions = session.get_component("data_loader").load_data("partitions")["partitions"]
regions = [region for partition in partitions for region in partition["regions"]]
for service, region, fips, dual in itertools.product(%r, regions, (False, True), (False, True)):
    config = Config(use_fips_endpoint=fips, use_dualstack_endpoint=dual, parameter_validation=False)
    try:
        client = session.create_client(service, region, config=config)
        found[f"{service} {region} {fips} {dual}"] = [client.meta.endpoint_url, client.meta.partition,
            client._request_signer.signing_name, client._request_signer.region_name]
    except Exception as error:
        found[f"{service} {region} {fips} {dual}"] = [type(error).__name__]
print(json.dumps(found))
"""
CALLED = ("dynamodb", "secretsmanager", "sns", "sqs", "ssm")
"""The services that the gateway calls; what else a role allows is AWS's own to use."""


def test_every_partition_s_endpoints_are_as_without_pruning(built: Path) -> None:
    """aws, aws-cn, aws-us-gov and the isolated ones; each region plain, by FIPS, by dual-stack, and by both."""
    code = ENDPOINTS % (CALLED,)
    pruned = run(built / "DependenciesLayer" / "python", code=code)
    assert pruned.returncode == 0, pruned.stderr
    whole = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, env={})
    found: dict[str, Any] = json.loads(pruned.stdout)
    assert found == json.loads(whole.stdout)
    assert {"aws", "aws-cn", "aws-us-gov"} <= {each[1] for each in found.values() if len(each) > 1}
    assert found["sqs cn-north-1 False False"][0] == "https://sqs.cn-north-1.amazonaws.com.cn"
    assert found["dynamodb us-gov-west-1 True False"][0] == "https://dynamodb-fips.us-gov-west-1.amazonaws.com"


IMPORTS = """
import importlib, json, pkgutil
missed = {}
for package in %r:
    module = importlib.import_module(package)
    for each in pkgutil.walk_packages(module.__path__, package + ".", onerror=lambda name: None):
        if each.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(each.name)
        except ModuleNotFoundError as error:
            missed[each.name] = error.name
        except ImportError:
            pass  # it says itself that its compiled SDK is not there
print(json.dumps(missed))
"""
PACKAGES = ("aws_lambda_powertools", "boto3", "botocore", "certifi", "charset_normalizer", "dateutil", "defusedxml",
            "idna", "jmespath", "requests", "s3transfer", "urllib3")  # fmt: skip


def test_what_is_left_imports_nothing_that_was_pruned(built: Path) -> None:
    """Of what is not there, only packages that were never pinned: a compiled SDK."""
    done = run(built / "DependenciesLayer" / "python", code=IMPORTS % (PACKAGES,))
    assert done.returncode == 0, done.stderr
    missed: dict[str, str] = json.loads(done.stdout)
    assert {name: what for name, what in missed.items() if what.split(".")[0] in PACKAGES} == {}


USED = """
import importlib, json, pkgutil, sys
import voice_gateway
from voice_gateway.platform import aws
from voice_gateway.platform.observability import log
from voice_gateway.vendors.common import decoding
for module in pkgutil.walk_packages(voice_gateway.__path__, "voice_gateway."):
    importlib.import_module(module.name)
for service in %r:
    aws._session().create_client(service, "eu-central-1")
log.error("there is something to say")
decoding.reply(b"<r><code>2</code></r>", "text/xml")
print(json.dumps([module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)]))
"""


def test_every_module_of_the_layer_is_one_that_the_gateway_imports(built: Path) -> None:
    """But for AWS's own packages. So what was left out is missed by none, and what is of no use is seen here."""
    layers = [built / name / "python" for name in ("DependenciesLayer", "GatewayLayer")]
    done = run(*layers, code=USED % (CALLED,))
    assert done.returncode == 0, done.stderr
    imported = {Path(each) for each in json.loads(done.stdout.splitlines()[-1])}
    own = [folder for folder in layers[0].iterdir() if folder.name not in {"boto3", "botocore", "s3transfer"}]
    there = {path for folder in own for path in [folder, *folder.rglob("*")] if path.suffix == ".pyc"}
    assert len(there) > 100
    assert there - imported == set()


def test_the_gateway_asks_the_services_that_the_test_of_endpoints_names() -> None:
    """By reading its sources for ``client("…")``."""
    named = set()
    for source in (ROOT / "layers" / "gateway" / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "client":
                named |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    assert named == set(CALLED)
