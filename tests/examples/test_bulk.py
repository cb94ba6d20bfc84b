"""`examples/bulk/publish.py` against moto's SNS, with two queues that are subscribed to the topic, one of them raw."""

import hashlib
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.sqs.models import sqs_backends

from examples.bulk import publish

REGION = "eu-central-1"
TEXT = "您的订单已由顺丰快递发出,请注意查收"
STACK = {
    "Resources": {"Notify": {"Type": "AWS::SNS::Topic"}},
    "Outputs": {"NotifyTopicArn": {"Value": {"Ref": "Notify"}}},
}


class _TakenAtOnce(list[Any]):
    """What moto has a queue put its messages into: it takes them away, for moto counts all there are at each one."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Any] = []

    def append(self, message: Any) -> None:
        self.taken.append(message)


class Topic:
    """A topic, and what has come out of it."""

    def __init__(self, raw: str = "true") -> None:
        self._raw = raw == "true"
        sns, sqs = boto3.client("sns", region_name=REGION), boto3.client("sqs", region_name=REGION)
        self.arn = sns.create_topic(Name="notify")["TopicArn"]
        queue = sqs.create_queue(QueueName="requests")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": raw})
        (account,) = sqs_backends
        self._queue = sqs_backends[account][REGION].queues["requests"]._messages = _TakenAtOnce()

    def taken(self) -> list[dict[str, Any]]:
        """The requests that have come, taken out of the queue, each with its message attribute checked."""
        taken, self._queue.taken = self._queue.taken, []
        return [self._request(message) for message in taken]

    def _request(self, message: Any) -> dict[str, Any]:
        body, attribute = message.body, message.message_attributes.get("priority", {})
        kind, value = attribute.get("DataType"), attribute.get("StringValue")
        if not self._raw:
            envelope = json.loads(body)
            body, attribute = envelope["Message"], envelope["MessageAttributes"]["priority"]
            kind, value = attribute["Type"], attribute["Value"]
        request: dict[str, Any] = json.loads(body)
        assert (kind, value) == ("String", request["priority"])
        return request

    def ids(self) -> Counter[str]:
        return Counter(request["message_id"] for request in self.taken())


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Topic]:
    monkeypatch.setattr(publish, "WAITS", (0.0,) * 5)
    with mock_aws():
        yield Topic(getattr(request, "param", "true"))


def request(number: int) -> dict[str, Any]:
    mobile = f"138001380{number % 100:02}"
    return {"message_id": f"m-{number}", "mobile": mobile, "template": "shipped", "params": {"text": TEXT}}


def json_lines(path: Path, numbers: range) -> Path:
    rows = (json.dumps(request(number), ensure_ascii=number % 2 == 0) + "\n" for number in numbers)
    path.write_text("".join(rows), encoding="utf-8")
    return path


def run(path: Path, topic: Topic, *more: str) -> int:
    return publish.main([str(path), "--topic", topic.arn, *more])


def stored(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(f"{path}.done").read_text())
    return found


def killed_after(monkeypatch: pytest.MonkeyPatch, calls: int, kill: Any) -> None:
    """Lets so many batches go out, and calls ``kill`` instead of each further one."""
    real, lock, count = publish.poster, threading.Lock(), iter(range(10**6))

    def poster(options: Any) -> publish.Post:
        post = real(options)

        def counted(entries: list[Any]) -> Any:
            with lock:
                number = next(count)
            return post(entries) if number < calls else kill(post, entries)

        return counted

    monkeypatch.setattr(publish, "poster", poster)


def refusing(monkeypatch: pytest.MonkeyPatch, refuse: Any) -> None:
    """Puts the entries for which ``refuse`` gives a code and SenderFault into ``Failed``."""
    real = publish.poster

    def poster(options: Any) -> publish.Post:
        post = real(options)

        def partly(entries: list[Any]) -> Any:
            failed = {entry["Id"]: refused for entry in entries if (refused := refuse(entry))}
            taken = [entry for entry in entries if entry["Id"] not in failed]
            reply: dict[str, Any] = dict(post(taken)) if taken else {"Successful": []}
            reply["Failed"] = [
                {"Id": key, "Code": code, "Message": "no 13800138009", "SenderFault": fault}
                for key, (code, fault) in failed.items()
            ]
            return reply

        return partly

    monkeypatch.setattr(publish, "poster", poster)


def test_a_thousand_json_lines_arrive_once(topic: Topic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = json_lines(tmp_path / "requests.jsonl", range(1, 1001))
    assert run(path, topic) == 0
    expected = [request(number) | {"priority": "bulk"} for number in range(1, 1001)]
    assert sorted(topic.taken(), key=lambda it: int(it["message_id"][2:])) == expected
    assert capsys.readouterr().out == "1000 published, 0 bad; done up to line 1000\n"
    head = hashlib.sha256(path.read_bytes()[: 64 * 1024]).hexdigest()
    assert stored(path) == {"file": path.name, "size": path.stat().st_size, "sha256_head": head, "lines": 1000}


@pytest.mark.parametrize("topic", ["false"], indirect=True)
def test_a_thousand_rows_arrive_once(topic: Topic, tmp_path: Path) -> None:
    rows = [f'm-{n},138001380{n % 100:02},shipped,,"{TEXT}, ""{n}""",' for n in range(1000)]
    head = "\ufeffmessage_id,mobile,template,vendor,params.text,params.unused"
    path = tmp_path / "requests.csv"
    path.write_text("\r\n".join([head, *rows, ""]), encoding="utf-8", newline="")
    assert run(path, topic, "--priority", "urgent") == 0
    taken = sorted(topic.taken(), key=lambda it: int(it["message_id"][2:]))
    assert taken == [request(n) | {"params": {"text": f'{TEXT}, "{n}"'}, "priority": "urgent"} for n in range(1000)]
    assert stored(path)["lines"] == 1001


