"""checkov and cfn-lint's serverless rules, on what is deployed.

They are shown the stack after SAM's translation and with its conditions decided, in two variants. The template as it is
written lacks what SAM adds: the API's stage, permissions, schedules, the event source. And what an `Fn::If` decides,
checkov takes for good without looking, whole IAM statements included: deciding them made 308 checks of 119.
"""

import json
import logging
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local.places import environment, tool
from tests.scanners import waivers
from tests.scanners.environment import scanner
from tests.scanners.waivers import Finding
from tests.template.evaluation import FRANKFURT, Evaluation

PARAMETERS: dict[str, dict[str, str]] = {
    "default": {},
    "hardened": {
        "AlarmEmail": "ops@example.com",
        "GradualDeployment": "true",
        "KmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000",
        "SendConcurrency": "5",
        "Tracing": "on",
        "VpcSecurityGroupIds": "sg-00000000",
        "VpcSubnetIds": "subnet-00000000,subnet-00000001",
    },
}


class ScanError(Exception):
    """A scanner did not do its work; the text says which, and what it said."""


def write(folder: Path) -> list[Path]:
    """The variants as files that a scanner can read."""
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns of metrics that nobody collects here
    paths = []
    for variant, parameters in PARAMETERS.items():
        template = Evaluation(FRANKFURT, **parameters)
        path = folder / f"{variant}.json"
        path.write_text(
            json.dumps(
                {
                    "AWSTemplateFormatVersion": "2010-09-09",
                    "Resources": template.resources,
                    "Outputs": template.outputs,
                }
            )
        )
        paths.append(path)
    return paths


def checkov(paths: list[Path]) -> tuple[list[Finding], int]:
    """What it found, and how many checks passed."""
    files = [argument for path in paths for argument in ("--file", str(path))]
    command = [scanner("checkov"), *files, "--framework", "cloudformation", "--skip-download", "--output", "json"]
    report = _json("checkov", [*command, "--quiet", "--compact", "--soft-fail"], paths[0].parent)
    if report["summary"]["parsing_errors"]:
        raise ScanError("checkov could not read the template")
    findings = [
        Finding(each["check_id"], each["resource"].split(".")[-1], Path(each["file_path"]).stem, each["check_name"])
        for each in report["results"]["failed_checks"]
    ]
    return findings, report["summary"]["passed"]


def cfn_lint(paths: list[Path]) -> list[Finding]:
    """Its own rules too: a condition may hide what they would find in the template as it is written."""
    command = [tool("cfn-lint"), "--append-rules", "cfn_lint_serverless.rules", "--regions", FRANKFURT.region]
    # Run in the folder: .cfnlintrc.yaml of the repository would add templates and regions.
    report = _json("cfn-lint", [*command, "--format", "json", "--template", *map(str, paths)], paths[0].parent)
    return [
        Finding(each["Rule"]["Id"], _resource(each["Location"]["Path"]), Path(each["Filename"]).stem, each["Message"])
        for each in report
    ]


def scan() -> int:
    """Prints what there is to do; returns the exit status."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor() as threads:
        paths = write(Path(name))
        linting = threads.submit(cfn_lint, paths)
        found, passed = checkov(paths)
        linted = linting.result()
    findings, known = [*found, *linted], waivers.read()
    unexplained, idle = waivers.unexplained(findings, known), waivers.idle(findings, known)
    for finding in unexplained:
        print(f"{finding.rule} {finding.resource} ({finding.variant}): {finding.text}")
    for waiver in idle:
        print(f"{waiver.rule} {waiver.pattern} ({waiver.variant}): the waiver is not needed any more")
    waived = len(set(findings)) - len(unexplained)
    print(f"scanned: {passed} checks of checkov passed, {waived} findings are waived, {len(unexplained)} are not")
    return 1 if unexplained or idle else 0


def _resource(path: list[Any]) -> str:
    return str(path[1]) if len(path) > 1 and path[0] == "Resources" else "/".join(map(str, path))


def _json(name: str, command: list[str], folder: Path) -> Any:
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        raise ScanError(f"{name} ended with {done.returncode}:\n{done.stdout}{done.stderr}") from None
