"""What others' code runs on: this environment's own packages, as many of them as somebody would put into a layer.

Not all that is installed here: botocore and urllib3 import what makes them slower to start, where they find it.
"""

from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

WANTED = ("boto3", "requests", "aws-lambda-powertools", "aws-xray-sdk", "pydantic")


def make(folder: Path) -> Path:
    """Links the packages into the folder, and returns it."""
    folder.mkdir()
    for name in _needed():
        found = distribution(name)
        inside = {path.parts[0] for path in found.files or ()} - {"..", "__pycache__"}
        for top in inside:
            (folder / top).symlink_to(Path(str(found.locate_file(top))))
    return folder


def _needed() -> set[str]:
    """By what the packages themselves say, without their extras."""
    found, ahead = set[str](), list(WANTED)
    while ahead:
        name = ahead.pop()
        if name in found:
            continue
        found.add(name)
        asked = map(Requirement, distribution(name).requires or ())
        ahead += [each.name for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found
