"""Says which AWS account and region a deployment would go to, or that there is none: before sam asks its questions."""

import sys
import tomllib

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.places import ROOT


def main() -> int:
    try:
        session = deploying()
        account = session.client("sts", region_name=session.region_name or "us-east-1").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        print(f"error: no AWS account: {error}. Run `aws configure`, or set AWS_PROFILE.", file=sys.stderr)
        return 1
    print(f"deploying to account {account}, region {session.region_name or 'as sam asks'}")
    return 0


def deploying() -> boto3.Session:
    """The account and region that `make deploy` goes to, as `sam deploy --guided` wrote them down."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text()).get("default", {})
    settings = {**config.get("global", {}).get("parameters", {}), **config.get("deploy", {}).get("parameters", {})}
    return boto3.Session(region_name=settings.get("region"), profile_name=settings.get("profile"))


if __name__ == "__main__":
    sys.exit(main())
