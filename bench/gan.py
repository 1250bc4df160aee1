"""DCGAN at R19's printed size, trained by engine/loop.py and as the usual tutorial does it.

    python bench/gan.py [--device cpu] [--precision bf16] [--steps 8] [--rounds 5] [--threads 2]

Both train the networks of dcgan4 at 64x64 pixels, width 64 and 100 latent dimensions, in batches of 128, with Adam and binary
cross-entropy, on drawn faces. Ours is engine/loop.py with systems/dcgan4.py, as the stages use them, with all that it logs, in
--precision and with the memory format of params.yaml. The tutorial's side has PNG files, torchvision's ImageFolder, a
DataLoader with 2 workers, a discriminator that ends in a sigmoid, BCELoss, and fp32. The two take turns of --steps steps, each
an epoch of that many batches.
"""

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

from hw2core.data.drawn_faces import draw_split
from hw2core.engine.batches import Shuffle, resident
from hw2core.engine.device import Device
from hw2core.engine.images import Split
from hw2core.settings.systems import Dcgan4 as Settings
from hw2core.systems import dcgan4
from hw2core.systems.layers import init_weights, widths

FACES = 2000
PRINTED: dict[str, object] = {
    "size": 64,
    "latent_dim": 100,
    "width": 64,
    "batch": 128,
    "lr": 2e-4,
    "discriminator_lr": 2e-4,
    "optimizer": {"betas": [0.5, 0.999], "weight_decay": 0.0},
}
OTHERS: dict[str, object] = {
    "lr_schedule": {"kind": "constant", "warmup_steps": 0},
    "ema_decay": 0.0,
    "flips": "none",
    "diffaugment": [],
    "label_smoothing": 0.0,
    "r1_gamma": 0.0,
}


def main() -> None:
    given = parser(__doc__, steps=8, rounds=5).parse_args()
    _, device = setting(given)
    settings = Settings.model_validate(PRINTED | OTHERS | {"steps": given.steps})
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
    return our_training(dcgan4.Dcgan4(settings), order.at, settings, device)


def save(faces: Split, home: Path) -> Path:
    """Write the images as ImageFolder reads them: in a folder per class."""
    (home / "faces").mkdir()
    for number, image in enumerate(faces.images):
        Image.fromarray(image).save(home / "faces" / f"{number:05}.png")
    return home


def tutorial(home: Path, settings: Settings, device: torch.device) -> Callable[[], object]:
    """Return a function that runs an epoch of the plain implementation."""
    channels = widths(settings.size // 2, settings.width, 8 * settings.width)
    generator = dcgan4.generator(settings.latent_dim, channels).to(device)
    discriminator = nn.Sequential(dcgan4.discriminator(channels), nn.Flatten(0), nn.Sigmoid()).to(device)
    init_weights(generator)
    init_weights(discriminator)
    g_adam, d_adam = (
        torch.optim.Adam(network.parameters(), settings.lr, settings.optimizer.betas)
        for network in (generator, discriminator)
    )
    loader = files_loader(home, settings)

    def run() -> None:
        for images, _ in loader:
            plain_step(generator, discriminator, g_adam, d_adam, images.to(device), settings.latent_dim)

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
    discriminator: nn.Module,
    g_optimizer: torch.optim.Optimizer,
    d_optimizer: torch.optim.Optimizer,
    real: Tensor,
    latent_dim: int,
) -> tuple[float, ...]:
    """Train the discriminator on a batch of real and one of fake images, then the generator on the same fake images.
    Returns what a tutorial prints, which is read at every step."""
    loss = nn.BCELoss()
    ones, zeros = real.new_ones(len(real)), real.new_zeros(len(real))

    discriminator.zero_grad()
    real_output = discriminator(real)
    real_loss = loss(real_output, ones)
    real_loss.backward()
    fake = generator(torch.randn(len(real), latent_dim, device=real.device))
    fake_output = discriminator(fake.detach())
    fake_loss = loss(fake_output, zeros)
    fake_loss.backward()
    d_optimizer.step()

    generator.zero_grad()
    output = discriminator(fake)
    g_loss = loss(output, ones)
    g_loss.backward()
    g_optimizer.step()
    return (
        *(real_output.mean().item(), fake_output.mean().item(), output.mean().item()),
        *((real_loss + fake_loss).item(), g_loss.item()),
    )


if __name__ == "__main__":
    main()
