"""Small computations with the operations of the pipeline, each with a hash of its result.

    python -m hw2core.fingerprint.cases     # a line `name hash` for each; hw2core/fingerprint/compare.py starts it

They import nothing of this package, so that a hash depends only on the libraries and on the processor. A change here needs
`python -m hw2core.fingerprint --write` on the machine that makes the committed results.
"""

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

STEPS = 30
SIZE = 32  # pixels

Result = Iterable[Tensor | NDArray[np.generic]]


@dataclass(frozen=True)
class Case:
    name: str
    used_by: str
    """The results that depend on it, separated by commas."""
    compute: Callable[[], Result]

    def digest(self) -> str:
        torch.manual_seed(0)
        parts = [part.detach().numpy() if isinstance(part, Tensor) else part for part in self.compute()]
        text = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
        return hashlib.sha256(text).hexdigest()[:12]


def images(count: int, size: int = SIZE) -> Tensor:
    x = torch.randn(count, 3, size, size).clamp(-1, 1)
    return x.contiguous(memory_format=torch.channels_last)


def matrix(rows: int, columns: int) -> NDArray[np.float64]:
    rng = np.random.RandomState(0)
    return rng.standard_normal((rows, columns))


def pixels(*shape: int) -> NDArray[np.uint8]:
    rng = np.random.RandomState(0)
    return rng.randint(0, 256, shape).astype(np.uint8)


def adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999), fused=True)


def train(network: nn.Module, inputs: Callable[[], Tensor], loss: Callable[[Tensor], Tensor]) -> Result:
    """The weights after STEPS steps of Adam, and their exponential average."""
    network.to(memory_format=torch.channels_last)
    optimizer = adam(network)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(network(inputs())).backward()
        optimizer.step()
        averaged.update_parameters(network)
    return [*network.state_dict().values(), *averaged.parameters()]


def classify(logits: Tensor) -> Tensor:
    return F.cross_entropy(logits, torch.arange(len(logits)) % 10)


def to_zero(values: Tensor) -> Tensor:
    return F.mse_loss(values, torch.zeros_like(values))


# --- trainings ----------------------------------------------------------------------------------------------


def linear() -> Result:
    network = nn.Sequential(nn.Linear(768, 100), nn.ReLU(), nn.Dropout(), nn.Linear(100, 10))
    return train(network, lambda: torch.randn(32, 768), classify)


def convolution() -> Result:
    network = nn.Sequential(
        *(nn.Conv2d(3, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 48, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(192, 10)),
    )
    return train(network, lambda: images(32), classify)


def transposed_convolution() -> Result:
    network = nn.Sequential(
        *(nn.ConvTranspose2d(3, 32, 4, 2, 1, bias=False), nn.ReLU()),
        *(nn.ConvTranspose2d(32, 3, 5, 2, 2, output_padding=1), nn.Tanh()),
    )
    return train(network, lambda: images(16, 16), to_zero)


def batch_norm() -> Result:
    network = nn.Sequential(nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16), nn.LeakyReLU(0.2), nn.Conv2d(16, 3, 1))
    return train(network, lambda: images(32), to_zero)


def group_norm() -> Result:
    network = nn.Sequential(nn.Conv2d(3, 16, 1), nn.GroupNorm(4, 16), nn.SiLU(), nn.Conv2d(16, 3, 1))
    return train(network, lambda: images(32), to_zero)


def spectral_normalization() -> Result:
    network = nn.Sequential(
        *(spectral_norm(nn.Conv2d(3, 16, 5, 2, 2)), nn.LeakyReLU(0.2), spectral_norm(nn.Conv2d(16, 1, 4))),
    )
    return train(network, lambda: images(16), lambda logits: F.softplus(-logits).mean())