def test_bad_lines_are_named_and_stop_nothing(topic: Topic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = [json.dumps(request(number)).encode() for number in range(1, 4)]
    bad = {
        2: (b'["13800138001"]', "no JSON object"),
        3: (b'{"mobile": "13800138002"}', "message_id is missing, or not 1-128 of"),
        5: (b'{"mobile": "138 0013 8003", "message_id": "a b"}', "(mobile *8003)"),
        7: (b'{"message_id": "m-9", "mobile": ""}', "no mobile"),
        8: (b'{"message_id": "m-9", "mobile": 13800138004, "content": "%s"}' % (b"x" * publish.LARGEST), "256 kB"),
        9: (b'{"message_id": "m-9", "mobile": "13800138005\xff"}', "broken UTF-8"),
        10: (b'{"message_id": "m-9", "mobile": "13800138005\\ud800"}', "broken UTF-8"),
        11: (b'{"message_id": "m-9", "mobile": "13800138006"', "no JSON"),
        12: (b'{"message_id": "m-9", "mobile": "13800138007", "priority": "urgent"}', "priority"),
        13: (b'{"message_id": "m-9", "mobile": "13800138007", "n": NaN}', "no JSON"),
        14: (b"[" * 100000, "no JSON"),
        15: (b" " * (publish.LONGEST_LINE + 10), "too long"),
    }
    numbered = {number: line for number, (line, _) in bad.items()} | {1: good[0], 4: good[1], 6: b"  ", 16: good[2]}
    path, kept = tmp_path / "requests.jsonl", tmp_path / "bad.txt"
    path.write_bytes(b"\n".join(line for _, line in sorted(numbered.items())))
    assert run(path, topic, "--bad", str(kept)) == 1
    assert topic.ids() == Counter(["m-1", "m-2", "m-3"])
    out, err = capsys.readouterr()
    assert out == "3 published, 12 bad; done up to line 16\n"
    reported = dict(line.removeprefix("line ").split(": ", 1) for line in err.splitlines())
    assert list(map(int, reported)) == sorted(bad)
    assert all(why in reported[str(number)] for number, (_, why) in bad.items())
    assert "138" not in err.replace("1-128", "")
    lines = [line.split(b"\t", 1) for line in kept.read_bytes().splitlines()]
    assert {int(number): line for number, line in lines[:-1]} == {
        number: line for number, (line, _) in bad.items() if number != 15
    }
    assert kept.stat().st_mode & 0o077 == 0


def test_bad_rows(topic: Topic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "requests.txt"
    path.write_text('mobile,content\n13800138001,a\n13800138002,b,c\n13800138003,"open\n\n13800138004\n')
    assert run(path, topic, "--format", "csv", "--id-prefix", "june") == 1
    assert topic.taken() == [
        {"mobile": "13800138001", "content": "a", "message_id": "june-2", "priority": "bulk"},
        {"mobile": "13800138004", "message_id": "june-6", "priority": "bulk"},
    ]
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["line 3", "line 4"]


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("message_id,mobile,colour", "unknown column: ['colour']"),
        ("message_id,mobile,params.", "unknown column"),
        ("message_id,mobile,mobile", "a column is there twice"),
        ("mobile,content", "message_id without --id-prefix"),
        ("message_id,content", "mobile is missing"),
        ("", "mobile is missing"),
        ('"message_id,mobile', "no header"),
    ],
)
def test_a_header_is_checked_first(
    topic: Topic, tmp_path: Path, capsys: pytest.CaptureFixture[str], head: str, why: str
) -> None:
    path = tmp_path / "requests.csv"
    path.write_text(f"{head}\nm-1,13800138001,x\n" if head else "")
    assert run(path, topic) == 2
    assert why in capsys.readouterr().err
    assert not topic.taken()
    assert not Path(f"{path}.done").exists()


