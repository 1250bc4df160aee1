"""Judges of classifiers: accuracy on labelled images, and criteria that need no labels."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from hw2core.data.batches import ImageSet

BATCH = 500
TEMPERATURE = 0.05  # of the soft neighbourhood density, as its authors set it
Network = Callable[[Tensor], Tensor]


def outputs(network: Network, images: ImageSet) -> Tensor:
    """A network's outputs for all images, in order, as float32."""
    with torch.no_grad(), images.device.autocast():
        indices = torch.arange(len(images), device=images.images.device)
        return torch.cat([network(images.take(part)[0]).float() for part in indices.split(BATCH)])


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Per cent of the images whose largest logit is their label's."""
    return 100 * (logits.argmax(1) == labels).double().mean().item()


def per_class(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Per cent right among the images of each class that occurs."""
    return {
        str(label): accuracy(logits[labels == label], labels[labels == label])
        for label in labels.unique().tolist()
    }


def log_likelihood(logits: Tensor, labels: Tensor) -> float:
    """The mean log-likelihood of the labels, in nats."""
    return -F.cross_entropy(logits.double(), labels).item()


def information(logits: Tensor) -> float:
    """How much the predictions say of the images, in nats: the entropy of the mean prediction less the mean
    entropy of a prediction. High where each image is decided clearly and all classes are used. Known as
    information maximisation; it looks at no label."""
    log = F.log_softmax(logits.double(), dim=1)
    mean = log.exp().mean(0)
    entropy_of_mean = -(mean * mean.clamp_min(1e-30).log()).sum()
    mean_entropy = -(log.exp() * log).sum(1).mean()
    return (entropy_of_mean - mean_entropy).item()


def density(logits: Tensor) -> float:
    """Soft neighbourhood density (Saito et al., ICCV 2021), in nats: how many near neighbours an image has among
    the others, by the likeness of their predictions. High where the predictions lie in dense groups. It
    looks at no label; a network that calls all images the same deceives it, `information` is not deceived."""
    predictions = F.normalize(logits.double().softmax(dim=1), dim=1)
    likeness = predictions @ predictions.T / TEMPERATURE
    likeness.fill_diagonal_(-torch.inf)  # nobody is his own neighbour
    log = F.log_softmax(likeness, dim=1).fill_diagonal_(0)
    return -(log.exp().fill_diagonal_(0) * log).sum(1).mean().item()


def spread(values: list[float]) -> dict[str, float | int | list[float] | None]:
    """Mean, standard deviation (of a sample: n - 1) and number of the figures of several seeds."""
    tensor = torch.tensor(values, dtype=torch.float64)
    return {
        "mean": tensor.mean().item(),
        "std": tensor.std().item() if len(values) > 1 else None,
        "n": len(values),
        "each": values,
    }
