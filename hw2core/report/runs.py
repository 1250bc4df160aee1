"""What the params name, as the report's sections ask for it."""

from hw2core.layout import Layout
from hw2core.report.outputs import Output, about_data, if_there
from hw2core.settings import Params
from hw2core.settings.registry import title
from hw2core.settings.runs import Run

Conditional = dict[str, tuple[str, str]]


def without_skipped(params: Params, layout: Layout) -> tuple[Params, list[str]]:
    """The params without what `hw2 repro` skips, since the data do not allow it, and a sentence on each part."""
    acgan, faces = params.conditional.acgan, params.data.faces
    about = if_there(about_data, layout, faces) if "faces" in acgan else None
    if about is None or about.get("attributes"):
        return params, []
    remaining = [item for item in acgan if item != "faces"]
    conditional = params.conditional.model_copy(update={"acgan": remaining})
    note = f"{title('acgan/faces')} on faces is skipped: it is conditioned on an attribute, and {faces} has none."
    return params.model_copy(update={"conditional": conditional}), [note]


def adapters(params: Params) -> list[str]:
    """The adapters that are trained: none without a pair."""
    return params.adapters if params.pairs else []


def face_generators(params: Params) -> list[tuple[str, str]]:
    """The kind and the name of every generator of faces without labels."""
    return [("gan", name) for name in params.gans] + [("autoencoder", name) for name in params.autoencoders]


def conditional(params: Params) -> Conditional:
    """The conditional generators: by name, what their stages end in, and their item."""
    found: Conditional = {f"acgan/{item}": ("acgan", item) for item in params.conditional.acgan}
    return found | ({"ddpm": ("ddpm", "digits")} if params.conditional.ddpm else {})


def seeds_by_kind(params: Params) -> dict[str, list[int]]:
    """The seeds of classifiers and adapters, and of every kind of generator that runs."""
    of_generators = params.generation.seeds
    generators = {
        "GANs": (params.gans, of_generators.gans),
        "autoencoders": (params.autoencoders, of_generators.autoencoders),
        "conditional generators": (conditional(params), of_generators.conditional),
    }
    found = {"classifiers and adapters": params.seeds}
    return found | {kind: seeds for kind, (systems, seeds) in generators.items() if systems}


def uses_faces(params: Params) -> bool:
    return bool(face_generators(params)) or "faces" in params.conditional.acgan


def system_of(run: Run) -> str:
    """The name of the system that a run trains: dcgan4, dann, acgan/digits."""
    name = run.stage.removeprefix("train_")
    if name in ("gan", "autoencoder"):
        return run.item
    return f"{name}/{run.item}" if name == "acgan" else name


def output_of(run: Run, layout: Layout) -> Output:
    return Output(layout, run.stage, run.item, run.seed)


def sweep(layout: Layout) -> Output:
    return Output(layout, "sweep_ddpm", "digits")


def real_faces(layout: Layout) -> Output:
    return Output(layout, "evaluate_real", "faces")
