"""The page's interactive charts, as Vega-Lite specifications. Below each of them is a static figure for print.

Charts name the datasets that they use in `usermeta.datasets`; the page holds every dataset once. A chart's controls are
inputs of HTML, so that they can be used by keyboard.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from hw2core.report.figures.maps import DIGIT_COLORS, DOMAIN_COLORS
from hw2core.report.figures.style import LOWER, UPPER, color, places
from hw2core.report.names import SOURCE_ONLY, TARGET_ONLY, arrow
from hw2core.settings.registry import ADAPTERS, title

Chart = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
FONT = 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
GRAY = "#78828f"
"""Readable on a light and on a dark page."""
CONFIG = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "domain": False,
        "ticks": False,
    },
    "legend": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "orient": "bottom",
        "columns": 4,
        "symbolBaseFillColor": GRAY,
        "layout": {"bottom": {"direction": "vertical", "anchor": "start", "margin": 6}},
    },
}
BLANK_AXIS: Chart = {"axis": None}
IMAGES = "images"


@dataclass(frozen=True)
class Views:
    """Charts by name, and the datasets that they share: csv, or a list of rows."""

    charts: dict[str, Chart] = field(default_factory=dict)
    datasets: dict[str, Any] = field(default_factory=dict)

    def add(self, other: "Views") -> None:
        """Join another section's. The images of both are one dataset."""
        images = [*self.datasets.get(IMAGES, []), *other.datasets.get(IMAGES, [])]
        self.charts.update(other.charts)
        self.datasets.update(other.datasets)
        if images:
            self.datasets[IMAGES] = images


def chart(description: str, datasets: Sequence[str], **parts: Any) -> Chart:
    return {
        "$schema": SCHEMA,
        "description": description,
        "usermeta": {"datasets": list(datasets)},
        "width": "container",
        "autosize": {"type": "fit", "contains": "padding"},
        "config": CONFIG,
        **parts,
    }


def csv_data(name: str) -> Chart:
    return {"name": name, "format": {"type": "csv"}}


def as_csv(table: pd.DataFrame) -> str:
    return str(table.to_csv(index=False, float_format="%.5g"))


def radio(name: str, label: str, options: Sequence[str], labels: Sequence[str]) -> Chart:
    bind = {"input": "radio", "options": list(options), "labels": list(labels), "name": label}
    return {"name": name, "value": options[0], "bind": bind}


def thumbnail(image: NDArray[np.uint8]) -> str:
    """An image as WebP in a data URL, some hundred bytes."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, format="WEBP", quality=55, method=2)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


def image_rows(images: Mapping[str, NDArray[np.uint8]]) -> list[dict[str, str]]:
    return [{"key": key, "image": thumbnail(image)} for key, image in images.items()]


def with_image() -> Chart:
    return {"lookup": "key", "from": {"data": {"name": IMAGES}, "key": "key", "fields": ["image"]}}


def tooltip(**fields: str) -> list[Chart]:
    """A field for each title. The title `image` is shown as a picture."""
    return [{"field": name, "title": heading.replace("_", " ")} for heading, name in fields.items()]


# --- maps of features -----------------------------------------------------------------------------------------


def features(
    pair: str, dataset: str, networks: Sequence[str], domains: Sequence[str], digits: Sequence[int]
) -> Chart:
    """Points (network, domain, key, digit, predicted, x, y) of one pair."""
    names = [str(digit) for digit in digits]
    fills = [to_hex(DIGIT_COLORS[digit % 10]) for digit in digits]
    shown = f"colored == 'digit' ? {names!r} : {list(domains)!r}"
    return chart(
        f"t-SNE of the features of {arrow(pair)}. A point is a test image; hovering shows it with its label and prediction.",
        [dataset, IMAGES],
        height=420,
        data=csv_data(dataset),
        params=[
            radio("network", "network", networks, [network_title(name) for name in networks]),
            radio("colored", "color", ["digit", "domain"], ["digit", "domain"]),
        ],
        transform=[
            {"filter": "datum.network == network"},
            {"calculate": "colored == 'digit' ? toString(datum.digit) : datum.domain", "as": "group"},
            with_image(),
        ],
        mark={"type": "point", "filled": True, "size": 42, "opacity": 0.8},
        encoding={
            "x": {"field": "x", "type": "quantitative", "scale": {"zero": False}, **BLANK_AXIS},
            "y": {"field": "y", "type": "quantitative", "scale": {"zero": False}, **BLANK_AXIS},
            "color": {
                "field": "group",
                "type": "nominal",
                "scale": {"domain": [*names, *domains], "range": [*fills, *DOMAIN_COLORS]},
                "legend": {"title": None, "values": {"expr": shown}, "columns": 10},
            },
            "shape": {
                "field": "domain",
                "type": "nominal",
                "scale": {"domain": list(domains), "range": ["circle", "triangle-up"]},
                "legend": {"title": None},
            },
            "tooltip": tooltip(image="image", domain="domain", true_label="digit", predicted="predicted"),
        },
    )


def network_title(name: str) -> str:
    return SOURCE_ONLY if name == "classifier" else title(name)


def to_hex(rgb: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


# --- learning curves ------------------------------------------------------------------------------------------


OF_PAIR = {"filter": "datum.pair == pair"}
ACCURACY = {
    "type": "quantitative",
    "scale": {"domain": [0, 100]},
    "title": "target test accuracy, %",
}
STEP = {"field": "step", "type": "quantitative", "title": "step"}


def curves(dataset: str, bounds: str, pairs: Sequence[str], methods: Sequence[str]) -> Chart:
    """Lines (pair, name, method, step, mean, low, high), and the bounds (pair, bound, accuracy)."""
    toggles = [
        {"name": f"show_{name}", "value": True, "bind": {"input": "checkbox", "name": title(name)}}
        for name in methods
    ]
    options = {"input": "select", "options": list(pairs), "labels": [*map(arrow, pairs)], "name": "pair"}
    return chart(
        "Accuracy on the target's test set during training; hovering shows the values of a step.",
        [dataset, bounds],
        height=320,
        params=[{"name": "pair", "value": pairs[0], "bind": options}, *toggles],
        resolve={"scale": {"color": "independent"}},
        layer=[bound_lines(bounds), *method_lines(dataset, methods)],
    )


def bound_lines(dataset: str) -> Chart:
    limits = {"domain": [SOURCE_ONLY, TARGET_ONLY], "range": [LOWER, UPPER]}
    return {
        "data": csv_data(dataset),
        "transform": [OF_PAIR],
        "mark": {"type": "rule", "strokeDash": [6, 4], "strokeWidth": 2},
        "encoding": {
            "y": {"field": "accuracy", **ACCURACY},
            "color": {"field": "bound", "type": "nominal", "scale": limits, "legend": {"title": None}},
            "tooltip": tooltip(bound="bound", accuracy="accuracy"),
        },
    }


def method_lines(dataset: str, methods: Sequence[str]) -> list[Chart]:
    """The seeds' range as an area, and their mean as a line."""
    place = places(methods, ADAPTERS)
    shown = " || ".join(f"(show_{name} && datum.name == '{name}')" for name in methods)
    scale = {"domain": [*map(title, methods)], "range": [color(place[name]) for name in methods]}
    fill = {"field": "method", "type": "nominal", "scale": scale, "legend": {"title": None}}
    data = {"data": csv_data(dataset), "transform": [OF_PAIR, {"filter": shown}]}
    spread = {
        "x": STEP,
        "y": {"field": "low", **ACCURACY},
        "y2": {"field": "high"},
        "color": {**fill, "legend": None},
    }
    mean = {
        "x": STEP,
        "y": {"field": "mean", **ACCURACY},
        "color": fill,
        "tooltip": tooltip(method="method", step="step", mean="mean", lowest_seed="low", highest_seed="high"),
    }
    return [
        data | {"mark": {"type": "area", "opacity": 0.18}, "encoding": spread},
        data
        | {
            "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 55, "filled": True}},
            "encoding": mean,
        },
    ]


