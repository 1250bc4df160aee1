"""What a diffusion model's sampling steps cost and bring: digits drawn in different ways, timed and read.

    python bench/sampling.py digits ../published --steps 5 10 25 250

Takes the trained model of a clone (see bench/publish.py) and draws the same digits, from the same noise, by each sampler in each
number of steps, on all cores, as `hw2 generate` does. Writes sampling.csv and sampling.png into reports/published/NAME. The
seconds are this machine's; what compares between machines is their ratio to the slowest way of one sampler.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any, get_args

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from hw2core.engine.device import Device  # noqa: E402
from hw2core.files import write_whole  # noqa: E402
from hw2core.evaluation.classification import accuracy, outputs  # noqa: E402
from hw2core.layout import Layout  # noqa: E402
from hw2core.settings import Params, Sampling, load_params  # noqa: E402
from hw2core.report.figures import STYLE, save, shades  # noqa: E402
from hw2core.stages import generators  # noqa: E402
from hw2core.stages.commands import every_core  # noqa: E402
from hw2core.stages.digit_judges import digit_judge  # noqa: E402
from hw2core.stages.evaluate_conditional import even_labels, image_set  # noqa: E402

SAMPLERS = get_args(Sampling.model_fields["sampler"].annotation)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("name", help="a folder of reports/published/")
    options.add_argument("clone", type=Path, help="where the model was trained")
    options.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=["dpm_solver", "ddim"])
    options.add_argument("--steps", nargs="+", type=int, default=[5, 10, 25, 50, 250])
    given = options.parse_args()
    layout = Layout(given.clone.resolve())
    params = load_params(layout.params)
    device = every_core(params)
    ways = [
        params.ddpm.changed(sampler=name, sampling_steps=steps)
        for name in given.samplers
        for steps in given.steps
    ]
    table = measure(params, layout, device, ways)
    home = ROOT / "reports" / "published" / given.name
    write_whole(home / "sampling.csv", table.to_csv(index=False, float_format="%.4g").encode())
    save(picture(table, params, device), home / "sampling.png")
    print(device.about)
    print(table.to_string(index=False))


def measure(params: Params, layout: Layout, device: Device, ways: list[Sampling]) -> pd.DataFrame:
    """A row for each way: how many digits are read as meant, in how many seconds they were drawn."""
    seed = params.generation.seeds[0]
    system: Any = generators.load(params, layout, device, "ddpm", seed)
    reader, _ = digit_judge(params, layout, device, params.data.digits)
    labels = even_labels(params, "ddpm")
    rows = []
    for how in ways:
        began = time.perf_counter()
        images = generators.draw_labeled(system, labels, how, "sampling", f"seed {seed}")
        seconds = time.perf_counter() - began
        rows.append(
            {
                **how.model_dump(include={"sampler", "sampling_steps", "guidance"}),
                "digits": len(labels),
                "digit_accuracy": accuracy(
                    outputs(reader, image_set(images, labels, device)), labels.to(device.kind)
                ),
                "seconds": seconds,
            }
        )
        print(rows[-1], file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def picture(table: pd.DataFrame, params: Params, device: Device) -> Figure:
    """Digits read, and seconds, against the steps."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 2.9))
        left, right = figure.subplots(1, 2)
        groups = table.groupby("sampler", sort=False)
        for (name, points), color in zip(groups, shades(len(groups)), strict=True):
            points = points.sort_values("sampling_steps")
            for axis, column in ((left, "digit_accuracy"), (right, "seconds")):
                axis.plot(points["sampling_steps"], points[column], "o-", ms=4, color=color, label=name)
        ticks = sorted(table["sampling_steps"].unique())
        for axis, label in (
            (left, "digits read, %"),
            (right, f"seconds for {table['digits'].iloc[0]:,} digits"),
        ):
            axis.set_xscale("log")
            axis.set_xticks(ticks, [str(tick) for tick in ticks])
            axis.minorticks_off()
            axis.set_xlabel(f"steps, guidance {params.ddpm.guidance:g}")
            axis.set_ylabel(label)
        left.set_ylim(0, 103)
        right.set_yscale("log")
        right.set_title(device.about.partition(",")[0])
        left.legend(fontsize=7.5, loc="lower right")
        return figure


if __name__ == "__main__":
    main()
