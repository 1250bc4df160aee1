"""Rename the params, metrics and history columns of runs measured before version 0.2 to today's names.

    python bench/rename_published.py reports/published/*        # params.yaml and stages/ of each folder
    python bench/rename_published.py --params profiles/mine.yaml

Only names change: every value stays as it was written. A list of seeds of all generators becomes one for each kind of them. A run
that has today's names already is left as it is.
"""

import csv
import io
import json
from pathlib import Path
from typing import Any

from common import parser
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from hw2core.settings.models import GeneratorSeeds
from hw2core.settings.yaml import write_yaml

ANY_SYSTEM = {"ema": "ema_decay", "critic_lr": "discriminator_lr", "smoothing": "label_smoothing"}
GAN = {
    "noise": "latent_dim",
    "r1": "r1_gamma",
    "augment": "diffaugment",
    "penalty": "gp_weight",
    "critic_turns": "n_critic",
    "path": "pl_weight",
    "path_every": "pl_every",
    "mapping": "mapping_layers",
    "widest": "max_channels",
}
ACGAN = {"labels_of": "aux_loss_on", "obedience": "aux_weight", "r1": "r1_gamma", "noise": "latent_dim"}
SYSTEM_KEYS: dict[str, dict[str, str]] = {
    "dann": {"reversal": "lambda_max", "reversal_schedule": "lambda_schedule", "batches": "batch_norm"},
    "adda": {"critic": "discriminator"},
    "dsn": {
        "reconstruction": "alpha",
        "difference": "beta",
        "similarity": "gamma",
        "separate_from": "domain_losses_from_step",
    },
    "adamatch": {
        "classes": "label_prior",
        "confidence": "confidence_threshold",
        "target": "target_weight",
    },
    **dict.fromkeys(("dcgan4", "dcgan5", "sngan", "sngan_gp", "stylegan2", "r3gan"), GAN),
    "vae": {"noise": "latent_dim", "kl": "kl_weight"},
    "ddpm": {
        "times": "timesteps",
        "noise": "noise_schedule",
        "unlabelled": "label_dropout",
        "min_snr": "min_snr_gamma",
        "guidance": "guidance_scale",
        "skip": "guidance_skip_prob",
    },
    "classifier": {},
    "face_features": {},
}
VALUES = {
    ("dann", "batch_norm"): {"together": "joint", "apart": "per_domain"},
    ("adamatch", "label_prior"): {"even": "uniform"},
    ("acgan", "aux_loss_on"): {"both": "real_and_fake"},
}
ADDED_TO_ACGAN = {"r1_every": 8, "label_scale": 3.0}
"""Constants in the code then, params now."""

RAN = {
    "adapters": ["dann", "adda", "dsn", "adamatch"],
    "autoencoders": ["vae"],
    "conditional": {"acgan": ["digits", "faces"], "ddpm": ["digits"]},
    "extractors": {"digits": ["classifier"], "faces": ["face_features"]},
}
"""What always ran then, and what params name now."""

