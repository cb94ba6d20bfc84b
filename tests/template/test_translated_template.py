"""What the local AWS server does not enforce, so no end-to-end test could see it missing."""

import json
import re
from typing import Any

import pytest
from voice_gateway import vendors

from tests.found import CALLBACKS, FUNCTIONS, SECRETS, TITLES, VENDORS

Resources = dict[str, dict[str, Any]]

CALLS_VENDORS = ("Send", "Sweep", "BalanceCheck")

TABLE = "CallsTable.Arn"
OUTBOX, DEAD_LETTERS = "OutboxQueue.Arn", "DeadLetterQueue.Arn"
BULK = "BulkQueue.Arn"
LANES = {"UrgentQueue.Arn", BULK}
VENDOR_SECRETS = tuple(f"{name}.Id" for name in SECRETS)
ASKED_FOR_RESULTS = {f"{title}Secret.Id" for name, title in TITLES.items() if vendors.vendor(name).result_query}


def callback_grants(vendor: str) -> dict[str, set[str]]:
    """What every callback function may do; to look a message up is only for one whose receipts name it."""
    looked_up = {"dynamodb:GetItem": {TABLE}} if vendors.vendor(vendor).echoes_message_id else {}
    return looked_up | {
        "dynamodb:UpdateItem": {TABLE},
        "secretsmanager:GetSecretValue": {"CallbackSecret.Id"},
        "sqs:SendMessage": {OUTBOX, DEAD_LETTERS},
    }


# Everything that each function may do, and on what. A change here is a change of the gateway's reach: think twice.
GRANTS: dict[str, dict[str, set[str]]] = {
    "Send": {
        "dynamodb:GetItem": {TABLE},
        "dynamodb:PutItem": {TABLE},
        "dynamodb:UpdateItem": {TABLE},
        "secretsmanager:GetSecretValue": {*VENDOR_SECRETS, "CallbackSecret.Id"},
        "ssm:GetParameter": {
            "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/${AWS::StackName}/templates/*"
        },
        # Lambda takes messages out of the lanes with the function's role; the function itself lets one come again.
        **dict.fromkeys(
            ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"), LANES
        ),
        "sqs:SendMessage": {BULK, OUTBOX, DEAD_LETTERS},
    },
    **{f"Callback{title}": callback_grants(name) for name, title in TITLES.items()},
    "Status": {"dynamodb:GetItem": {TABLE}},
    "Cancel": {"dynamodb:GetItem": {TABLE}, "dynamodb:UpdateItem": {TABLE}},
    "Publish": {
        "dynamodb:DescribeStream": {"CallsTable.StreamArn"},
        "dynamodb:GetRecords": {"CallsTable.StreamArn"},
        "dynamodb:GetShardIterator": {"CallsTable.StreamArn"},
        "dynamodb:ListStreams": {"CallsTable.StreamArn"},
        "sns:Publish": {"ResultsTopic"},
        "sqs:SendMessage": {*LANES, OUTBOX, DEAD_LETTERS},
    },
    "Sweep": {
        "dynamodb:GetItem": {TABLE},
        "dynamodb:PutItem": {TABLE},
        "dynamodb:UpdateItem": {TABLE},
        "dynamodb:Query": {f"${{CallsTable.Arn}}/index/{name}" for name in ("work", "number", "sweep")},
        "sns:Publish": {"ResultsTopic"},
        "sqs:ReceiveMessage": {OUTBOX},
        "sqs:DeleteMessage": {OUTBOX},
        "sqs:SendMessage": {*LANES, DEAD_LETTERS},
        "secretsmanager:GetSecretValue": ASKED_FOR_RESULTS,
    },
    "BalanceCheck": {
        "dynamodb:GetItem": {TABLE},
        "dynamodb:PutItem": {TABLE},
        "secretsmanager:GetSecretValue": {*VENDOR_SECRETS},
        "sns:Publish": {"AlarmTopic"},
    },
}

# What is granted only with a parameter set, and why: all of it AWS itself asks for with the function's role, so that no
# run on the local stack shows it to be used.
UNDER_CONDITION = {
    "OwnKey": "KmsKeyArn: table, secrets, queues and topics use the key in the name of whoever reads or writes them",
    "TracingOn": "Tracing: Lambda sends the trace",
    "InVpc": "VpcSubnetIds: Lambda makes the network interfaces",
}

