"""Looks at all that a stack has written by its end for what must not be there (tests/marks.py).

The session's fixture does so when the last test is over: so the whole suite, at log level DEBUG, is the scenario.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from local.simulators.found import simulators
from local.stack import Stack
from tests import marks
from tests.e2e.use import refused

_ENTRY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]+ \[")
"""How an entry of the server's log begins."""
PLATFORM = ("START RequestId: ", "END RequestId: ", "REPORT RequestId: ")
RAISED = ("Traceback (most recent call last)", "Worker process died")
NOT_OURS = "e2e-"
"""Functions and queues of the tests' own: they see requests as they come."""


class Canary:
    """Listens to the topics from the start on; the rest keeps what was said until it is asked."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        topics = stack.description
        self._alarms = stack.queue_on(topics["alarm_topic_arn"], f"{NOT_OURS}canary-alarms")
        self._results = stack.queue_on(topics["results_topic_arn"], f"{NOT_OURS}canary-results")
        callback = self._secret(f"{topics['stack_name']}-CallbackSecret")
        words = [word for simulator in simulators().values() for word in simulator.sandbox_secret.values()]
        self._secrets = [*words, callback["number_key"], *filter(None, callback["keys"].values())]

    def found(self) -> list[str]:
        """What is where it must not be, and requests to AWS that no role covers."""
        lines: set[str] = set()
        found: list[str] = []
        for group in self._groups():
            said, raised = self._lines(group)
            found += self._look(group, said, notify_data=True, digests=True)
            found += self._look(f"what was raised in {group}", raised)
            found += [f"{group}: no JSON object with a service: {line}" for line in said if not _is_one(line)]
            lines |= {*said, *raised}
        assert any('"_aws"' in line for line in lines), "nothing was written, so that nothing was looked at"
        found += self._look("the server's log", self._server_lines() - lines)
        found += self._look("metrics", map(json.dumps, self._metrics()), notify_data=True, digests=True)
        found += self._look("the alarm topic", self._told(self._alarms), notify_data=True, digests=True)
        found += self._look("the results topic", self._told(self._results))
        found += self._look("dead letters", (_without_what_is_kept(letter) for letter in self._dead_letters()))
        for function in self._stack.description["functions"]:
            found += [f"{function} may not, and asks for it: {each}" for each in refused(self._stack, function)]
        return found

    def _look(self, where: str, texts: Iterable[str], **also: bool) -> list[str]:
        texts = list(texts)
        if not marks.leaks("\n".join(texts), self._secrets, **also):
            return []
        leaks = ((text, marks.leaks(text, self._secrets, **also)) for text in texts)
        return [f"{where}: {leak} in {text[:500]}" for text, leak in leaks if leak]

    def _groups(self) -> list[str]:
        pages = self._stack.aws.logs.get_paginator("describe_log_groups").paginate()
        groups = [group["logGroupName"] for page in pages for group in page["logGroups"]]
        return [group for group in groups if NOT_OURS not in group]

    def _lines(self, group: str) -> tuple[list[str], list[str]]:
        """What the functions of a log group wrote, and what Lambda wrote of exceptions: text and traceback.

        A test that ends a function's process cuts off whatever that was doing, and then the local server says so.
        """
        invocations: dict[str, list[str]] = defaultdict(list)
        pages = self._stack.aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        for event in (event for page in pages for event in page["events"]):
            if event["message"].strip() and not event["message"].startswith(PLATFORM):
                invocations[event["logStreamName"]].append(event["message"])
        said: list[str] = []
        raised: list[str] = []
        for lines in invocations.values():
            whole = any('"DurationMs"' in line for line in lines)
            at = next((at for at, line in enumerate(lines) if not whole or line.startswith(RAISED)), len(lines))
            said += lines[:at]
            raised += lines[at:]
        return said, raised

    def _server_lines(self) -> set[str]:
        # It tells what is published, to the notify topic too, in lines of its own, and what the tests' function caught.
        lines, published = set(), False
        for line in (self._stack.folder / "run" / "server.log").read_text(errors="replace").splitlines():
            if _ENTRY.match(line):
                published = "[sns] SNS publish to" in line
            if not published and "CAUGHT " not in line:
                lines.add(line)
        return lines

    def _metrics(self) -> Iterator[Any]:
        for page in self._stack.aws.cloudwatch.get_paginator("list_metrics").paginate(Namespace="VoiceGateway"):
            yield from page["Metrics"]

    def _told(self, queue: str) -> list[str]:
        return [json.dumps(message, ensure_ascii=False) for message in self._stack.messages(queue)]

    def _dead_letters(self) -> list[Any]:
        sqs = self._stack.aws.sqs
        urls = [url for url in sqs.list_queues()["QueueUrls"] if "DeadLetter" in url]
        return [letter for url in urls for letter in self._stack.messages(url)]

    def _secret(self, prefix: str) -> Any:
        secrets = self._stack.aws.secretsmanager
        (name,) = [s["Name"] for s in secrets.list_secrets()["SecretList"] if s["Name"].startswith(prefix)]
        return json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])


def _is_one(line: str) -> bool:
    try:
        content = json.loads(line)
    except ValueError:
        return False
    return isinstance(content, dict) and bool(content.get("service"))


def _without_what_is_kept(letter: Any) -> str:
    """A request that was not taken and a receipt that cannot be read are kept whole: somebody hands them over again."""
    kept = {"requestPayload", "entry", "query", "body_base64"}
    return json.dumps({name: value for name, value in letter.items() if name not in kept}, ensure_ascii=False)
