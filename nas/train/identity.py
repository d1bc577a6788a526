"""What a training learns from, as digests: a checkpoint is gone on from with the same only."""

import hashlib
import json

from nas.data import KeypointDataset
from nas.data.identity import images_digest, labels_digest
from nas.train.state import LABELS


def samples_identity(dataset: KeypointDataset) -> dict[str, str]:
    """Digests that change with the samples that are trained on: which they are, and what they hold."""
    return {"training images": _ids_digest(dataset), LABELS: _content_digest(dataset)}


def _content_digest(dataset: KeypointDataset) -> str:
    parts = [(images_digest(source), labels_digest(source)) for source in dataset.sources]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _ids_digest(dataset: KeypointDataset) -> str:
    digest = hashlib.sha256()
    for source in dataset.sources:
        digest.update(json.dumps([image.id for image in source.images]).encode())
        digest.update(source.people.ids.tobytes())
    return digest.hexdigest()