# Design section 8.
DEFAULTS = {
    "JumdataHours": "09:00-21:00",
    "JumdataDailyCap": 3,
    "DxtongDailyCap": 0,
    "VendorDeadlineSeconds": 8,
    "VendorRestSeconds": 60,
    "RedialAfterSeconds": 300,
    "UnansweredAfterSeconds": 3600,
    "LinkByNumber": "on",
    "RetentionDays": 30,
    "JumdataEndpoint": "https://api.jumdata.com",
    "DxtongEndpoint": "https://api.vm.dxtong.com",
    "CallbackBaseUrl": "",
    "CallbackMode": "push",
    "CallbackCidrs": "",
    "SendConcurrency": 0,
    "UrgentConcurrency": 50,
    "BulkConcurrency": 10,
    "DxtongPerSecond": 0,
    "JumdataPerSecond": 0,
    "BalanceSchedule": "rate(15 minutes)",
    "DxtongLowCredit": 100,
    "JumdataLowCredit": 50,
    "CreditDaysAhead": 3,
    "CreditClearPercent": 120,
    "Tracing": "off",
}


def of_type(resources: Resources, kind: str) -> Resources:
    return {name: each for name, each in resources.items() if each["Type"] == kind}


def _priority(kind: str, value: str) -> dict[str, dict[str, str]]:
    return {"priority": {"Type": kind, "Value": value}}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def plain(value: Any) -> str:
    """A reference as text: `Table.Arn`, `Topic`, or the text of an Fn::Sub."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    return ".".join(argument) if function == "Fn::GetAtt" else str(argument)


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    (policy,) = role["Properties"]["Policies"]
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def always(role: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements under no condition."""
    return [each for each in statements(role) if "Fn::If" not in each]


