"""Stage download_inception: FID's weights from a server on this machine, and FID by them."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import Hw2, Workspace, refused
from official import untrained_inception

from hw2core.files import sha256_of
from hw2core.settings import inception

GAN = "dcgan4"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the official format."""
    path = tmp_path_factory.mktemp("release") / "inception" / inception.FILE
    path.parent.mkdir()
    torch.save(untrained_inception(), path)
    return path


@pytest.fixture
def official(
    workspace: Workspace, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """A workspace whose params ask for the weights, and a mirror that has them."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(inception, "PUBLISHED", sha256_of(file)[:8])
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(file.parents[1]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        workspace.change("evaluation.faces.inception", "official")
        workspace.change("data.mirror", f"http://127.0.0.1:{server.server_port}/")
        yield workspace
        server.shutdown()
        thread.join()


def inputs(workspace: Workspace) -> str | list[str]:
    found: str | list[str] = json.loads(workspace.layout.inputs("faces").read_text())["extractor"]
    return found


def test_nothing_is_downloaded_unless_params_say_so(workspace: Workspace, hw2: Hw2) -> None:
    assert hw2("download_inception").status == 0
    assert {path.name for path in workspace.layout.inception.iterdir()} == {"about.json"}
    assert hw2("generation_inputs", "faces").status == 0
    assert inputs(workspace) == sha256_of(workspace.layout.model("train_face_features", "faces", 0))


def test_the_official_weights_are_downloaded_and_measure_fid(
    official: Workspace, file: Path, hw2: Hw2
) -> None:
    layout = official.layout
    assert hw2("download_inception").status == 0
    assert (layout.inception / inception.FILE).read_bytes() == file.read_bytes()
    assert json.loads((layout.inception / "about.json").read_text())["sha256"] == sha256_of(file)
    assert hw2("generation_inputs", "faces").status == 0
    assert inputs(official) == [
        sha256_of(layout.model("train_face_features", "faces", 0)),
        sha256_of(file),
    ]
    official.change("generation.images", 20)
    assert hw2("evaluate_gan", GAN, "0").status == 0
    metrics = json.loads((layout.stage("evaluate_gan", GAN, 0) / "metrics.json").read_text())
    assert metrics["fid"] > 0
    assert metrics["is"]["mean"] >= 1
    assert [used["extractor_sha256"] for used in metrics["extractor"]][1:] == [sha256_of(file)]
    official.change("evaluation.faces.inception", None)
    assert hw2("download_inception").status == 0
    assert json.loads((layout.inception / "about.json").read_text()) == {"weights": None}
    assert hw2("generation_inputs", "faces").status == 0
    assert isinstance(inputs(official), str)


def test_weights_that_were_put_there_need_no_network(official: Workspace, file: Path, hw2: Hw2) -> None:
    official.change("data.mirror", None)
    official.layout.inception.mkdir(parents=True)
    (official.layout.inception / inception.FILE).write_bytes(file.read_bytes())
    assert hw2("download_inception").status == 0


def test_other_weights_are_refused_and_kept(official: Workspace, hw2: Hw2) -> None:
    official.layout.inception.mkdir(parents=True)
    (official.layout.inception / inception.FILE).write_bytes(b"other weights")
    refused(hw2("download_inception"), inception.FILE, "delete it to download it again")
    assert (official.layout.inception / inception.FILE).read_bytes() == b"other weights"
