"""DCGAN at R19's printed size, trained by the house's loop and as the usual tutorial has it.

    python bench/gan.py [--device cpu] [--precision bf16] [--steps 8] [--rounds 5] [--threads 2]

Both train the networks of dcgan4 at 64x64, width 64, 100 numbers of noise, in batches of 128, by Adam and binary
cross-entropy, on drawn faces. Ours is engine/loop.py with systems/dcgan.py, as the stages use them, with all that it
watches, in --precision and with the memory format of params.yaml. Theirs is plain: pngs through torchvision's
ImageFolder and a DataLoader with 2 workers, a critic that ends in a sigmoid, BCELoss, fp32. The two take turns of
--steps steps, each an epoch of that many batches.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from rounds import OURS, our_training, parser, setting, take_turns
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler
from torchvision import transforms
from torchvision.datasets import ImageFolder

sys.path.insert(0, str(Path(__file__).parents[1]))

from hw2core.engine.batches import Shuffle, resident
from hw2core.data.drawn_faces import draw_split
from hw2core.engine.images import Split
from hw2core.engine.device import Device
from hw2core.settings import Dcgan as Settings
from hw2core.systems.dcgan import Dcgan4, critic4, generator4
from hw2core.systems.generators import start_small, widths

FACES = 2000
PRINTED: dict[str, object] = {
    "size": 64,
    "noise": 100,
    "width": 64,
    "batch": 128,
    "lr": 2e-4,
    "critic_lr": 2e-4,
}
BESIDES = {"beta1": 0.5, "beta2": 0.999, "weight_decay": 0.0, "schedule": "constant", "warmup": 0, "ema": 0.0}
PLAIN: dict[str, object] = {"flips": "none", "augment": [], "smoothing": 0.0, "r1": 0.0}


def main() -> None:
    given = parser(__doc__, steps=8, rounds=5).parse_args()
    _, device = setting(given)
    settings = Settings.model_validate(PRINTED | BESIDES | PLAIN | {"steps": given.steps})
    faces = draw_split(0, "train", FACES)
    with tempfile.TemporaryDirectory() as scratch:
        sides = {
            OURS: ours(faces, settings, device),
            "tutorial": tutorial(save(faces, Path(scratch)), settings, device.kind),
        }
        images = given.steps * settings.batch
        print(f"dcgan4, width {settings.width}, batches of {settings.batch}; ours: {device.about}")
        take_turns("training", images, given.rounds, sides)


def ours(faces: Split, settings: Settings, device: Device) -> Callable[[], object]:
    order = Shuffle(resident(faces, device), settings.batch, "bench", "order")
    return our_training(Dcgan4(settings), order.at, settings, device)


def save(faces: Split, home: Path) -> Path:
    """As ImageFolder wants them: a folder for each class."""
    (home / "faces").mkdir()
    for number, image in enumerate(faces.images):
        Image.fromarray(image).save(home / "faces" / f"{number:05}.png")
    return home


def tutorial(home: Path, settings: Settings, device: torch.device) -> Callable[[], object]:
    """An epoch of the plain implementation."""
    channels = widths(settings.size // 2, settings.width, 8 * settings.width)
    generator = generator4(settings.noise, channels).to(device)
    critic = nn.Sequential(critic4(channels), nn.Flatten(0), nn.Sigmoid()).to(device)
    start_small(generator)
    start_small(critic)
    betas = (settings.beta1, settings.beta2)
    optimizers = [torch.optim.Adam(network.parameters(), 2e-4, betas) for network in (generator, critic)]
    loader = files_loader(home, settings)

    def run() -> None:
        for images, _ in loader:
            plain_step(generator, critic, *optimizers, images.to(device), settings.noise)

    return run


def files_loader(home: Path, settings: Settings) -> "DataLoader[tuple[Tensor, Tensor]]":
    prepare = transforms.Compose(
        [
            transforms.Resize(settings.size),
            transforms.CenterCrop(settings.size),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * 3, (0.5,) * 3),
        ]
    )
    files = ImageFolder(str(home), prepare)
    epoch = RandomSampler(files, num_samples=settings.steps * settings.batch)
    return DataLoader(files, settings.batch, sampler=epoch, num_workers=2)


def plain_step(
    generator: nn.Module,
    critic: nn.Module,
    generator_optimizer: torch.optim.Optimizer,
    critic_optimizer: torch.optim.Optimizer,
    real: Tensor,
    noise: int,
) -> tuple[float, ...]:
    """The critic learns from a batch of real images and one of fakes, then the generator from the same fakes. What
    a tutorial prints is read at every step."""
    loss = nn.BCELoss()
    ones, zeros = real.new_ones(len(real)), real.new_zeros(len(real))

    critic.zero_grad()
    real_verdict = critic(real)
    real_loss = loss(real_verdict, ones)
    real_loss.backward()
    fake = generator(torch.randn(len(real), noise, device=real.device))
    fake_verdict = critic(fake.detach())
    fake_loss = loss(fake_verdict, zeros)
    fake_loss.backward()
    critic_optimizer.step()

    generator.zero_grad()
    passed = critic(fake)
    g_loss = loss(passed, ones)
    g_loss.backward()
    generator_optimizer.step()
    return (
        *(real_verdict.mean().item(), fake_verdict.mean().item(), passed.mean().item()),
        *((real_loss + fake_loss).item(), g_loss.item()),
    )


if __name__ == "__main__":
    main()