METRICS = {
    "digits_read": "digit_accuracy",
    "faces_found": "face_detection_rate",
    "at_the_end": "final",
    "each": "values",
    "by": "extractor",
    "nearest_training_image": "nearest_train_rmse",
    "nearest_training_image_of_real_test_images": "nearest_train_rmse_of_real_test_images",
    "attribute_read": "attribute_accuracy",
    "attribute_read_of_real": "attribute_accuracy_of_real",
    "fid_digits": "fd_digits",
    "kid_digits": "kd_digits",
    "fid_faces_offline": "fd_faces",
    "kid_faces_offline": "kd_faces",
    "precision_faces_offline": "precision_faces",
    "recall_faces_offline": "recall_faces",
    "judge": "classifier",
    "density": "snd",
    "ways": "settings",
    "looks": "nfe",
    "guidance": "guidance_scale",
}
COLUMNS = {
    "information": "infomax",
    "density": "snd",
    "confident": "mask_rate",
    "held_out_accuracy": "val_accuracy",
    "held_out_log_likelihood": "val_log_likelihood",
    "source_accuracy": "source_val_accuracy",
    "generator_loss": "g_loss",
    "critic_gradient": "d_grad_norm",
    "generator_gradient": "g_grad_norm",
    "real_accuracy": "d_real_acc",
    "fake_accuracy": "d_fake_acc",
    "penalty": "gradient_penalty",
    "told_loss": "d_adv_loss",
    "read_loss": "d_aux_loss",
    "obeying_loss": "g_aux_loss",
    "path": "path_length_penalty",
    "looks": "nfe",
    "guidance": "guidance_scale",
    "digits_read": "digit_accuracy",
}
BY_STAGE = {
    **{key: {"critic_loss": "d_loss"} for key in ("train_gan", "evaluate_gan")},
    "train_adda": {"critic_loss": "discriminator_loss", "fooling_loss": "adv_loss"},
    **{key: {"fooling_loss": "g_adv_loss"} for key in ("train_acgan", "evaluate_acgan")},
}
"""Columns whose new name depends on the system."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("paths", type=Path, nargs="+")
    options.add_argument("--params", action="store_true", help="the paths are params.yaml files or profiles")
    given = options.parse_args()
    for path in given.paths:
        if given.params:
            rename_params_file(path)
        elif (path / "params.yaml").is_file():
            rename_params_file(path / "params.yaml")
            rename_stages(path / "stages")


# --- params ---------------------------------------------------------------------------------------------------


def rename_params_file(path: Path) -> None:
    params = YAML().load(path.read_text(encoding="utf-8"))
    renamed = rename_params(params)
    text = io.StringIO()
    write_yaml(renamed, text)
    path.write_text(text.getvalue(), encoding="utf-8")


def rename_params(params: Any) -> Any:
    rename(params, {"judges": "evaluation"})
    rename(params.get("data", {}), {"holdout": "val_fraction", "jitter": "color_jitter"})
    rename(params.get("tsne", {}), {"images": "images_per_domain"})
    rename(params.get("sweep", {}), {"guidance": "guidance_scale"})
    if "arch" in params.get("dann", {}):
        insert_before(
            params, "classifier" if "classifier" in params else "dann", "backbone", params["dann"].pop("arch")
        )
    if "gan" in params:
        at = list(params).index("gan")
        methods = params.pop("gan")["methods"]
        params.insert(at, "gans", flow(methods))
    for name, keys in SYSTEM_KEYS.items():
        if name in params:
            rename_system(params[name], name, keys | ANY_SYSTEM)
    for item in params.get("acgan", {}).values():
        rename_system(item, "acgan", ACGAN | ANY_SYSTEM)
    if isinstance(params.get("generation", {}).get("seeds"), list):
        params["generation"]["seeds"] = by_kind(params["generation"]["seeds"])
    if "judges" in params or "evaluation" in params:  # all of params.yaml, not a profile
        add_what_is_new(params)
    return params


def by_kind(seeds: list[int]) -> CommentedMap:
    """The seeds of all generators, for each kind of them."""
    found = CommentedMap({kind: flow(seeds) for kind in GeneratorSeeds.model_fields})
    found.fa.set_flow_style()
    return found


def add_what_is_new(params: Any) -> None:
    for name, value in reversed(RAN.items()):
        if name not in params:
            params.insert(1, name, value)
    for item in params["acgan"].values():
        for name, number in ADDED_TO_ACGAN.items():
            item.setdefault(name, number)
    if "inception" in params["evaluation"]:
        params["evaluation"]["faces"] = {"inception": params["evaluation"].pop("inception")}


def rename_system(section: Any, name: str, keys: dict[str, str]) -> None:
    rename(section, keys)
    for key, values in ((key, values) for (system, key), values in VALUES.items() if system == name):
        if section.get(key) in values:
            section[key] = values[section[key]]
    if "augment" in section and isinstance(section["augment"], list):
        rename(section, {"augment": "diffaugment"})
    if "colour" in section.get("diffaugment", []):
        section["diffaugment"] = flow("color" if a == "colour" else a for a in section["diffaugment"])
    group(section, "optimizer", {"weight_decay": "weight_decay"}, betas=("beta1", "beta2"))
    group(section, "lr_schedule", {"schedule": "kind", "warmup": "warmup_steps"}, betas=())


def group(section: Any, name: str, keys: dict[str, str], betas: tuple[str, ...]) -> None:
    """Move keys of a section into a group of their own, at the place of the first."""
    old = [key for key in section if key in keys or key in betas]
    if not old:
        return
    at = list(section).index(old[0])
    found = CommentedMap()
    if betas and betas[0] in section:
        found["betas"] = flow(section.pop(beta) for beta in betas)
    for key, new in keys.items():
        if key in section:
            found[new] = section.pop(key)
    found.fa.set_flow_style()
    section.insert(at, name, found)


def rename(section: Any, keys: dict[str, str]) -> None:
    """Rename the keys of a mapping; their order and comments stay."""
    for old, new in keys.items():
        if old in section:
            at = list(section).index(old)
            comment = section.ca.items.pop(old, None)
            section.insert(at, new, section.pop(old))
            if comment is not None:
                section.ca.items[new] = comment


def insert_before(params: Any, place: str, key: str, value: Any) -> None:
    params.insert(list(params).index(place), key, value)


def flow(values: Any) -> CommentedSeq:
    sequence = CommentedSeq(values)
    sequence.fa.set_flow_style()
    return sequence


# --- metrics and histories ------------------------------------------------------------------------------------


def rename_stages(stages: Path) -> None:
    for path in sorted(stages.rglob("metrics.json")):
        by_stage = BY_STAGE.get(path.relative_to(stages).parts[0], {})
        metrics = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(renamed_keys(metrics, by_stage), indent=2) + "\n", encoding="utf-8")
    for path in sorted(stages.rglob("*.csv")):
        columns = COLUMNS | BY_STAGE.get(path.relative_to(stages).parts[0], {})
        head, newline, rest = path.read_text(encoding="utf-8").partition("\n")
        names = next(csv.reader([head]))
        path.write_text(
            ",".join(columns.get(name, name) for name in names) + newline + rest, encoding="utf-8"
        )


def renamed_keys(node: Any, by_stage: dict[str, str], in_final: bool = False) -> Any:
    if isinstance(node, dict):
        names = COLUMNS | by_stage if in_final else METRICS
        return {
            names.get(key, key): renamed_keys(value, by_stage, key in ("at_the_end", "final"))
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [renamed_keys(value, by_stage) for value in node]
    return node


if __name__ == "__main__":
    main()
