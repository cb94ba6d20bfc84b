"""The whole gateway on this machine: AWS server, deployed stack, vendor simulators."""

import json
import shutil
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypedDict, cast
from urllib.parse import urlsplit

from voice_gateway import vendors
from voice_gateway.platform.callback_tokens import Keyring

from local import deployment, processes, server
from local.aws import KEY_ID, REGION, SECRET_KEY, Clients
from local.places import ALIAS, LOCAL, ROOT, environment
from local.server import StackError

VENDORS = vendors.names()
SIMULATOR_SECONDS = 15.0
SHELL_FILE = "env.sh"
"""Beside stack.json: what makes the stack the AWS of a shell (local/shell.py)."""
OWNER = "owner.json"
"""In the folder of a stack that ends with the process that started it: which process that is."""


class Description(TypedDict):
    """`stack.json`: what somebody needs to use the stack.

    ``<vendor>_callback_url`` is there for each vendor that pushes to one address, complete with its token.
    """

    endpoint_url: str
    region: str
    aws_access_key_id: str
    aws_secret_access_key: str
    stack_name: str
    functions: dict[str, str]
    notify_topic_arn: str
    results_topic_arn: str
    alarm_topic_arn: str
    calls_table: str
    callback_base_url: str
    dxtong_callback_url: str
    simulators: dict[str, str]


class InvokeError(Exception):
    """A function raised; the text is what it raised."""


class Grant(NamedTuple):
    """One action on one resource (which may hold wildcards), and the Sid of the statement that allows it."""

    sid: str
    action: str
    resource: str


class Requested(NamedTuple):
    """One action on one resource that a function asked for, and IAM's answer."""

    action: str
    resource: str
    allowed: bool