def under_condition(role: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Condition → statement, of those that are there only with a parameter set."""
    return {each["Fn::If"][0]: each["Fn::If"][1] for each in statements(role) if "Fn::If" in each}


# Functions and their roles.


def test_each_function_is_there_with_a_role_and_a_log_of_its_own(resources: Resources) -> None:
    found = of_type(resources, "AWS::Lambda::Function")
    assert set(found) == {f"{name}Function" for name in FUNCTIONS}
    for name in FUNCTIONS:
        properties = found[f"{name}Function"]["Properties"]
        assert properties["Role"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}
        assert properties["LoggingConfig"] == {"LogGroup": {"Ref": f"{name}LogGroup"}}
        assert properties["Runtime"] == "python3.13"
        assert len(properties["Layers"]) == 2


def test_no_function_is_cut_off_in_the_middle_of_a_call(resources: Resources, written: dict[str, Any]) -> None:
    longest = written["Parameters"]["VendorDeadlineSeconds"]["MaxValue"]
    for name in CALLS_VENDORS:
        assert resources[f"{name}Function"]["Properties"]["Timeout"] > 2 * longest


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_grants_exactly_what_is_listed(resources: Resources, name: str) -> None:
    granted: dict[str, set[str]] = {}
    for statement in always(resources[f"{name}Role"]):
        assert statement["Effect"] == "Allow"
        if statement["Sid"] != "Log":
            for action in listed(statement["Action"]):
                granted.setdefault(action, set()).update(map(plain, listed(statement["Resource"])))
    assert granted == GRANTS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_writes_to_its_own_log_only(resources: Resources, name: str) -> None:
    (log,) = (each for each in statements(resources[f"{name}Role"]) if each.get("Sid") == "Log")
    assert set(log["Action"]) == {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert log["Resource"] == {"Fn::GetAtt": [f"{name}LogGroup", "Arn"]}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_has_no_wildcards_but_where_aws_knows_no_resources(resources: Resources, name: str) -> None:
    role = resources[f"{name}Role"]
    every = always(role) + list(under_condition(role).values())
    assert not [action for each in every for action in listed(each["Action"]) if "*" in action]
    wide = {each["Sid"] for each in every if "*" in listed(each["Resource"])}
    assert wide <= {"Trace", "NetworkInterfaces"}
    assert set(under_condition(role)) == set(UNDER_CONDITION) - (set() if name in CALLS_VENDORS else {"InVpc"})


def test_no_function_has_a_managed_policy(resources: Resources) -> None:
    with_managed = {
        name for name, role in of_type(resources, "AWS::IAM::Role").items() if "ManagedPolicyArns" in role["Properties"]
    }
    assert with_managed == {"ApiGatewayAccountRole"}
    assert set(of_type(resources, "AWS::IAM::Role")) == {f"{name}Role" for name in FUNCTIONS} | with_managed


def test_no_trace_holds_a_callbacks_token(resources: Resources) -> None:
    """The segments of an API's stage hold the request's whole address, and that holds the token."""
    for stage in of_type(resources, "AWS::ApiGateway::Stage").values():
        assert stage["Properties"]["TracingEnabled"] is False


def test_balance_check_reaches_balances_only(resources: Resources) -> None:
    (balances,) = (each for each in always(resources["BalanceCheckRole"]) if each["Sid"] == "Balances")
    assert balances["Condition"] == {"ForAllValues:StringLikeIfExists": {"dynamodb:LeadingKeys": "BALANCE#*"}}


# Retries.


@pytest.mark.parametrize(
    ("name", "qualifier"), [("SendFunctionEventInvokeConfig", "$LATEST"), ("SendAliasEventInvokeConfig", "live")]
)
def test_an_asynchronous_send_is_retried_and_then_kept(resources: Resources, name: str, qualifier: str) -> None:
    properties = resources[name]["Properties"]
    assert properties["Qualifier"] == qualifier
    assert (properties["MaximumRetryAttempts"], properties["MaximumEventAgeInSeconds"]) == (2, 6 * 3600)
    assert properties["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}


def lanes(resources: Resources) -> dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Queue, subscription and trigger of each lane, by the queue's logical id."""
    found = {}
    for name in ("UrgentQueue", "BulkQueue"):
        arn = {"Fn::GetAtt": [name, "Arn"]}
        (subscription,) = (
            each["Properties"]
            for each in of_type(resources, "AWS::SNS::Subscription").values()
            if each["Properties"]["Endpoint"] == arn
        )
        (trigger,) = (
            each["Properties"]
            for each in of_type(resources, "AWS::Lambda::EventSourceMapping").values()
            if each["Properties"]["EventSourceArn"] == arn
        )
        found[name] = (resources[name]["Properties"], subscription, trigger)
    return found


def test_a_request_that_sns_cannot_hand_over_is_kept(resources: Resources) -> None:
    for _, subscription, _ in lanes(resources).values():
        assert subscription["TopicArn"] == {"Ref": "NotifyTopic"}
        assert subscription["RedrivePolicy"] == {"deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}}
        # The id of a request that brings none is only in SNS's envelope.
        assert not subscription.get("RawMessageDelivery")


def test_a_lane_hands_over_one_by_one_and_keeps_what_is_late(resources: Resources) -> None:
    for queue, _, trigger in lanes(resources).values():
        assert queue["VisibilityTimeout"] >= resources["SendFunction"]["Properties"]["Timeout"]
        assert queue["MessageRetentionPeriod"] == 14 * 86400
        assert queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"] >= 86400
        assert (trigger["BatchSize"], trigger["FunctionResponseTypes"]) == (1, ["ReportBatchItemFailures"])
    concurrency = {name: trigger["ScalingConfig"] for name, (_, _, trigger) in lanes(resources).items()}
    assert concurrency == {
        "UrgentQueue": {"MaximumConcurrency": {"Ref": "UrgentConcurrency"}},
        "BulkQueue": {"MaximumConcurrency": {"Ref": "BulkConcurrency"}},
    }


# SNS's envelope of what was published with that attribute, or what is put into a lane otherwise; and who rings it.
BY_LANE: list[tuple[dict[str, Any], set[str]]] = [
    ({"Type": "Notification", "Message": "{}"}, {"UrgentQueue"}),
    ({"Type": "Notification", "MessageAttributes": {"other": {"Type": "String", "Value": "bulk"}}}, {"UrgentQueue"}),
    ({"Type": "Notification", "MessageAttributes": _priority("String", "urgent")}, {"UrgentQueue"}),
    ({"Type": "Notification", "MessageAttributes": _priority("String", "BULK")}, {"UrgentQueue"}),
    ({"Type": "Notification", "MessageAttributes": _priority("Binary", "bulk")}, {"UrgentQueue"}),
    ({"Type": "Notification", "MessageAttributes": _priority("String", "bulk")}, {"BulkQueue"}),
    (
        {"Type": "Notification", "MessageAttributes": _priority("String.Array", '["bulk"]')},
        {"UrgentQueue", "BulkQueue"},
    ),
    ({"handed_over": {"message_id": "m1"}}, {"UrgentQueue"}),
]


@pytest.mark.parametrize(("body", "expected"), BY_LANE)
def test_no_message_falls_between_the_lanes(resources: Resources, body: dict[str, Any], expected: set[str]) -> None:
    """An SNS filter lets nothing through that has no attributes at all, so the urgent lane has none: its trigger has.

    That one matches whole paths (github.com/aws/event-ruler): a path whose beginning is not there does not exist.
    """
    (_, urgent, trigger), (_, bulk, all_of_it) = lanes(resources).values()
    assert "FilterPolicy" not in urgent
    assert "FilterCriteria" not in all_of_it
    patterns = [json.loads(each["Pattern"]) for each in trigger["FilterCriteria"]["Filters"]]
    assert bulk["FilterPolicy"] == {"priority": ["bulk"]}
    given = body.get("MessageAttributes", {}).get("priority", {})
    texts = json.loads(given["Value"]) if given.get("Type") == "String.Array" else [given.get("Value")]
    taken = {"BulkQueue"} if given.get("Type") in {"String", "String.Array"} and "bulk" in texts else set()
    if any(_matches({"body": body}, pattern) for pattern in patterns):
        taken.add("UrgentQueue")
    assert taken == expected


def _matches(event: Any, pattern: dict[str, Any]) -> bool:
    """As the triggers' filters do, of what this template uses."""
    for key, rule in pattern.items():
        inner = event.get(key) if isinstance(event, dict) else None
        if isinstance(rule, dict):
            if not _matches(inner, rule):
                return False
        elif not any(
            inner is None if one == {"exists": False} else inner is not None and inner not in one["anything-but"]
            for one in rule
        ):
            return False
    return True


def test_publish_sees_changes_of_messages_and_fails_record_by_record(resources: Resources) -> None:
    (properties,) = (
        each["Properties"]
        for each in of_type(resources, "AWS::Lambda::EventSourceMapping").values()
        if each["Properties"]["EventSourceArn"] == {"Fn::GetAtt": ["CallsTable", "StreamArn"]}
    )
    (only,) = properties["FilterCriteria"]["Filters"]
    assert json.loads(only["Pattern"]) == {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "MSG#"}]}}},
    }
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert properties["BisectBatchOnFunctionError"] is True
    assert properties["StartingPosition"] == "TRIM_HORIZON"
    assert 0 < properties["MaximumRecordAgeInSeconds"] < 86400
    assert properties["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}


def test_the_outbox_waits_longer_than_sweep_runs_and_for_days_if_need_be(resources: Resources) -> None:
    outbox = resources["OutboxQueue"]["Properties"]
    assert outbox["VisibilityTimeout"] > resources["SweepFunction"]["Properties"]["Timeout"]
    assert outbox["RedrivePolicy"]["maxReceiveCount"] >= 1000
    for queue in ("OutboxQueue", "DeadLetterQueue"):
        assert resources[queue]["Properties"]["MessageRetentionPeriod"] == 14 * 86400


# What is stored, and how it is protected.


def test_the_table_expires_items_recovers_and_is_encrypted(resources: Resources) -> None:
    table = resources["CallsTable"]
    properties = table["Properties"]
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"]["SSEEnabled"] is True
    assert properties["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"


def test_what_cannot_be_made_again_outlives_the_stack(resources: Resources) -> None:
    for name in ("CallsTable", *SECRETS, "CallbackSecret"):
        assert resources[name]["DeletionPolicy"] == ("Retain" if name == "CallsTable" else "RetainExceptOnCreate")
        assert resources[name]["UpdateReplacePolicy"] == "Retain"
    assert resources["CallsTable"]["Properties"]["DeletionProtectionEnabled"] is True


def test_an_update_leaves_alone_what_an_operator_put_into_a_secret(resources: Resources) -> None:
    """CloudFormation writes a literal SecretString again; a generated value it does not."""
    for name in (*SECRETS, "CallbackSecret"):
        assert "SecretString" not in resources[name]["Properties"]
        assert "GenerateSecretString" in resources[name]["Properties"]


def test_queues_and_message_topics_are_encrypted(resources: Resources) -> None:
    for queue in of_type(resources, "AWS::SQS::Queue").values():
        assert queue["Properties"]["SqsManagedSseEnabled"] == {"Fn::If": ["OwnKey", {"Ref": "AWS::NoValue"}, True]}
        assert queue["Properties"]["KmsMasterKeyId"]["Fn::If"][1] == {"Ref": "KmsKeyArn"}
    for topic in ("NotifyTopic", "ResultsTopic"):
        assert resources[topic]["Properties"]["KmsMasterKeyId"] == {
            "Fn::If": ["OwnKey", {"Ref": "KmsKeyArn"}, "alias/aws/sns"]
        }


def test_cloudwatch_can_publish_alarms(resources: Resources) -> None:
    assert "KmsMasterKeyId" not in resources["AlarmTopic"].get("Properties", {})
    (granted,) = (
        each
        for each in resources["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        if "Service" in each["Principal"]
    )
    assert granted["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert granted["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


@pytest.mark.parametrize("topic", ["NotifyTopic", "ResultsTopic", "AlarmTopic"])
def test_only_the_account_publishes(resources: Resources, topic: str) -> None:
    policy = resources[f"{topic}Policy"]["Properties"]
    assert policy["Topics"] == [{"Ref": topic}]
    for statement in policy["PolicyDocument"]["Statement"]:
        assert statement["Action"] == "sns:Publish"
        assert statement["Resource"] == {"Ref": topic}
        if "Service" not in statement["Principal"]:
            assert plain(statement["Principal"]["AWS"]) == "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"


def test_only_sns_for_the_notify_topic_writes_dead_letters_from_outside(resources: Resources) -> None:
    (statement,) = resources["DeadLetterQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": "NotifyTopic"}}}


def test_logs_are_kept_as_long_as_the_operator_says(resources: Resources) -> None:
    groups = of_type(resources, "AWS::Logs::LogGroup")
    assert len(groups) == len(FUNCTIONS) + 1
    assert all(each["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"} for each in groups.values())


# The API.


def test_no_log_of_the_api_holds_the_token(resources: Resources) -> None:
    stage = resources["CallbackApiv1Stage"]["Properties"]
    fields = json.loads(stage["AccessLogSetting"]["Format"])
    assert fields["route"] == "$context.resourcePath"
    assert not {"$context.path", "$context.requestOverride.path"} & set(fields.values())
    (settings,) = stage["MethodSettings"]
    assert settings["LoggingLevel"] == "OFF"
    assert settings["DataTraceEnabled"] is False


def test_the_api_is_throttled_regional_and_leaves_bodies_alone(resources: Resources) -> None:
    api = resources["CallbackApi"]["Properties"]
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert api["Body"]["x-amazon-apigateway-binary-media-types"] == ["*/*"]
    (settings,) = resources["CallbackApiv1Stage"]["Properties"]["MethodSettings"]
    assert settings["ThrottlingRateLimit"] == {"Ref": "CallbackRatePerSecond"}
    assert settings["ThrottlingBurstLimit"] == {"Ref": "CallbackBurst"}


def test_the_api_has_one_stage(resources: Resources) -> None:
    """A deployment that names a stage makes one more, with neither throttle nor access log."""
    assert len(of_type(resources, "AWS::ApiGateway::Stage")) == 1
    (deployment,) = of_type(resources, "AWS::ApiGateway::Deployment").values()
    assert "StageName" not in deployment["Properties"]


def test_the_api_has_these_routes_and_no_others(resources: Resources) -> None:
    paths = resources["CallbackApi"]["Properties"]["Body"]["paths"]
    routes = {path: set(methods["Fn::If"][1]) for path, methods in paths.items()}
    # jumdata's page names no method; whoever has a page of its own is expected to be pushed to by POST.
    others = {f"/callbacks/{name}/{{token}}": {"post"} for name in VENDORS}
    assert routes == others | {"/callbacks/jumdata/{token}": {"post", "get"}}


def test_poll_mode_has_no_api_and_no_callback_functions(resources: Resources, written: dict[str, Any]) -> None:
    assert written["Conditions"]["PushMode"] == {"Fn::Equals": [{"Ref": "CallbackMode"}, "push"]}
    of_push_mode = {name for name, each in resources.items() if name.startswith(("Callback", "ApiGateway"))}
    of_push_mode -= {"CallbackSecret"}
    each = {f"{name}{part}" for name in CALLBACKS for part in ("Function", "Role")}
    assert {"CallbackApi", *each} <= of_push_mode
    conditions = {resources[name].get("Condition") for name in of_push_mode}
    assert conditions == {"PushMode", "MakesApiGatewayLogRole"}
    assert written["Conditions"]["MakesApiGatewayLogRole"]["Fn::And"][0] == {"Condition": "PushMode"}
    base = resources["SendFunction"]["Properties"]["Environment"]["Variables"]["CALLBACK_BASE_URL"]
    assert base["Fn::If"][0] == "PushMode"
    assert base["Fn::If"][2] == {"Ref": "AWS::NoValue"}


# Alarms.


def test_alarms_reach_the_alarm_topic(resources: Resources) -> None:
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    assert all(each["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopic"}] for each in alarms.values())
    watched = {(each["Properties"]["Namespace"], each["Properties"]["MetricName"]) for each in alarms.values()}
    assert watched >= {
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        ("AWS/Lambda", "Errors"),
        ("VoiceGateway", "OutcomeUnknown"),
        ("VoiceGateway", "UnlinkedReceipts"),
        ("VoiceGateway", "Unanswered"),
        ("VoiceGateway", "BadToken"),
    }
    failing = {
        each["Properties"]["Dimensions"][0]["Value"]["Ref"]
        for each in alarms.values()
        if each["Properties"]["MetricName"] == "Errors"
    }
    assert failing == {f"{name}Function" for name in FUNCTIONS}


# Parameters and places.


def test_parameters_have_the_defaults_of_the_design(written: dict[str, Any]) -> None:
    parameters = written["Parameters"]
    assert {name: parameters[name]["Default"] for name in DEFAULTS} == DEFAULTS
    order = parameters["VendorOrder"]["Default"].split(",")
    assert order[:2] == ["dxtong", "jumdata"]
    assert set(order) == set(VENDORS)


def test_every_parameter_is_described_and_checked(written: dict[str, Any]) -> None:
    for name, parameter in written["Parameters"].items():
        assert parameter["Description"], name
        if parameter["Type"] != "CommaDelimitedList":  # CloudFormation has no pattern for lists
            assert parameter["ConstraintDescription"], name
            assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter), name


