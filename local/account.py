"""Says which AWS account and region a deployment would go to, or that there is none: before sam asks its questions."""

import os
import re
import sys
import tomllib

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.places import ROOT


def main(environment: str) -> int:
    if environment == "local" or not re.fullmatch(r"[a-z][a-z0-9-]*", environment):
        print(f"error: ENV={environment}: a name of small letters, digits and hyphens, not `local`", file=sys.stderr)
        return 1
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        print(f"error: this shell's AWS is {endpoint} (AWS_ENDPOINT_URL): deploy from another shell", file=sys.stderr)
        return 1
    try:
        session = deploying(environment)
        account = session.client("sts", region_name=session.region_name or "us-east-1").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        print(f"error: no AWS account: {error}. Run `aws configure`, or set AWS_PROFILE.", file=sys.stderr)
        return 1
    print(f"deploying {environment} to account {account}, region {session.region_name or 'as sam asks'}")
    return 0


def deploying(environment: str) -> boto3.Session:
    """The account and region that `make deploy` goes to, as `sam deploy --guided` wrote them down."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text()).get(environment, {})
    settings = {**config.get("global", {}).get("parameters", {}), **config.get("deploy", {}).get("parameters", {})}
    return boto3.Session(region_name=settings.get("region"), profile_name=settings.get("profile"))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