class Stack:
    """Starts on entering, and leaves nothing on leaving: for demo, tests and `make up` alike.

    ``folder`` takes stack.json and, in ``run``, the rest. ``port`` 0 takes a free one. ``parameters`` are
    the template's, ``endpoints`` those of vendors that run elsewhere, in place of their simulator.
    ``simulator_options`` are further options of every simulator, as ``{"callback_delay": "0.2"}``. ``source`` is the
    checkout whose template is deployed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        parameters: Mapping[str, str] | None = None,
        endpoints: Mapping[str, str] | None = None,
        simulator_options: Mapping[str, str] | None = None,
        source: Path = ROOT,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder
        self._source = source
        self._run = folder / "run"
        self._port = port
        self._parameters = {"JumdataHours": "00:00-24:00"} | dict(parameters or {})
        self._endpoints = {vendor: address.rstrip("/") for vendor, address in (endpoints or {}).items()}
        self._simulator_options = dict(simulator_options or {})
        self._say = say
        self._processes: list[processes.Process] = []
        self._description: Description | None = None
        self._aws: Clients | None = None

    # Starting and stopping.

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Returns when everything answers. Raises StackError, with nothing left running."""
        if self._port and self._port != _port_of(self.folder) and server.taken(self._port):
            raise StackError(f"port {self._port} is in use by another program: choose one with PORT=")
        if unknown := sorted(set(self._parameters) - deployment.parameters()):
            raise StackError(f"{', '.join(unknown)}: template.yaml has no such parameter")
        if stop(self.folder):
            self._say("stopped the stack that was running; what it held is gone")
        self._run.mkdir(parents=True)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends what was started and removes what it wrote."""
        stop(self.folder)

    def _start(self) -> None:
        server.install(self._say)
        port = self._port or server.free_port()
        endpoint_url = f"http://127.0.0.1:{port}"
        aws_server = self._keep(server.start(self._run, port))
        simulators = self._start_simulators()
        self._say("building functions and layers: sam build")
        template = deployment.build(self._run / "build", self._source)
        server.wait(aws_server, port, self._run / "server.log")
        self._say(f"deploying template.yaml to the AWS server at {endpoint_url}: sam deploy")
        self._aws = Clients(endpoint_url)
        deployment.seed(self.aws, self._deploy(template, simulators))
        self._register_callbacks()
        path = self.folder / "stack.json"
        path.write_text(json.dumps(self._description, indent=2, ensure_ascii=False) + "\n")
        self._start_module("metrics", "local.metrics", str(path))

    def deploy_again(self, source: Path) -> None:
        """Deploys another version over the running one, as an operator does."""
        self._deploy(deployment.build(self._run / "build", source), self.description["simulators"])

    def _deploy(self, template: Path, simulators: dict[str, str]) -> dict[str, str]:
        """Deploys a built template, and describes what came of it; returns the stack's outputs."""
        parameters = self._all_parameters(self.aws.endpoint_url, simulators)
        found = deployment.deploy(template, self.aws.endpoint_url, parameters)
        deployment.make_up(self.aws, found, parameters)
        self._description = _described(self.aws, found, simulators)
        return found

    def _keep(self, process: processes.Process) -> processes.Process:
        """Written down at once: whoever stops the stack after a crash has to know."""
        self._processes.append(process)
        processes.save(self._processes, self._run / "processes.json")
        return process

    def _start_module(self, name: str, module: str, *arguments: str) -> processes.Process:
        command = [sys.executable, "-m", module, *arguments]
        return self._keep(processes.start(name, command, log=self._run / f"{name}.log", cwd=ROOT, env=environment()))

    def _start_simulators(self) -> dict[str, str]:
        started: dict[str, tuple[processes.Process, Path]] = {}
        for vendor in VENDORS:
            if vendor not in self._endpoints:
                address_file = self._run / f"{vendor}.address"
                options = [
                    part
                    for name, value in self._simulator_options.items()
                    for part in (f"--{name.replace('_', '-')}", value)
                ]
                arguments = (vendor, "--address-file", str(address_file), *options)
                started[vendor] = self._start_module(vendor, "local.simulators", *arguments), address_file
        return {vendor: self._address(vendor, *each) for vendor, each in started.items()}

    def _address(self, vendor: str, process: processes.Process, address_file: Path) -> str:
        end = time.monotonic() + SIMULATOR_SECONDS
        while not address_file.exists():
            if not process.alive or time.monotonic() > end:
                log = (self._run / f"{vendor}.log").read_text()
                raise StackError(f"the {vendor} simulator did not start:\n{log}")
            time.sleep(0.02)
        return address_file.read_text().strip()

    def _all_parameters(self, endpoint_url: str, simulators: Mapping[str, str]) -> dict[str, str]:
        addresses = {**simulators, **self._endpoints}
        return {
            "CallbackBaseUrl": deployment.api_address(endpoint_url),
            **{f"{vendor.capitalize()}Endpoint": address for vendor, address in addresses.items()},
            **self._parameters,
        }

    def _register_callbacks(self) -> None:
        """What an operator does in the console of a vendor that pushes to one address for all calls."""
        for vendor in self.description["simulators"]:
            if url := dict(self.description).get(f"{vendor}_callback_url"):
                self.configure_simulator(vendor, callback_url=url)

    # Using it.

    @property
    def description(self) -> Description:
        if self._description is None:
            raise StackError("the stack has not been started")
        return self._description

    @property
    def aws(self) -> Clients:
        if self._aws is None:
            raise StackError("the stack has not been started")
        return self._aws

    def invoke(self, function: str, payload: Any, by: Clients | None = None) -> Any:
        """Invokes a function, by other clients if need be, and returns its result. Raises InvokeError."""
        reply = (by or self.aws).lambda_.invoke(
            FunctionName=self.description["functions"][function],
            Payload=json.dumps(payload, ensure_ascii=False).encode(),
        )
        result = json.loads(reply["Payload"].read())
        if reply.get("FunctionError"):
            raise InvokeError(str(result.get("errorMessage", result)))
        return result

    def simulator(self, vendor: str) -> Any:
        """What a simulator recorded: `requests`, `callbacks`, `balance`."""
        return _http("GET", f"{self.description['simulators'][vendor]}/_simulator")

    def configure_simulator(self, vendor: str, **changes: Any) -> Any:
        return _http("PUT", f"{self.description['simulators'][vendor]}/_simulator", changes)

    def forget_calls(self, vendor: str) -> None:
        """A simulator's requests, and what it counted and locked for them."""
        _http("DELETE", f"{self.description['simulators'][vendor]}/_simulator/requests")

    def queue_on(self, topic_arn: str, name: str) -> str:
        """The URL of a new queue that receives, unwrapped, what is published on a topic."""
        url = self.aws.sqs.create_queue(QueueName=name)["QueueUrl"]
        found = self.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = found["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self.aws.sns.subscribe(
            TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
        )
        return url

    def messages(self, queue_url: str) -> list[Any]:
        """Takes what a queue holds, as JSON values."""
        taken: list[Any] = []
        receive = self.aws.sqs.receive_message
        while batch := receive(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                taken.append(json.loads(message["Body"]))
                self.aws.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def grants(self, function: str) -> list[Grant]:
        """What the deployed role of a function allows, statement by statement."""
        role, policy = self._policy(function)
        document: Any = self.aws.iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        return [
            Grant(statement["Sid"], action, resource)
            for statement in document["Statement"]
            for action in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        ]

    def requests(self, function: str) -> list[Requested]:
        """What the function has asked AWS for, from the start: what was allowed once, what was refused each time."""
        role, _ = self._policy(function)
        file = self._run / server.DECISIONS
        decisions = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [Requested(d["action"], d["resource"], d["allowed"]) for d in decisions if d["role"] == role]

    def _policy(self, function: str) -> tuple[str, str]:
        """The names of a function's role, and of its one policy."""
        name = self.description["functions"][function]
        role = self.aws.lambda_.get_function_configuration(FunctionName=name)["Role"].rpartition("/")[2]
        (policy,) = self.aws.iam.list_role_policies(RoleName=role)["PolicyNames"]
        return role, policy

    def start_anew(self, function: str) -> None:
        """The next invoke finds a process with nothing in memory: a cold start."""
        name = self.description["functions"][function]
        size = self.aws.lambda_.get_function_configuration(FunctionName=name)["MemorySize"]
        # To set what it is already is enough: the server ends a function's processes whenever this is written.
        self._publish(function, MemorySize=size)

    def _publish(self, function: str, **configuration: Any) -> None:
        """Changes a function's configuration, as a deployment would: a new version, and the alias follows."""
        name = self.description["functions"][function]
        self.aws.lambda_.update_function_configuration(FunctionName=name, **configuration)
        version = self.aws.lambda_.publish_version(FunctionName=name)["Version"]
        self.aws.lambda_.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version)

    @contextmanager
    def with_setting(self, function: str, name: str, value: str) -> Iterator[None]:
        """A setting of one function is another, for as long as the context lasts; it starts anew both times."""
        deployed = self.description["functions"][function]
        whole = self.aws.lambda_.get_function_configuration(FunctionName=deployed)["Environment"]["Variables"]
        self._publish(function, Environment={"Variables": {**whole, name: value}})
        try:
            yield
        finally:
            self._publish(function, Environment={"Variables": whole})

    # Breaking it, for tests that want to see something fail.

    @contextmanager
    def without_permission(self, function: str, action: str, *, cold: bool = True) -> Iterator[None]:
        """One action taken out of a function's role, for as long as the context lasts.

        The function starts anew both times: what it has in memory, a secret say, would hide what it may not read.
        ``cold`` False saves that second or two, for what is never kept in memory.
        """
        role, policy = self._policy(function)
        whole: Any = self.aws.iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]

        def put(statements: list[dict[str, Any]]) -> None:
            document = json.dumps({**whole, "Statement": statements})
            self.aws.iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)
            if cold:
                self.start_anew(function)

        put(_without(whole["Statement"], action))
        try:
            yield
        finally:
            put(whole["Statement"])

    @contextmanager
    def without_package(self, function: str, package: str) -> Iterator[None]:
        """One package taken out of a function's dependencies layer, for as long as the context lasts."""
        name = self.description["functions"][function]
        config = self.aws.lambda_.get_function_configuration(FunctionName=name)
        layers = [layer["Arn"] for layer in config["Layers"]]
        content = _zipped(self._run / "build" / "DependenciesLayer", f"python/{package}")
        less = self.aws.lambda_.publish_layer_version(
            LayerName=f"without-{package.replace('_', '-').replace('.', '-')}", Content={"ZipFile": content}
        )["LayerVersionArn"]
        changed = [less if ":DependenciesLayer" in arn else arn for arn in layers]
        self._publish(function, Layers=changed)
        try:
            yield
        finally:
            self._publish(function, Layers=layers)


