"""Small pipelines in temporary folders."""

import subprocess
from pathlib import Path

from hw2core.layout import Layout
from hw2core.settings.models import Engine

ENGINE = Engine(
    device="cpu",
    threads=2,
    cpu_isa="avx2",
    precision="fp32",
    channels_last=True,
    compile=False,
    evaluate_every=1,
    checkpoint_every=1,
    tensorboard=False,
)


def workspace(folder: Path, stages: str) -> Layout:
    """A new git and DVC repository with these stages."""
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (folder / ".dvc" / ".gitignore").write_text("/tmp\n/cache\n")
    (folder / ".gitignore").write_text("/out/\n/runs/\n")
    (folder / "params.yaml").write_text("number: 1\n")
    (folder / "out").mkdir()
    (folder / "dvc.yaml").write_text("stages:\n" + stages)
    return Layout(folder)


def stage(name: str, *commands: str, deps: str = "") -> str:
    """A stage that runs these commands, reads the outputs of `deps` and writes its own."""
    command = "; ".join([*commands, f"echo made by {name} > out/{name}"])
    reads = ", ".join(f"out/{dep}" for dep in deps.split())
    return (
        f"  {name}:\n    cmd: >-\n      {command}\n    deps: [{reads}]\n    params: [number]\n"
        f"    outs: [out/{name}]\n"
    )
