"""The time and the digit accuracy of a DDPM with different samplers and numbers of sampling steps.

    python bench/sampling.py digits ../published --steps 5 10 25 250

Loads the trained model of a clone (see bench/publish.py) and generates the same digits from the same noise with each sampler and
number of steps, on all cores, as `hw2 generate` does. Writes sampling.csv and sampling.png into reports/published/NAME. The
seconds depend on the machine; compare the ratios to the slowest setting of a sampler.
"""

import sys
import time
from pathlib import Path

import pandas as pd
from common import ROOT, parser
from matplotlib.figure import Figure

from hw2core.engine.device import Device
from hw2core.evaluation.classification import accuracy, outputs
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.report.figures.style import color, line_style, page_figure, places, save, styled
from hw2core.settings import Params, load_params
from hw2core.settings.registry import SAMPLERS
from hw2core.settings.systems import Sampling
from hw2core.stages import generators
from hw2core.stages.commands import every_core
from hw2core.stages.digits_extractor import digit_reader
from hw2core.stages.evaluate_digits import EACH, image_set


def main() -> None:
    options = parser(__doc__)
    options.add_argument("name", help="a folder of reports/published/")
    options.add_argument("clone", type=Path, help="the clone in which the model was trained")
    options.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=["dpm_solver", "ddim"])
    options.add_argument("--steps", nargs="+", type=int, default=[5, 10, 25, 50, 250])
    given = options.parse_args()
    layout = Layout(given.clone.resolve())
    params = load_params(layout.params)
    device = every_core(params)
    settings = [
        params.ddpm.with_changes(sampler=sampler, sampling_steps=steps)
        for sampler in given.samplers
        for steps in given.steps
    ]
    table = measure(params, layout, device, settings)
    home = ROOT / "reports" / "published" / given.name
    write_whole(home / "sampling.csv", table.to_csv(index=False, float_format="%.4g").encode())
    save(plot(table, params, device), home / "sampling.png")
    print(device.about)
    print(table.to_string(index=False))


def measure(params: Params, layout: Layout, device: Device, settings: list[Sampling]) -> pd.DataFrame:
    """A row for each setting: the digit accuracy, and the seconds that generating took."""
    seed = params.generation.seeds.conditional[0]
    system = generators.load(params, layout, device, "ddpm", seed)
    reader, _ = digit_reader(params, layout, device, params.data.digits)
    labels = generators.balanced_labels("ddpm", params.generation.images, EACH)
    rows = []
    for sampling in settings:
        start = time.perf_counter()
        images = generators.sample_labels(system, labels, sampling, "sampling", f"seed {seed}")
        seconds = time.perf_counter() - start
        logits = outputs(reader, image_set(images, labels, device))
        rows.append(
            {
                **sampling.model_dump(include={"sampler", "sampling_steps", "guidance_scale"}),
                "digits": len(labels),
                "digit_accuracy": accuracy(logits, labels.to(device.kind)),
                "seconds": seconds,
            }
        )
        print(rows[-1], file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def plot(table: pd.DataFrame, params: Params, device: Device) -> Figure:
    """Digit accuracy and seconds against the number of sampling steps."""
    with styled():
        figure = page_figure(2.9)
        left, right = figure.subplots(1, 2)
        place = places(list(table["sampler"].unique()), SAMPLERS)
        for name, points in table.groupby("sampler", sort=False):
            points = points.sort_values("sampling_steps")
            style = {"color": color(place[str(name)]), "ls": line_style(place[str(name)])}
            for axis, column in ((left, "digit_accuracy"), (right, "seconds")):
                axis.plot(
                    points["sampling_steps"], points[column], marker="o", ms=4, label=str(name), **style
                )
        ticks = sorted(table["sampling_steps"].unique())
        for axis, label in (
            (left, "digit accuracy, %"),
            (right, f"seconds for {table['digits'].iloc[0]:,} digits"),
        ):
            axis.set_xscale("log")
            axis.set_xticks(ticks, [str(tick) for tick in ticks])
            axis.minorticks_off()
            axis.set_xlabel(f"sampling steps (guidance scale {params.ddpm.guidance_scale:g})")
            axis.set_ylabel(label)
        left.set_ylim(0, 103)
        right.set_yscale("log")
        right.set_title(device.about.partition(",")[0])
        left.legend(fontsize=7.5, loc="lower right")
        return figure


if __name__ == "__main__":
    main()
