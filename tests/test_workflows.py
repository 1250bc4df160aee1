"""The workflows of the git host: pinned, with few rights, and deaf to what a stranger's pull request says."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from hw2core.settings.yaml import read_yaml

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in read_yaml(path)["jobs"].values():
        yield from job["steps"]


def rights(path: Path) -> set[tuple[str, str]]:
    workflow = read_yaml(path)
    given = [workflow["permissions"], *(job.get("permissions", {}) for job in workflow["jobs"].values())]
    return {right for permissions in given for right in permissions.items()}


def test_there_are_four() -> None:
    assert [path.stem for path in WORKFLOWS] == ["audit", "ci", "comment", "default"]


@every_workflow
def test_every_action_is_pinned_by_a_commit_with_its_version_beside_it(path: Path) -> None:
    for line in path.read_text().splitlines():
        if "uses:" in line:
            assert re.fullmatch(r" *- uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@every_workflow
def test_no_command_is_put_together_of_what_an_event_says(path: Path) -> None:
    """A branch may be called `$(rm -rf ~)`: such text reaches a command in a variable alone."""
    assert not [step["run"] for step in steps(path) if "${{" in step.get("run", "")]


@every_workflow
def test_a_strangers_code_never_runs_with_rights_or_secrets(path: Path) -> None:
    text = path.read_text()
    assert "pull_request_target" not in text
    assert "secrets." not in text
    if path.stem != "comment":
        assert rights(path) == {("contents", "read")}
        for step in steps(path):
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def test_what_may_comment_runs_nothing_of_the_pull_request() -> None:
    path = ROOT / ".github" / "workflows" / "comment.yml"
    assert rights(path) == {("actions", "read"), ("pull-requests", "write")}
    assert not [step["uses"] for step in steps(path) if "uses" in step]
    assert not [
        step for step in steps(path) if re.search(r"python|make|dvc|\bsource\b|\beval\b", step["run"])
    ]


def test_every_part_that_ci_runs_is_one_of_ci_run() -> None:
    asked = {
        part
        for step in steps(ROOT / ".github" / "workflows" / "ci.yml")
        for call in re.findall(r"\.ci/run(.*)", step.get("run", ""))
        for part in call.split()
    }
    parts = set(re.findall(r"(?m)^(\w+)\(\) \{", (ROOT / ".ci" / "run").read_text())) - {"say"}
    assert asked == parts


def test_an_unknown_part_is_refused() -> None:
    done = subprocess.run([ROOT / ".ci" / "run", "nosuch"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown part nosuch" in done.stderr


GH = r"""#!/bin/bash
# Stands for the host's own tool: writes down how it is called, and answers as the test says.
printf '%s\n' "$*" >>"$HERE/calls"
case "$*" in
  *"/pulls "*) cat "$HERE/number" ;;
  "run download"*) mkdir comment && cp "$HERE/text" comment/comment.md ;;
  *"--paginate"*) cat "$HERE/last" ;;
esac
"""


def post(folder: Path, number: str, text: str | None, last: str) -> tuple[list[str], str]:
    """Run comment.yml's steps as the host would: the calls of `gh`, and the body that was posted."""
    (folder / "gh").write_text(GH)
    (folder / "gh").chmod(0o755)
    for name, content in (("number", number), ("text", text), ("last", last)):
        if content is not None:
            (folder / name).write_text(content)
    (job,) = read_yaml(ROOT / ".github" / "workflows" / "comment.yml")["jobs"].values()
    outputs = folder / "outputs"
    outputs.touch()
    for step in job["steps"]:
        given = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
        condition = step.get("if")
        if condition and not given.get(condition.rpartition(".")[2]):
            continue
        environment = {
            "PATH": f"{folder}:/usr/bin:/bin",
            "HERE": str(folder),
            "GITHUB_OUTPUT": str(outputs),
            "GH_REPO": "us/hw2core",
            "RUN": "77",
            "HEAD": "abc",
            "OWNER": "them",
            "BRANCH": "$(touch bad)",
            "MARK": job["env"]["MARK"],
            "NUMBER": given.get("number", ""),
        }
        subprocess.run(["bash", "-e", "-c", step["run"]], cwd=folder, env=environment, check=True)
    assert not (folder / "bad").exists()
    body = folder / "body.md"
    return (folder / "calls").read_text().splitlines(), body.read_text() if body.exists() else ""


def test_the_first_comment_is_posted(tmp_path: Path) -> None:
    calls, body = post(tmp_path, "12\n", "### Gate\nall is well\n", "")
    assert calls[0].startswith(
        "api --method GET repos/us/hw2core/pulls -f state=open -f head=them:$(touch bad)"
    )
    assert calls[-1] == "api --silent --method POST repos/us/hw2core/issues/12/comments -F body=@body.md"
    assert body == "<!-- hw2core: gate -->\n### Gate\nall is well\n"


def test_the_next_one_takes_its_place(tmp_path: Path) -> None:
    calls, _ = post(tmp_path, "12\n", "text\n", "991\n")
    assert calls[-1] == "api --silent --method PATCH repos/us/hw2core/issues/comments/991 -F body=@body.md"


def test_text_of_a_stranger_is_cut_and_calls_nobody(tmp_path: Path) -> None:
    _, body = post(tmp_path, "12\n", "$(touch bad) `touch bad` @someone\n" + "ä" * 50_000, "")
    assert "$(touch bad) `touch bad` @\u200bsomeone" in body
    assert len(body) < 65_536


@pytest.mark.parametrize(
    ("number", "text"), [("", "text"), ("12\n", None)], ids=["no pull request", "no text"]
)
def test_where_there_is_nothing_to_post_nothing_is(tmp_path: Path, number: str, text: str | None) -> None:
    calls, body = post(tmp_path, number, text, "")
    assert not [call for call in calls if "PATCH" in call or "POST" in call]
    assert not body
