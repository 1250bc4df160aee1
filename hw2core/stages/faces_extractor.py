"""The network by whose features generated faces are compared."""

from hw2core.engine import journal
from hw2core.evaluation.extractors import Extractor
from hw2core.files import sha256_of
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.systems.face_features import FaceFeatures


def face_extractor(params: Params, layout: Layout) -> Extractor:
    """The network of train_face_features: it compares faces where Inception's weights are missing."""
    system = FaceFeatures(params.face_features)
    path = layout.model("train_face_features", "faces", 0)
    journal.load_weights(system.networks, path, "last")
    system.networks.eval()
    return Extractor(
        name=f"face_features of {params.data.faces}",
        suffix="faces",
        sha256=sha256_of(path),
        resize="none",
        size=None,
        network=system.networks,
        features=lambda images: (system.features(images), None),
    )
