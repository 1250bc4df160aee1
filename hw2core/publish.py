"""`hw2 publish`: the results of a run as files that others can read, compare and repeat."""

import json
import platform
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hw2core.errors import UserError
from hw2core.files import new_folder, write_whole
from hw2core.layout import Layout
from hw2core.pipeline.repository import Repository
from hw2core.report import published
from hw2core.report.sections.background import LIBRARIES, commands, environment
from hw2core.revisions import find_commit, git
from hw2core.settings import Params, load_params
from hw2core.settings.checks import source_of
from hw2core.settings.registry import DATASETS
from hw2core.settings.runs import datasets_of, evaluated_runs, trained_runs
from hw2core.settings.yaml import read_yaml, write_yaml
from hw2core.stages.report import build, without_paths, write_pages

METRICS = ("metrics.json", "history.csv", "sweep.csv", "networks.csv")
"""What is published of each stage: nothing that shows an image of a dataset."""
MAX_PAGE = 3_000_000  # bytes of report.html, which git keeps for ever

REPEAT = """# {name}

The published results of `hw2 repro` with `params.yaml` here, by the code of commit `{commit}`, on {devices}.
`report.md` and `report.html` are its report, without images of the datasets; `stages/` has the metrics and histories;
`environment.json` has the versions of the libraries.

To repeat it:

```
git checkout {commit}
cp {folder}/params.yaml params.yaml   # then set data.mirror, data.course.path, data.folder.paths to where your data are
make repro
```

{tables}
"""


def publish(layout: Layout, name: str) -> Path:
    """Write reports/published/NAME. Returns the folder."""
    if not re.fullmatch(r"[\w-]{1,60}", name, re.ASCII):
        raise UserError(f"{name!r}: a published run is named by letters, digits, _ and -")
    params, home = load_params(layout.params), layout.published(name)
    commit = check_committed(layout, home)
    check_names(params)
    check_results(layout, params)
    report = build(params, layout, public=True)
    if len(report.page.encode()) > MAX_PAGE:
        raise UserError(
            f"report.html would have {len(report.page) / 1e6:.1f} MB, more than {MAX_PAGE / 1e6:g}: publish fewer systems"
        )
    with new_folder(home) as draft:
        write_pages(report, draft)
        with (draft / "params.yaml").open("w", encoding="utf-8") as file:
            write_yaml(without_paths(read_yaml(layout.params)), file)
        for source in metrics_files(layout, params):
            target = draft / source.relative_to(layout.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        facts = describe(params, layout, commit)
        write_whole(draft / "environment.json", f"{json.dumps(facts, indent=2)}\n".encode())
        tables = "\n".join(f"- {table}: `{command}`" for table, command in commands(params))
        text = REPEAT.format(
            name=name,
            commit=commit,
            devices="; ".join(facts["devices"]),
            folder=home.relative_to(layout.root),
            tables=tables,
        )
        write_whole(draft / "README.md", text.encode())
    return home


def check_documents(layout: Layout) -> int:
    """Print where the documents differ from the published metrics. Returns 1 if they do, else 0."""
    problems = list(published.problems(layout))
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{' and '.join(published.DOCUMENTS)} say what the published metrics say.")
    return int(bool(problems))


def write_documents(layout: Layout) -> list[str]:
    """Write the tables of the documents anew. Returns those that changed."""
    changed = []
    for document in published.DOCUMENTS:
        text, right = published.quote(layout, document)
        if text != right:
            write_whole(layout.root / document, right.encode())
            changed.append(document)
    return changed


# --- what must not be published -------------------------------------------------------------------------------


def check_committed(layout: Layout, home: Path) -> str:
    """The commit, of which the working tree must be a copy, except for what is published."""
    commit = find_commit(layout, "HEAD")
    others = f":(exclude,top){git(layout, 'rev-parse', '--show-prefix').decode().strip()}"
    status = ["status", "--porcelain", "--", ".", f"{others}{home.relative_to(layout.root)}"]
    changed = [line[3:] for line in git(layout, *status).decode(errors="replace").splitlines()]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise UserError(
            f"{changed[0]}{more} not committed: others could not repeat the run; commit them, then publish"
        )
    return commit


def check_names(params: Params) -> None:
    """No dataset of the user's own may be called as a published one."""
    real = {name for source in ("public", "course") for name in DATASETS[source]}
    for dataset in datasets_of(params):
        if source_of(params.data.source, dataset) == "folder" and dataset in real:
            raise UserError(
                f"data.source: {dataset} is a folder of yours, called as a published dataset; give it another name"
            )


def check_results(layout: Layout, params: Params) -> None:
    """The results must be those of the committed code and params."""
    repository = Repository(layout.root)
    if stale := sorted(repository.changed(allow_missing=True) - {"report"}):
        more = f" and {len(stale) - 1} more stages" if len(stale) > 1 else ""
        raise UserError(
            f"dvc.lock is older than the code, the params or the results: {stale[0]}{more}; `hw2 status` says why, "
            "`hw2 repro` runs them; commit what it writes"
        )
    if missing := [str(path) for path in metrics_paths(layout, params) if not path.is_file()]:
        raise UserError(f"{missing[0]} and {len(missing) - 1} more are missing: `hw2 repro` writes them")


# --- what is published ----------------------------------------------------------------------------------------


def metrics_paths(layout: Layout, params: Params) -> list[Path]:
    runs = (*trained_runs(params), *evaluated_runs(params))
    return [
        layout.stage(run.stage, run.item, run.seed) / "metrics.json" for run in runs if run.stage != "tsne"
    ]


def metrics_files(layout: Layout, params: Params) -> Iterator[Path]:
    for metrics in metrics_paths(layout, params):
        yield from (metrics.parent / name for name in METRICS if (metrics.parent / name).is_file())


def describe(params: Params, layout: Layout, commit: str) -> dict[str, Any]:
    return {
        "commit": commit,
        "devices": environment(params, layout)["devices"],
        "published_with": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            **{name: version(name) for name in ("hw2core", *LIBRARIES)},
        },
    }
