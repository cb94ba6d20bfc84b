"""Says which AWS account and region a deployment would go to, or that there is none: before sam asks its questions."""

import sys

from botocore.exceptions import BotoCoreError, ClientError

from local.commands.target import deploying


def main() -> int:
    try:
        session = deploying()
        account = session.client("sts", region_name=session.region_name or "us-east-1").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        print(f"error: no AWS account: {error}. Run `aws configure`, or set AWS_PROFILE.", file=sys.stderr)
        return 1
    print(f"deploying to account {account}, region {session.region_name or 'as sam asks'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
