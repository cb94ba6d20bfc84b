"""A fixed source address: what calls vendors runs in the operator's VPC, and only if it is asked for."""

from typing import Any

import pytest

from tests.template.evaluation import PLACES, Evaluation, Place

CALLS_VENDORS = {"SendFunction", "SweepFunction", "BalanceCheckFunction"}
INTERFACES = {
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}
SUBNETS, GROUPS = "subnet-0a,subnet-0b", "sg-0a"

each_place = pytest.mark.parametrize("place", PLACES, ids=lambda each: each.region)


def in_vpc(template: Evaluation) -> dict[str, Any]:
    return {
        name: each["Properties"]["VpcConfig"]
        for name, each in template.of_type("AWS::Lambda::Function").items()
        if "VpcConfig" in each["Properties"]
    }


def interface_rights(template: Evaluation) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, role in template.of_type("AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                of_ec2 = {each for each in actions if each.startswith("ec2:")}
                if of_ec2:
                    found.setdefault(name, set()).update(of_ec2)
    return found


@each_place
@pytest.mark.parametrize("mode", ["push", "poll"])
def test_what_calls_vendors_is_in_the_vpc_and_nothing_else(place: Place, mode: str) -> None:
    template = Evaluation(place, CallbackMode=mode, VpcSubnetIds=SUBNETS, VpcSecurityGroupIds=GROUPS)
    config = {"SubnetIds": SUBNETS.split(","), "SecurityGroupIds": GROUPS.split(",")}
    assert in_vpc(template) == dict.fromkeys(CALLS_VENDORS, config)
    assert interface_rights(template) == {name.replace("Function", "Role"): INTERFACES for name in CALLS_VENDORS}


@each_place
def test_without_subnets_nothing_is_in_a_vpc(place: Place) -> None:
    template = Evaluation(place)
    assert in_vpc(template) == {}
    assert interface_rights(template) == {}


@pytest.mark.parametrize("half", [{"VpcSubnetIds": SUBNETS}, {"VpcSecurityGroupIds": GROUPS}], ids=str)
def test_half_of_it_does_not_deploy_outside_the_vpc_unnoticed(half: dict[str, str]) -> None:
    """Lambda refuses a VpcConfig that lacks one of the two, and says so."""
    assert set(in_vpc(Evaluation(PLACES[0], **half))) == CALLS_VENDORS