@pytest.mark.parametrize("name", [name for name, value in DEFAULTS.items() if isinstance(value, str)])
def test_a_default_passes_its_own_check(written: dict[str, Any], name: str) -> None:
    parameter = written["Parameters"][name]
    pattern = parameter.get("AllowedPattern", ".*")
    assert re.fullmatch(pattern, parameter["Default"])
    assert parameter["Default"] in parameter.get("AllowedValues", [parameter["Default"]])


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("JumdataHours", "00:00-24:00", True),
        ("JumdataHours", "9:00-21:00", False),
        ("JumdataHours", "09:00-24:01", False),
        ("DxtongEndpoint", "http://127.0.0.1:8081", True),
        ("DxtongEndpoint", "http://example.com", False),
        ("DxtongEndpoint", "http://127.0.0.1.example.com:80", False),
        ("DxtongEndpoint", "https://example.com/a?b", False),
        ("CallbackCidrs", "192.0.2.0/24,198.51.100.7/32", True),
        ("CallbackCidrs", "192.0.2.1", False),
        ("BalanceSchedule", "rate(1 minute)", True),
        ("BalanceSchedule", "1 minute", False),
        ("AlarmEmail", "ops@example.com", True),
        ("AlarmEmail", "ops", False),
        ("KmsKeyArn", "alias/mine", False),
        ("VendorOrder", "jumdata,", False),
    ],
)
def test_a_parameter_takes_what_is_right_and_nothing_else(
    written: dict[str, Any], name: str, value: str, good: bool
) -> None:
    assert bool(re.fullmatch(written["Parameters"][name]["AllowedPattern"], value)) is good


def test_nothing_names_a_partition_a_region_or_an_account(source: str) -> None:
    assert not re.findall(r"arn:aws[a-z-]*:", source)
    assert not re.findall(r"\b(?:us|eu|ap|cn|sa|ca|me|af|il)-(?:gov-)?[a-z]+-\d\b", source)
    assert not re.findall(r"\b\d{12}\b", source)
    principals = set(re.findall(r"[a-z-]+\.amazonaws\.com\S*", source))
    assert principals <= {f"{each}.amazonaws.com" for each in ("lambda", "sns", "cloudwatch", "apigateway")}


def test_a_callback_without_a_token_learns_as_little_as_one_with_a_wrong_one(resources: Resources) -> None:
    """The local server has no gateway responses: there it is 403, on AWS 404 and empty."""
    responses = resources["CallbackApi"]["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"]
    answer = responses["MISSING_AUTHENTICATION_TOKEN"]
    assert str(answer["statusCode"]) == "404"
    assert answer["responseTemplates"] == {"application/json": ""}
