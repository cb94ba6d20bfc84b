"""What strangers meet first: the workflows trust nothing that can be exchanged, forms and versions say the same."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.places import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
USES = re.compile(r"^\s*(?:- )?uses: *(\S+) *(.*)$", re.MULTILINE)
PINNED = re.compile(r"([\w-]+/[\w./-]+)@([0-9a-f]{40})")
VERSION = re.compile(r"# (v\d+\.\d+\.\d+)")


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # no types: `on` is no truth value
    return found


def actions(text: str) -> set[tuple[str, str, str]]:
    """Each action with its digest and the version in its comment. Raises ValueError for one that is not so pinned."""
    found = set()
    for uses, comment in USES.findall(text):
        pinned, version = PINNED.fullmatch(uses), VERSION.fullmatch(comment.strip())
        if not (pinned and version):
            raise ValueError(f"{uses} {comment}: a full digest, and its version as a comment")
        found.add((pinned[1], pinned[2], version[1]))
    return found


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_its_digest_with_its_version_beside_it(workflow: Path) -> None:
    assert len(actions(workflow.read_text())) == len(set(re.findall(r"uses: *([\w/-]+)", workflow.read_text())))


@pytest.mark.parametrize("uses", ["a/b@v4", "a/b@main # v4.0.0", f"a/b@{'0' * 40}", f"a/b@{'0' * 40} # v4", "./here"])
def test_an_action_that_is_not_pinned_is_found(uses: str) -> None:
    with pytest.raises(ValueError, match="digest"):
        actions(f"    - uses: {uses}\n")


def test_an_action_has_one_version_everywhere() -> None:
    found = set().union(*(actions(workflow.read_text()) for workflow in WORKFLOWS))
    assert len({name for name, _, _ in found}) == len(found), sorted(found)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_read_the_repository_and_a_job_only_what_it_needs_beyond(workflow: Path) -> None:
    found = read(workflow)
    assert found["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in found["jobs"].items() if "permissions" in job}
    needed = {"release": {"contents": "write", "id-token": "write", "attestations": "write"}}
    assert more == (needed if workflow.stem == "release" else {})


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_job_ends_by_itself_and_leaves_no_token_behind(workflow: Path) -> None:
    for name, job in read(workflow)["jobs"].items():
        assert int(job["timeout-minutes"]) <= 60, name
        checkouts = [step for step in job["steps"] if "actions/checkout@" in step.get("uses", "")]
        assert all(step["with"]["persist-credentials"] == "false" for step in checkouts), name


def test_nothing_of_a_strangers_is_put_into_a_command() -> None:
    """A branch's name or an issue's title in ``run`` is a command of whoever chose it."""
    for workflow in WORKFLOWS:
        assert "pull_request_target" not in workflow.read_text()
        for job in read(workflow)["jobs"].values():
            for step in job["steps"]:
                assert re.findall(r"\$\{\{ *(.*?) *\}\}", step.get("run", "")) in ([], ["github.run_number"])


def test_renovate_takes_the_uv_that_the_project_requires() -> None:
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["required-version"]
    (constraint,) = re.findall(r'constraints: \{ uv: "(.*?)" \}', (GITHUB / "renovate.json5").read_text())
    assert constraint == required


@pytest.mark.parametrize("path", ["local/requirements.txt", "tests/scanners/requirements.txt"])
def test_a_requirements_file_says_how_it_was_made(path: str) -> None:
    """Renovate reads it there: the options with ``=``, none that it does not know."""
    source = path.replace(".txt", ".in")
    command = f"uv pip compile --generate-hashes --python-version=3.13 --output-file={path} {source}"
    assert (ROOT / path).read_text().splitlines()[1] == f"#    {command}"
    asked = subprocess.run(["make", "-n", "deps"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert command in re.sub(r" \\\n\s*", " ", asked).replace(" --quiet", "")


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_a_form_says_what_nobody_may_see(form: Path) -> None:
    text = " ".join(form.read_text().split())
    assert "No real phone numbers" in text or "nothing of your own**: no number" in text
    fields = [each for each in read(form)["body"] if each["type"] != "markdown"]
    assert len({each["id"] for each in fields}) == len(fields)


def test_the_bug_form_asks_why() -> None:
    fields = {each.get("id"): each for each in read(GITHUB / "ISSUE_TEMPLATE" / "bug.yml")["body"]}
    for name in ("why", "version"):
        assert fields[name]["validations"] == {"required": "true"}
    assert "voice-gateway why" in fields["why"]["attributes"]["description"]


def test_a_vendors_bytes_are_no_editors_to_mend() -> None:
    text = (ROOT / ".editorconfig").read_text()
    section = text.partition("[*.raw]\n")[2].partition("\n\n")[0]
    general = text.partition("[*]\n")[2].partition("\n\n")[0]
    assert section.splitlines() == [f"{line.split(' = ')[0]} = unset" for line in general.splitlines()]


def test_the_editors_lines_are_as_long_as_ruffs() -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["line-length"]
    assert f"[*.py]\nindent_size = 4\nmax_line_length = {ruff}\n" in (ROOT / ".editorconfig").read_text()