def test_a_killed_run_goes_on(
    topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = json_lines(tmp_path / "requests.jsonl", range(1, 301))

    def killed(*_: Any) -> Any:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        killed_after(patch, 15, killed)
        with pytest.raises(RuntimeError, match="killed"):
            run(path, topic)
    done = stored(path)["lines"]
    first = topic.ids()
    assert len(first) == 150
    assert set(first) >= {f"m-{number}" for number in range(1, done + 1)}
    assert run(path, topic) == 0
    assert f"going on after line {done}, " in capsys.readouterr().out
    second = topic.ids()
    assert set(second) == {f"m-{number}" for number in range(done + 1, 301)}
    assert set(first) | set(second) == {f"m-{number}" for number in range(1, 301)}


def test_ctrl_c_ends_it_in_order(
    topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = json_lines(tmp_path / "requests.jsonl", range(1, 1001))
    once = iter([True])

    def interrupt(post: publish.Post, entries: list[Any]) -> Any:
        if next(once, False):
            os.kill(os.getpid(), signal.SIGINT)
        return post(entries)  # what is under way is finished

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        killed_after(patch, 10, interrupt)
        assert run(path, topic) == 1
    assert signal.getsignal(signal.SIGINT) is before
    assert "stopped; the same command goes on from there" in capsys.readouterr().err
    first = topic.ids()
    done = stored(path)["lines"]
    assert done < 1000
    assert set(first) >= {f"m-{number}" for number in range(1, done + 1)}
    assert 100 <= len(first) < 1000
    assert run(path, topic) == 0
    second = topic.ids()
    assert set(second) == {f"m-{number}" for number in range(done + 1, 1001)}
    assert len(first & second) <= 160  # of the batches that were under way side by side


def test_the_checkpoint_waits_for_the_slowest(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "requests.jsonl", range(1, 4))
    checkpoint = publish.Checkpoint(Path(f"{path}.done"), path)
    for line in range(1, 41):
        checkpoint.read(line, is_open=line not in (11, 12, 40))  # those three are bad or blank
    assert checkpoint.lines == 0
    for line in range(13, 31):
        checkpoint.done(line)
    assert checkpoint.lines == 0
    for line in range(1, 10):
        checkpoint.done(line)
    assert checkpoint.lines == 9
    checkpoint.done(10)
    assert checkpoint.lines == 30
    checkpoint.save()
    assert stored(path)["lines"] == 30
    assert sorted(it.name for it in tmp_path.iterdir()) == ["requests.jsonl", "requests.jsonl.done"]
    for line in range(31, 40):
        checkpoint.done(line)
    assert checkpoint.lines == 40


def test_a_slow_batch_holds_the_checkpoint_back(topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = json_lines(tmp_path / "requests.jsonl", range(1, 201))
    refusing(monkeypatch, lambda entry: ("InternalError", False) if entry["Id"] == "15" else None)
    assert run(path, topic) == 1
    assert stored(path)["lines"] == 14
    assert topic.ids()["m-16"] == 1


def test_another_file_is_refused(topic: Topic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = json_lines(tmp_path / "requests.jsonl", range(1, 4))
    assert run(path, topic) == 0
    assert run(path, topic) == 0  # nothing is left to do
    assert "going on after line 3" in capsys.readouterr().out
    json_lines(path, range(4, 7))  # as many bytes
    assert topic.ids() == Counter(["m-1", "m-2", "m-3"])
    assert run(path, topic) == 2
    assert "is not the checkpoint of this file; --again" in capsys.readouterr().err
    assert not topic.taken()
    assert run(path, topic, "--again") == 0
    assert topic.ids() == Counter(["m-4", "m-5", "m-6"])
    Path(f"{path}.done").write_text("[]")
    assert run(path, topic) == 2


def test_check_publishes_nothing(topic: Topic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = json_lines(tmp_path / "requests.jsonl", range(1, 31))
    assert publish.main([str(path), "--check"]) == 0
    path.write_bytes(path.read_bytes() + b"{}\n")
    assert run(path, topic, "--check") == 1
    out, err = capsys.readouterr()
    assert out == "30 good, 0 bad; done up to line 30\n30 good, 1 bad; done up to line 31\n"
    assert err == "line 31: no mobile\n"
    assert not topic.taken()
    assert not Path(f"{path}.done").exists()


def test_what_sns_could_not_take_is_tried_again(
    topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = json_lines(tmp_path / "requests.jsonl", range(1, 31))
    tries = Counter[str]()

    def refuse(entry: dict[str, Any]) -> tuple[str, bool] | None:
        tries[entry["Id"]] += 1
        if entry["Id"] == "17":
            return "InvalidParameter", True
        return ("Throttled", True) if entry["Id"] in ("3", "4") and tries[entry["Id"]] <= 5 else None

    refusing(monkeypatch, refuse)
    assert run(path, topic) == 1
    assert topic.ids() == Counter(f"m-{number}" for number in range(1, 31) if number != 17)
    assert (tries["3"], tries["4"], tries["5"], tries["17"]) == (6, 6, 1, 1)
    out, err = capsys.readouterr()
    assert err == "line 17: SNS: InvalidParameter no *8009\n"
    assert out == "29 published, 1 bad; done up to line 30\n"


def test_it_gives_up_in_the_end(
    topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = json_lines(tmp_path / "requests.jsonl", range(1, 31))
    tries = []

    def throttled(*_: Any) -> Any:
        tries.append(1)
        raise ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "PublishBatch")

    with monkeypatch.context() as patch:
        killed_after(patch, 1, throttled)
        assert run(path, topic, "--workers", "1") == 1
    assert len(tries) == 6
    assert stored(path)["lines"] == 10
    assert "Rate exceeded; the same command goes on from there" in capsys.readouterr().err
    assert run(path, topic) == 0
    assert topic.ids() == Counter(f"m-{number}" for number in range(1, 31))


def test_what_cannot_get_better_is_not_tried_again(
    topic: Topic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = json_lines(tmp_path / "requests.jsonl", range(1, 31))
    assert publish.main([str(path), "--topic", f"{topic.arn}-gone"]) == 1
    assert "NotFound" in capsys.readouterr().err
    assert stored(path)["lines"] == 0


def test_batches_keep_under_256_kb() -> None:
    sizes = [100_000, 100_000, 62_144, 1, *[10] * 12, publish.LARGEST, 5]
    entries = [publish.Entry(line, b"", "", size) for line, size in enumerate(sizes)]
    batches = list(publish.batches(entries))
    assert [[entry.size for entry in batch] for batch in batches] == [
        [100_000, 100_000, 62_144],
        [1, *[10] * 9],
        [10] * 3,
        [publish.LARGEST],
        [5],
    ]


def test_a_stack_names_its_topic(topic: Topic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloudformation = boto3.client("cloudformation", region_name=REGION)
    cloudformation.create_stack(StackName="voice", TemplateBody=json.dumps(STACK))
    cloudformation.create_stack(StackName="other", TemplateBody=json.dumps({"Resources": STACK["Resources"]}))
    path = json_lines(tmp_path / "requests.jsonl", range(1, 4))
    assert publish.main([str(path), "--stack", "voice", "--region", REGION]) == 0
    for stack in ("other", "none"):
        assert publish.main([str(path), "--stack", stack, "--region", REGION, "--again"]) == 2
        assert "no topic" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", [[], ["--topic", "t", "--stack", "s"], ["--check", "--id-prefix", "a b"], ["--check", "--bad", "{}"]]
)
def test_wrong_usage(tmp_path: Path, more: list[str]) -> None:
    path = json_lines(tmp_path / "requests.jsonl", range(1, 4))
    for arguments in ([str(path), *(it.format(path) for it in more)], [str(tmp_path / "none.csv"), "--check"]):
        with pytest.raises(SystemExit) as ended:
            publish.main(arguments)
        assert ended.value.code == 2
