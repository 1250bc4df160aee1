"""Digit accuracy, and the course's LeNet loaded from checkpoints."""

from pathlib import Path

import pytest
import torch
from conftest import complaint
from torch import nn

from hw2core.evaluation.digits import digit_accuracy, lenet, load_lenet


class CourseNet(nn.Module):
    """The course's network with its own layer names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 4 * 4, 128)
        self.fc2 = nn.Linear(128, 64)
        self.fc3 = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = self.pool(torch.relu(self.conv1(images)))
        images = self.pool(torch.relu(self.conv2(images))).flatten(1)
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(images)))))


def test_lenet_has_the_parameter_count_of_the_course() -> None:
    by_hand = (6 * 75 + 6) + (16 * 150 + 16) + (256 * 128 + 128) + (128 * 64 + 64) + (64 * 10 + 10)
    assert sum(weight.numel() for weight in lenet().parameters()) == by_hand == 44_674


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_loaded_checkpoint_gives_the_same_logits(tmp_path: Path, wrapped: bool) -> None:
    torch.manual_seed(0)
    theirs = CourseNet()
    state = theirs.state_dict()
    torch.save({"state_dict": state, "epoch": 3} if wrapped else state, tmp_path / "Classifier.pth")
    images = torch.rand(5, 3, 28, 28) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(load_lenet(tmp_path / "Classifier.pth")(images), theirs(images), atol=1e-6)


@pytest.mark.parametrize("content", ["another", "code", "garbage", "missing"])
def test_other_files_are_rejected_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "Classifier.pth"
    if content == "another":
        torch.save({"state_dict": nn.Linear(3, 4).state_dict()}, path)
    elif content == "code":
        torch.save(lenet(), path)  # a whole network is a pickle of code
    elif content == "garbage":
        path.write_bytes(b"PK\x03\x04 garbage")
    line = complaint(lambda: load_lenet(path))
    assert line is not None
    assert "\n" not in line
    assert "the course's LeNet" in line


def test_accuracy_per_digit_and_confusion_matrix() -> None:
    logits = torch.eye(10)[[0, 0, 1, 7, 1]]
    metrics = digit_accuracy(logits, torch.tensor([0, 0, 1, 1, 1]))
    assert metrics["digit_accuracy"] == 80
    assert metrics["per_digit"] == {"0": 100, "1": pytest.approx(200 / 3)}
    assert metrics["images"] == 5
    confusion = torch.tensor(metrics["confusion"])
    assert confusion.sum() == 5
    assert (confusion[0, 0], confusion[1, 1], confusion[1, 7]) == (2, 2, 1)
