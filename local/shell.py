"""What a shell needs so that its AWS is the local stack: `. .local/env.sh`.

Every AWS SDK and the AWS CLI read these variables: what somebody tries here runs unchanged against an account.
"""

import shlex
from pathlib import Path

from local.stack import SHELL_FILE, Stack


def write(stack: Stack) -> Path:
    """Writes `env.sh` beside the stack's `stack.json`, with a queue on the results topic to read from."""
    queue = stack.queue_on(stack.description["results_topic_arn"], "results")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables(stack).items()]
    lines += [f"export RESULTS_QUEUE_URL={shlex.quote(queue)}", "unset AWS_PROFILE AWS_SESSION_TOKEN"]
    # Programs differ in which one they read.
    lines += [f'export {name}="127.0.0.1,localhost${{{name}:+,${name}}}"' for name in ("NO_PROXY", "no_proxy")]
    path = stack.folder / SHELL_FILE
    path.write_text("\n".join(lines) + "\n")
    return path


def variables(stack: Stack) -> dict[str, str]:
    """By these the stack is a program's AWS."""
    described = stack.description
    return {
        "AWS_ENDPOINT_URL": described["endpoint_url"],
        "AWS_ACCESS_KEY_ID": described["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": described["aws_secret_access_key"],
        "AWS_REGION": described["region"],
        "AWS_DEFAULT_REGION": described["region"],
    }
