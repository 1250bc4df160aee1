"""The commands of the DVC stages: their arguments, and the function that runs each. Imports nothing heavy."""

from dataclasses import dataclass

ARGUMENTS = {
    "dataset": "A dataset that data.source in params.yaml has.",
    "domain": "One of data.domains in params.yaml.",
    "pair": "One of pairs in params.yaml.",
    "method": "One of adapters in params.yaml.",
    "gan": "One of gans in params.yaml.",
    "autoencoder": "One of autoencoders in params.yaml.",
    "extractor": "One of extractors in params.yaml.",
    "item": "digits or faces.",
    "kind": "digits or faces.",
    "seed": "One of the seeds in params.yaml.",
}
"""What each argument is; `seed` is a number, all others are names."""


@dataclass(frozen=True)
class StageCommand:
    """A command `hw2 NAME ARGUMENTS` that calls `function` of hw2core/stages/<module>.py."""

    name: str
    module: str
    help: str
    arguments: tuple[str, ...] = ()
    function: str = ""

    @property
    def target(self) -> str:
        return self.function or self.name


STAGES = (
    StageCommand("download", "data", "Bring a dataset's raw files to data/raw/.", ("dataset",)),
    StageCommand(
        "preprocess",
        "data",
        "Make the images that networks read, in data/ready/, of raw files.",
        ("dataset",),
    ),
    StageCommand("download_inception", "inception", "Fetch the weights of FID's network, if params say so."),
    StageCommand(
        "train_classifier",
        "train_predictors",
        "Train a domain's classifier: source only of pairs that start there, target only of those that end there.",
        ("domain", "seed"),
    ),
    StageCommand(
        "evaluate_classifier",
        "evaluate_predictors",
        "Evaluate a domain's classifier on every domain's test set.",
        ("domain", "seed"),
    ),
    StageCommand(
        "train_face_features",
        "train_generators",
        "Train the network whose features compare faces.",
        ("extractor",),
    ),
    StageCommand("train_gan", "train_generators", "Train a GAN on the faces.", ("gan", "seed")),
    StageCommand(
        "train_autoencoder",
        "train_generators",
        "Train an autoencoder on the faces.",
        ("autoencoder", "seed"),
    ),
    StageCommand(
        "train_acgan", "train_generators", "Train an ACGAN on the digits or the faces.", ("item", "seed")
    ),
    StageCommand(
        "train_ddpm", "train_generators", "Train the diffusion model on the digits.", ("item", "seed")
    ),
    StageCommand(
        "generation_inputs", "inputs", "Write the checksums of what generators of a kind learn.", ("kind",)
    ),
    StageCommand("pair_inputs", "inputs", "Write the checksums of what adapters read of a pair.", ("pair",)),
    StageCommand(
        "train_adapter",
        "train_predictors",
        "Adapt from a pair's source to its target.",
        ("method", "pair", "seed"),
    ),
    StageCommand(
        "evaluate",
        "evaluate_predictors",
        "Evaluate an adapter on its target's test set.",
        ("method", "pair", "seed"),
    ),
    StageCommand(
        "tsne",
        "tsne",
        "Project an adapter's features by t-SNE, or those of the source's classifier.",
        ("method", "pair"),
    ),
    StageCommand(
        "evaluate_real", "evaluate_faces", "Evaluate real faces and noise, for comparison.", ("extractor",)
    ),
    StageCommand(
        "evaluate_gan", "evaluate_faces", "Evaluate the faces that a GAN generates.", ("gan", "seed")
    ),
    StageCommand(
        "evaluate_autoencoder",
        "evaluate_autoencoder",
        "Evaluate an autoencoder's samples and reconstructions.",
        ("autoencoder", "seed"),
    ),
    StageCommand(
        "evaluate_acgan",
        "evaluate_{item}",
        "Evaluate the digits or faces that ACGAN generates.",
        ("item", "seed"),
    ),
    StageCommand(
        "evaluate_ddpm",
        "evaluate_digits",
        "Evaluate the digits that the diffusion model generates.",
        ("item", "seed"),
    ),
    StageCommand(
        "sweep_ddpm",
        "sweep",
        "Sample the diffusion model with other samplers, steps and guidance.",
        ("item",),
    ),
    StageCommand("report", "report", "Build reports/ from what the stages measured."),
)
