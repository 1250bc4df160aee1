"""The sections of params.yaml that belong to systems, one class each.

A class's base says what kind of system it is: a subclass of `Adapter` is a domain adaptation method, a subclass of
`Gan` a GAN. `Systems` gives each class its section's name, which is also the name of its file in hw2core/systems/ and the
name by which `adapters`, `gans` and `autoencoders` in params.yaml select it.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from hw2core.settings.base import Float, Int, Section

Augmentation = Literal["none", "weak", "strong"]
Beta = Annotated[Float, Field(ge=0, lt=1)]
Lr = Annotated[Float, Field(gt=0, le=10)]
Weight = Annotated[Float, Field(ge=0, le=100)]
PenaltyWeight = Annotated[Float, Field(ge=0, le=1000)]


class Optimizer(Section):
    """Of Adam; the learning rate stands in the section itself, where `-S dann.lr=3e-4` finds it."""

    betas: tuple[Beta, Beta]
    weight_decay: Float = Field(ge=0, le=1)


class LrSchedule(Section):
    kind: Literal["constant", "cosine", "linear"]
    warmup_steps: Int = Field(ge=0)


class Training(Section):
    """What every trained system has."""

    title: ClassVar[str]
    """The system's name in tables and figures."""

    steps: Int = Field(ge=1)
    batch: Int = Field(ge=2)
    lr: Lr
    optimizer: Optimizer
    lr_schedule: LrSchedule
    ema_decay: Float = Field(ge=0, lt=1)

    def trained_by(self) -> dict[str, Any]:
        """The settings that the result of a training depends on."""
        return self.model_dump()


class Classifier(Training):
    title = "source only"

    augment: Augmentation


# --- domain adaptation ----------------------------------------------------------------------------------------


class Adapter(Training):
    """A method that is trained on pairs of domains."""

    starts_from_source: ClassVar[bool] = False
    """Whether it starts from the weights of the source's own classifier."""


class Dann(Adapter):
    title = "DANN"

    augment: Augmentation
    lambda_max: Weight
    lambda_schedule: Literal["ganin", "constant"]
    batch_norm: Literal["joint", "per_domain"]


class Adda(Adapter):
    title = "ADDA"
    starts_from_source = True

    augment: Augmentation
    discriminator: Literal["R19", "R20"]
    discriminator_lr: Lr
    label_smoothing: Float = Field(ge=0, lt=1)


class Dsn(Adapter):
    title = "DSN"

    augment: Augmentation
    alpha: Weight
    beta: Weight
    gamma: Weight
    domain_losses_from_step: Int = Field(ge=0)


class Adamatch(Adapter):
    title = "AdaMatch"

    background: Literal["smooth", "target"]
    batch_norm: Literal["joint", "target"]
    label_prior: Literal["source", "uniform"]
    confidence_threshold: Float = Field(ge=0, le=1)
    target_weight: Weight


# --- generators of faces --------------------------------------------------------------------------------------


class Generator(Training):
    """A system that generates images from a latent vector."""

    size: Literal[32, 64, 128, 256]
    latent_dim: Int = Field(ge=1, le=10_000)
    width: Int = Field(ge=2, le=1024)
    flips: Literal["none", "horizontal", "both"]


class Gan(Generator):
    discriminator_lr: Lr
    diffaugment: list[Literal["color", "translation", "cutout"]]


class Dcgan(Gan):
    """The settings of both printed forms."""

    label_smoothing: Float = Field(ge=0, lt=1)
    r1_gamma: PenaltyWeight


class Dcgan4(Dcgan):
    title = "DCGAN 4x4"


class Dcgan5(Dcgan):
    title = "DCGAN 5x5"


class Sngan(Gan):
    title = "SNGAN"

    label_smoothing: Float = Field(ge=0, lt=1)


class SnganGp(Gan):
    title = "SNGAN-GP"

    gp_weight: PenaltyWeight
    n_critic: Int = Field(ge=1, le=100)


class Stylegan2(Gan):
    title = "StyleGAN2"

    max_channels: Int = Field(ge=2, le=4096)
    mapping_layers: Int = Field(ge=1, le=32)
    r1_gamma: PenaltyWeight
    r1_every: Int = Field(ge=1, le=1000)
    pl_weight: PenaltyWeight
    pl_every: Int = Field(ge=1, le=1000)


class R3gan(Gan):
    title = "R3GAN"

    max_channels: Int = Field(ge=2, le=4096)
    depth: Int = Field(ge=1, le=16)
    r1_gamma: PenaltyWeight


class Autoencoder(Generator):
    """A generator that also encodes images."""


class Vae(Autoencoder):
    title = "VAE"

    kl_weight: Weight


# --- conditional generators -----------------------------------------------------------------------------------


class Acgan(Training):
    title = "ACGAN"

    arch: Literal["compact", "compact_faces", "R19", "R21", "R21_printed"]
    discriminator_lr: Lr
    aux_loss_on: Literal["real", "real_and_fake"]
    aux_weight: Weight
    r1_gamma: PenaltyWeight
    r1_every: Int = Field(ge=1, le=1000)
    label_scale: Float = Field(gt=0, le=1000)
    latent_dim: Int = Field(ge=1, le=10_000)
    generator_width: Int = Field(ge=1, le=1024)
    discriminator_width: Int = Field(ge=1, le=1024)


class AcganDigits(Acgan):
    arch: Literal["compact", "R21", "R21_printed"]


class AcganFaces(Acgan):
    arch: Literal["compact_faces", "R19"]
    attribute: str = Field(min_length=1, max_length=100)
    """As the dataset names it, in upper or lower case."""


class Acgans(Section):
    """What ACGAN generates."""

    digits: AcganDigits
    faces: AcganFaces


class Sampling(Section):
    """How a trained DDPM is sampled. No training depends on it."""

    sampler: Literal["ddpm", "ddpm_posterior", "ddim", "dpm_solver"]
    sampling_steps: Int = Field(ge=1, le=10_000)
    guidance_scale: Float = Field(ge=0, le=100)
    guidance_skip_prob: Float = Field(ge=0, le=1)
    eta: Float = Field(ge=0, le=1)

    def with_changes(self, **changes: Any) -> "Sampling":
        """These settings except for `changes`, validated."""
        return Sampling(**self.model_dump(include=set(Sampling.model_fields)) | changes)


class Ddpm(Training, Sampling):
    title = "DDPM"

    arch: Literal["compact", "R22a", "R22b"]
    width: Int = Field(ge=8, le=512, multiple_of=8)
    timesteps: Int = Field(ge=50, le=10_000)
    noise_schedule: Literal["linear", "cosine"]
    prediction: Literal["epsilon", "v"]
    label_dropout: Float = Field(ge=0, lt=1)
    min_snr_gamma: PenaltyWeight

    def trained_by(self) -> dict[str, Any]:
        return self.model_dump(exclude=set(Sampling.model_fields))


class FaceFeatures(Training):
    """The network whose features compare faces where Inception's weights are missing."""

    title = "face features"

    width: Int = Field(ge=4, le=512)
    temperature: Float = Field(gt=0, le=10)


class Systems(Section):
    """Every system's section."""

    classifier: Classifier
    dann: Dann
    adda: Adda
    dsn: Dsn
    adamatch: Adamatch
    dcgan4: Dcgan4
    dcgan5: Dcgan5
    sngan: Sngan
    sngan_gp: SnganGp
    stylegan2: Stylegan2
    r3gan: R3gan
    vae: Vae
    acgan: Acgans
    ddpm: Ddpm
    face_features: FaceFeatures