def stop(folder: Path) -> bool:
    """Stops the stack of a folder, whoever started it. False where none was there."""
    run = folder / "run"
    running = processes.load(run / "processes.json")
    # The server last: the others want to tell it something until the end.
    processes.stop(reversed(running))
    for name in ("stack.json", SHELL_FILE):
        (folder / name).unlink(missing_ok=True)
    _remove(run)
    return bool(running)


def stop_abandoned() -> bool:
    """Stops the stacks of demos and tests that were killed before they could. False where there was none."""
    found = False
    for path in LOCAL.glob(f"*/{OWNER}"):
        if not any(owner.alive for owner in processes.load(path)):
            found = stop(path.parent) or found
            _remove(path.parent)
    return found


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """A folder for one stack, below `.local`, which goes with it."""
    LOCAL.mkdir(exist_ok=True)
    stop_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=LOCAL))
    processes.save([processes.myself()], folder / OWNER)
    try:
        yield folder
    finally:
        stop(folder)
        _remove(folder)


def _port_of(folder: Path) -> int | None:
    """The port of the stack that runs in a folder; None where none does."""
    try:
        address: str = json.loads((folder / "stack.json").read_text())["endpoint_url"]
        return urlsplit(address).port
    except FileNotFoundError:
        return None


def _described(aws: Clients, found: Mapping[str, str], simulators: dict[str, str]) -> Description:
    base = found.get("CallbackBaseUrl", "")
    secret = aws.secretsmanager.get_secret_value(SecretId=found["CallbackSecretArn"])["SecretString"]
    keyring = Keyring.from_secret(secret)
    registered = vendors.with_one_address()
    # In poll mode there is no API to push to.
    addresses = {f"{name}_callback_url": base and keyring.static_address(base, name) for name in registered}
    described = {
        "endpoint_url": aws.endpoint_url,
        "region": REGION,
        "aws_access_key_id": KEY_ID,
        "aws_secret_access_key": SECRET_KEY,
        "stack_name": deployment.STACK_NAME,
        "functions": deployment.functions(found),
        "notify_topic_arn": found["NotifyTopicArn"],
        "results_topic_arn": found["ResultsTopicArn"],
        "alarm_topic_arn": found["AlarmTopicArn"],
        "calls_table": found["CallsTableName"],
        "callback_base_url": base,
        **addresses,
        "simulators": simulators,
    }
    return cast("Description", described)


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _without(statements: list[dict[str, Any]], action: str) -> list[dict[str, Any]]:
    """The statements less one action. Raises StackError where none grants it."""
    left = []
    for statement in statements:
        kept = [each for each in _listed(statement["Action"]) if each != action]
        if kept:
            left.append({**statement, "Action": kept})
    if left == statements:
        raise StackError(f"no statement grants {action}")
    return left


def _zipped(folder: Path, omitted: str) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not name.startswith((f"{omitted}/", f"{omitted}.")):
                archive.write(path, name)
    return buffer.getvalue()


def _http(method: str, address: str, content: Any = None) -> Any:
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address, data=body, method=method)  # noqa: S310 - a simulator's
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=10) as reply:
        return json.loads(reply.read())


def _remove(folder: Path) -> None:
    """Again if need be: a process that was just killed may have had a file in hand."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)
