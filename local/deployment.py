"""Builds template.yaml and deploys it onto the local AWS server, with sam, as anybody would onto AWS."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from local.aws import KEY_ID, REGION, SECRET_KEY, Clients
from local.places import LOCAL, ROOT, environment, tool
from local.server import StackError, locked
from local.simulators.found import simulators

STACK_NAME = "voice-gateway"
API_ID = "callbacks"
"""The server gives an API the id that this tag asks for: so its address is known before it is deployed."""
API_ID_TAG = "ms-custom-id"
BUCKET = "artifacts"

SANDBOX_TEMPLATE = "order_shipped"
SANDBOX_TEXT = "您的订单号是:{order}。已由{carrier}发出,请注意查收。"


def api_address(endpoint_url: str) -> str:
    """The address of the deployed API, without its last slash."""
    return f"{endpoint_url}/restapis/{API_ID}/v1/_user_request_"


def build(folder: Path, source: Path = ROOT) -> Path:
    """Builds functions and layers of a checkout for this machine into the folder; returns the built template."""
    with locked("build"):
        output, cache = (LOCAL / "build", LOCAL / "cache") if source == ROOT else (source / ".build", source / ".cache")
        stamp, wanted = output.with_name(f"{output.name}.stamp"), made_of(source)
        if not (stamp.exists() and output.exists() and stamp.read_text() == wanted):
            stamp.unlink(missing_ok=True)
            _sam(
                "build",
                "--build-dir",
                str(output),
                "--cache-dir",
                str(cache),
                cwd=source,
                # A developer's machine may be a Mac: its functions want its own wheels.
                LAYER_PLATFORM="host",
            )
            stamp.write_text(wanted)
        # A copy, for the next build may begin while this one is being deployed, or altered by a test.
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(output, folder)
    return carry_along(folder / "template.yaml", source)


def made_of(source: Path) -> str:
    """A digest of all that a build is made of, and is made by: where it is the same, so is what was built."""
    made = hashlib.sha256(sys.version.encode())
    for name in ("functions", "layers", "samconfig.toml", "template.yaml", "uv.lock"):
        for path in sorted([source / name, *(source / name).rglob("*")]):
            if path.is_file() and path.suffix != ".pyc":
                made.update(f"{path.relative_to(source)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return made.hexdigest()


def carry_along(template: Path, source: Path = ROOT) -> Path:
    """Puts licence and README, which a built template names outside of its folder, beside it: so it can be moved."""

    def beside(found: re.Match[str]) -> str:
        name = Path(found["path"]).name
        shutil.copy(source / name, template.parent)
        return f"{found['key']}{name}"

    named = r"^(?P<key> +(?:License|Readme)Url: )(?P<path>\S+)$"
    template.write_text(re.sub(named, beside, template.read_text(), flags=re.MULTILINE))
    return template


def deploy(template: Path, endpoint_url: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """Deploys a built template; returns the outputs of the stack."""
    Clients(endpoint_url).s3.create_bucket(Bucket=BUCKET)
    _sam(
        "deploy",
        "--template-file",
        str(template),
        "--stack-name",
        STACK_NAME,
        "--s3-bucket",
        BUCKET,
        "--region",
        REGION,
        "--tags",
        f"{API_ID_TAG}={API_ID}",
        "--parameter-overrides",
        *(f'{name}="{value}"' for name, value in parameters.items()),
        AWS_ENDPOINT_URL=endpoint_url,
        AWS_ACCESS_KEY_ID=KEY_ID,
        AWS_SECRET_ACCESS_KEY=SECRET_KEY,
        SAM_CLI_POLL_DELAY="0.1",
    )
    return outputs(Clients(endpoint_url))


def outputs(aws: Clients) -> dict[str, str]:
    (stack,) = aws.cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}


def parameters() -> set[str]:
    """The names of the template's parameters."""
    text = (ROOT / "template.yaml").read_text()
    section = text.partition("\nParameters:\n")[2].partition("\nConditions:\n")[0]
    return set(re.findall(r"^  (\w+):$", section, re.MULTILINE))


def vendor_order() -> list[str]:
    """The default of the template's parameter of that name."""
    text = (ROOT / "template.yaml").read_text()
    default = re.search(r"^  VendorOrder:\n(?:    .*\n)*?    Default: (.*)$", text, re.MULTILINE)
    assert default  # noqa: S101 -- the tests of the template say so too
    return default[1].split(",")


def make_up(aws: Clients, found: Mapping[str, str], parameters: Mapping[str, str]) -> None:
    """What the template asks for and the local server leaves out."""
    aws.dynamodb.update_time_to_live(
        TableName=found["CallsTableName"],
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"},
    )
    concurrency = int(parameters.get("SendConcurrency", "0"))
    if concurrency:
        aws.lambda_.put_function_concurrency(
            FunctionName=found["SendFunctionName"], ReservedConcurrentExecutions=concurrency
        )


def seed(aws: Clients, found: Mapping[str, str]) -> None:
    """The sandbox account of each vendor, and one template that all of them can carry."""
    found_simulators = simulators()
    for vendor, simulator in found_simulators.items():
        secret = json.dumps(dict(simulator.sandbox_secret))
        aws.secretsmanager.put_secret_value(SecretId=found[f"{vendor.capitalize()}SecretArn"], SecretString=secret)
    carriers = {vendor: dict(found_simulators[vendor].sandbox_template) for vendor in vendor_order()}
    aws.ssm.put_parameter(
        Name=f"/{STACK_NAME}/templates/{SANDBOX_TEMPLATE}",
        Value=json.dumps({"text": SANDBOX_TEXT, "vendors": carriers}, ensure_ascii=False),
        Type="String",
        Overwrite=True,
    )


def functions(found: Mapping[str, str]) -> dict[str, str]:
    """The names of section 2 of the design, with the names that they are deployed under."""
    return {
        re.sub(r"(?<!^)(?=[A-Z])", "_", key.removesuffix("FunctionName")).lower(): value
        for key, value in sorted(found.items())
        if key.endswith("FunctionName")
    }


def _sam(*arguments: str, cwd: Path = ROOT, **additions: str) -> None:
    """Runs sam with the `local` section of samconfig.toml: an operator's own settings stay out of it."""
    LOCAL.mkdir(exist_ok=True)
    env = environment(
        SAM_CLI_TELEMETRY="0",
        AWS_CONFIG_FILE="/dev/null",
        AWS_SHARED_CREDENTIALS_FILE="/dev/null",
        NO_PROXY="127.0.0.1,localhost",
        no_proxy="127.0.0.1,localhost",
        __SAM_CLI_APP_DIR=str(LOCAL / "sam"),
        **additions,
    )
    settings = ("--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local")
    # sam leaves folders behind in the temporary folder that it is given.
    with tempfile.TemporaryDirectory(dir=LOCAL, ignore_cleanup_errors=True) as temporary:
        done = subprocess.run(
            [tool("sam"), *arguments, *settings],
            cwd=cwd,
            env={**env, "TMPDIR": temporary},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if done.returncode:
        raise StackError(f"sam {arguments[0]} failed:\n{_reason(done.stdout)}")


def _reason(output: str) -> str:
    """From sam's last error on, where it names one: what comes before is progress."""
    lines = output.strip().splitlines()
    errors = [at for at, line in enumerate(lines) if line.startswith("Error")]
    return "\n".join(lines[errors[-1] :] if errors else lines[-40:])
