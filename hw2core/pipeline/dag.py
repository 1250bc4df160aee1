"""The DAG of stages and which of them are stale, as DVC reports them."""

import json
import re

from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.pipeline.children import Children

Upstream = dict[str, set[str]]
"""For each stage, in the order of dvc.yaml, the stages that it reads from."""


def read_dag(layout: Layout, children: Children) -> tuple[Upstream, set[str]]:
    """Return the DAG and the stages that are stale themselves."""
    commands = [
        children.dvc("dag", "--dot", cwd=layout.root),
        children.dvc("--wait-for-lock", "status", "--json", cwd=layout.root),
    ]
    outputs = []
    for command in commands:
        output, error = command.communicate()
        if command.returncode != 0:
            message = one_line(error or output) or f"ended with status {command.returncode}"
            raise UserError(f"dvc: {message}")
        outputs.append(output)
    graph, status = outputs
    upstream: Upstream = {name: set() for name in re.findall(r'^"([^"]+)";$', graph, re.MULTILINE)}
    for source, reader in re.findall(r'^"([^"]+)" -> "([^"]+)";$', graph, re.MULTILINE):
        upstream[reader].add(source)
    return upstream, set(json.loads(status)) & set(upstream)


def with_downstream(stale: set[str], upstream: Upstream) -> list[str]:
    """Return the stale stages and all stages downstream of them, in the order of dvc.yaml."""
    reached = set(stale)
    while more := {stage for stage in upstream if upstream[stage] & reached} - reached:
        reached |= more
    return [stage for stage in upstream if stage in reached]


def one_line(message: str) -> str:
    """Return a message of DVC without its excerpts of files."""
    lines = [line.strip() for line in message.splitlines() if not re.match(r"\s*\d+ ", line)]
    return " ".join(line for line in lines if line).removeprefix("ERROR: ")