class Attention(nn.Module):
    """Self-attention of the U-Net, with its embedding of time steps and labels."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.label = nn.Conv2d(3, 32, 3, padding=1), nn.Embedding(10, 32)
        self.norm, self.attention = nn.LayerNorm(32), nn.MultiheadAttention(32, 4, batch_first=True)
        self.feed_forward = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 3))

    def forward(self, x: Tensor) -> Tensor:
        t = torch.arange(len(x))
        angles = t[:, None] * torch.exp(torch.arange(16) * (-math.log(10000) / 16))
        embedding = torch.cat([angles.sin(), angles.cos()], dim=1) + self.label(t % 10)
        x = self.convolution(x) + embedding[..., None, None]
        pixels = x.flatten(2).transpose(1, 2)  # (n, h w, channels)
        normed = self.norm(pixels)
        pixels = pixels + self.attention(normed, normed, normed, need_weights=False)[0]
        y: Tensor = self.feed_forward(pixels)
        return y


def attention() -> Result:
    return train(Attention(), lambda: images(16, 14), to_zero)


def gan() -> Result:
    """Generator and discriminator in turns, with an R1 penalty, which is differentiated twice."""
    generator = nn.Sequential(
        *(nn.Linear(32, 32 * 64), nn.BatchNorm1d(32 * 64), nn.ReLU(), nn.Unflatten(1, (32, 8, 8))),
        *(nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Tanh()),
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(3, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 4, 2, 1), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(32, 1, 8), nn.Flatten(0)),
    )
    networks = nn.ModuleList([generator, discriminator]).to(memory_format=torch.channels_last)
    g_optimizer, d_optimizer = adam(generator), adam(discriminator)
    for _ in range(STEPS):
        real, fake = images(16).requires_grad_(), generator(torch.randn(16, 32))
        logits = discriminator(real)
        (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        d_loss = F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, 0.9))
        d_loss = d_loss + F.softplus(discriminator(fake.detach())).mean() + gradient.square().mean()
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        F.softplus(-discriminator(fake)).mean().backward()
        g_optimizer.step()
    return networks.state_dict().values()


def augmentation() -> Result:
    """Affine maps, blur, clouds and noise."""
    x = images(32)
    turned = torch.eye(2, 3) + torch.empty(32, 2, 3).uniform_(-0.3, 0.3)
    grid = F.affine_grid(turned, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    kernel = torch.rand(3, 1, 5, 5)
    x = x.lerp(F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), kernel, groups=3), torch.rand(32, 1, 1, 1))
    coarse = torch.rand(32, 3, 5, 5)
    return [
        x + F.interpolate(coarse, (SIZE, SIZE), mode="bilinear", align_corners=True) + torch.randn_like(x)
    ]


def functions() -> Result:
    """Functions of single numbers, sums, and random numbers."""
    x = torch.randn(64, 1000)
    small = [x.exp(), x.tanh(), x.sigmoid(), x.sin(), x.cos(), x.tan(), F.gelu(x), F.silu(x), F.softplus(x)]
    sums = [x.mean(0), x.std(1), x.softmax(1), x.log_softmax(1), x.square().sum(), x.norm(dim=1)]
    return [
        *small,
        x.abs().log(),
        x.abs().double().sqrt().float(),
        x.abs() ** 1.7,
        *sums,
        torch.rand(1000),
        torch.randperm(1000),
    ]


# --- evaluations --------------------------------------------------------------------------------------------


def frechet() -> Result:
    """Means, QR decompositions and singular values, of which the Fréchet distance consists."""
    one, other = (torch.randn(400, 100, dtype=torch.float64) for _ in range(2))
    roots = [torch.linalg.qr(x - x.mean(0), mode="r").R for x in (one, other)]
    return [torch.linalg.svdvals(roots[0] @ roots[1].T)]


def kernels() -> Result:
    """Matrix products and pairwise distances, of which KID, precision and recall consist."""
    one, other = (torch.randn(300, 100, dtype=torch.float64) for _ in range(2))
    radius = torch.cdist(other, other).kthvalue(4).values
    return [(one @ other.T / 100 + 1) ** 3, torch.cdist(one, other) <= radius]


def tsne() -> Result:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    x = matrix(150, 100).astype(np.float32)
    reduced = PCA(50, random_state=0).fit_transform(x)
    return [TSNE(perplexity=10, init="pca", random_state=0, max_iter=300).fit_transform(reduced)]


def logistic_regression() -> Result:
    from sklearn.linear_model import LogisticRegression

    x = matrix(300, 48).astype(np.float32)
    return [LogisticRegression(max_iter=2000).fit(x, x[:, 0] + x[:, 1] > 0).coef_]


def face_detector() -> Result:
    """Scores of the weakest detections in a smooth random picture."""
    import dlib

    picture = np.kron(pixels(24, 24), np.ones((8, 8), dtype=np.uint8))
    return [np.array(dlib.get_frontal_face_detector().run(picture, 1, -2)[1])]


# --- data ---------------------------------------------------------------------------------------------------


def numpy_functions() -> Result:
    x = matrix(100, 1000)
    halves = (x, x.astype(np.float32))
    return [
        part
        for y in halves
        for part in (
            np.exp(y),
            np.sin(y),
            np.tanh(y),
            np.abs(y) ** 1.7,
            np.sqrt(np.abs(y)),
            y.sum(0),
            y.mean(),
        )
    ]


def numpy_matrices() -> Result:
    x = matrix(200, 200)
    return [x @ x, x.astype(np.float32) @ x.astype(np.float32), np.linalg.svd(x)[1]]


def pillow() -> Result:
    from PIL import Image

    picture = Image.fromarray(pixels(178, 178, 3))
    turned = picture.transform(
        (64, 64), Image.Transform.AFFINE, (2.1, 0.3, 5, -0.2, 2, 9), Image.Resampling.BICUBIC
    )
    sizes = [(64, Image.Resampling.BILINEAR), (28, Image.Resampling.BOX)]
    return [np.asarray(turned), *(np.asarray(picture.resize((side, side), how)) for side, how in sizes)]


ALL = "all trainings and evaluations"
CASES = (
    Case("linear layers", "classifiers, adapters, SNGAN, VAE, ACGAN, DDPM", linear),
    Case("convolutions", ALL, convolution),
    Case("transposed convolutions", "GANs, ACGAN, VAE", transposed_convolution),
    Case("batch norm", "GANs, ACGAN, VAE", batch_norm),
    Case("group norm", "DDPM", group_norm),
    Case("spectral norm", "SNGAN", spectral_normalization),
    Case("attention", "DDPM", attention),
    Case("GAN with R1", "GANs, ACGAN", gan),
    Case("augmentation", "classifiers, adapters, face features", augmentation),
    Case("torch functions", ALL, functions),
    Case("Fréchet distance", "evaluations of generators", frechet),
    Case("kernels and neighbors", "evaluations of generators", kernels),
    Case("t-SNE", "t-SNE", tsne),
    Case("logistic regression", "evaluations of ACGAN's faces", logistic_regression),
    Case("face detector", "face detection rates", face_detector),
    Case("numpy functions", "data", numpy_functions),
    Case("numpy matrices", "data, t-SNE", numpy_matrices),
    Case("Pillow", "data", pillow),
)

NOT_INSTALLED = "-"


def print_hashes() -> None:
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("warn")
    torch.backends.mha.set_fastpath_enabled(False)
    for case in CASES:
        try:
            found = case.digest()
        except ImportError:
            found = NOT_INSTALLED
        print(found, case.used_by, case.name, sep="\t", flush=True)


if __name__ == "__main__":
    print_hashes()
