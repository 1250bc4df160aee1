"""Keys of params.yaml that had another name before version 0.2. The error for an old key says the new one."""

from hw2core.settings.registry import TRAININGS
from hw2core.settings.systems import Acgans

RENAMED = {
    "dann.arch": "backbone",
    "data.holdout": "data.val_fraction",
    "data.jitter": "data.color_jitter",
    "gan": "gans",
    "judges": "evaluation",
    "tsne.images": "tsne.images_per_domain",
    "sweep.guidance": "sweep.guidance_scale",
    "dann.reversal": "dann.lambda_max",
    "dann.reversal_schedule": "dann.lambda_schedule",
    "dann.batches": "dann.batch_norm",
    "adda.critic": "adda.discriminator",
    "dsn.reconstruction": "dsn.alpha",
    "dsn.difference": "dsn.beta",
    "dsn.similarity": "dsn.gamma",
    "dsn.separate_from": "dsn.domain_losses_from_step",
    "adamatch.classes": "adamatch.label_prior",
    "adamatch.confidence": "adamatch.confidence_threshold",
    "adamatch.target": "adamatch.target_weight",
    "vae.kl": "vae.kl_weight",
    "ddpm.times": "ddpm.timesteps",
    "ddpm.noise": "ddpm.noise_schedule",
    "ddpm.unlabelled": "ddpm.label_dropout",
    "ddpm.min_snr": "ddpm.min_snr_gamma",
    "ddpm.guidance": "ddpm.guidance_scale",
    "ddpm.skip": "ddpm.guidance_skip_prob",
}
"""By full path."""

RENAMED_IN_EVERY_SYSTEM = {
    "schedule": "lr_schedule.kind",
    "warmup": "lr_schedule.warmup_steps",
    "beta1": "optimizer.betas",
    "beta2": "optimizer.betas",
    "weight_decay": "optimizer.weight_decay",
    "ema": "ema_decay",
    "noise": "latent_dim",
    "critic_lr": "discriminator_lr",
    "smoothing": "label_smoothing",
    "r1": "r1_gamma",
    "penalty": "gp_weight",
    "critic_turns": "n_critic",
    "path": "pl_weight",
    "path_every": "pl_every",
    "mapping": "mapping_layers",
    "widest": "max_channels",
    "augment": "diffaugment",
    "labels_of": "aux_loss_on",
    "obedience": "aux_weight",
}
"""By the last part of the path, in any section of a system."""


def new_name(path: str) -> str | None:
    """What a key is called now; None if it was never a key."""
    if path in RENAMED:
        return RENAMED[path]
    section, _, key = path.rpartition(".")
    new = RENAMED_IN_EVERY_SYSTEM.get(key, "")
    return f"{section}.{new}" if new.partition(".")[0] in keys_of(section) else None


def keys_of(section: str) -> set[str]:
    """The keys of a system's section; none if it is no system's."""
    name, _, item = section.partition(".")
    model = TRAININGS.get(name) or (
        Acgans.model_fields[item].annotation if name == "acgan" and item in Acgans.model_fields else None
    )
    return set(model.model_fields) if model else set()