# --- confusion matrices ---------------------------------------------------------------------------------------


def confusion(pair: str, dataset: str, methods: Sequence[str], digits: Sequence[int]) -> Chart:
    """Cells (network, key, digit, predicted, count, rate) of one pair. Hovering shows images of the cell."""
    names = [str(digit) for digit in digits]
    axis = {"type": "ordinal", "scale": {"domain": names}, "axis": {"labelAngle": 0}}
    encoding = {
        "x": {"field": "predicted", "title": "predicted", **axis},
        "y": {"field": "digit", "title": "true label", **axis},
    }
    return chart(
        f"Confusion matrix of {arrow(pair)}; hovering shows test images of the cell.",
        [dataset, IMAGES],
        height=380,
        data=csv_data(dataset),
        params=[radio("network", "method", methods, [*map(title, methods)])],
        transform=[{"filter": "datum.network == network"}, with_image()],
        encoding=encoding,
        layer=[
            {
                "mark": {"type": "rect", "cornerRadius": 3},
                "encoding": {
                    "color": {
                        "field": "rate",
                        "type": "quantitative",
                        "scale": {"domain": [0, 100], "scheme": "blues"},
                        "legend": {"title": "% of the label's test images", "gradientLength": 180},
                    },
                    "tooltip": tooltip(
                        image="image",
                        true_label="digit",
                        predicted="predicted",
                        images="count",
                        percent="rate",
                    ),
                },
            },
            {
                "mark": {"type": "text", "fontSize": 11, "tooltip": None},
                "encoding": {
                    "text": {"field": "rate", "type": "quantitative", "format": ".0f"},
                    "color": {
                        "condition": {"test": "datum.rate > 50", "value": "#ffffff"},
                        "value": "#1d2129",
                    },
                },
            },
        ],
    )


# --- the reverse process of a diffusion model -----------------------------------------------------------------


def reverse_process(dataset: str, states: int) -> Chart:
    """States (state, t, image) from noise to an image, one at a time."""
    bind = {"input": "range", "min": 0, "max": states - 1, "step": 1, "name": "state, from noise to image"}
    return chart(
        "The reverse process of one digit; the slider goes from noise to the image.",
        [dataset],
        width=224,
        height=224,
        autosize="pad",
        data={"name": dataset},
        params=[{"name": "state", "value": states - 1, "bind": bind}],
        transform=[{"filter": "datum.state == state"}, {"calculate": "'t = ' + datum.t", "as": "label"}],
        layer=[
            {
                "mark": {"type": "image", "width": 196, "height": 196, "smooth": False},
                "encoding": {"x": {"value": 112}, "y": {"value": 98}, "url": {"field": "image"}},
            },
            {
                "mark": {"type": "text", "fontSize": 14, "color": GRAY},
                "encoding": {"x": {"value": 112}, "y": {"value": 214}, "text": {"field": "label"}},
            },
        ],
    )
