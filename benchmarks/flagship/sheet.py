"""A sheet of people who are alone in their picture, with the poses that a network on crops finds in them."""

from pathlib import Path

import numpy as np

from nas.data import Annotations, load_annotations
from nas.errors import UserError
from nas.evaluate.loading import load_model
from nas.evaluate.validate import find
from nas.workflow.people import write_sheet


def alone(annotations: Annotations) -> Annotations:
    """Only the images with one annotated person, who has keypoints.

    Raises:
        UserError: there is none.
    """
    people, images = annotations.people, len(annotations.images)
    everybody = np.bincount(people.image, minlength=images)
    labelled = np.bincount(people.image[people.labelled & ~people.crowd], minlength=images)
    chosen = np.flatnonzero((everybody == 1) & (labelled == 1))
    if not len(chosen):
        raise UserError(f"{annotations.path}: nobody with keypoints is alone in a picture")
    return annotations.select(annotations.images[image].id for image in chosen)


def draw(model: Path, data: Path, images: Path, *, out: Path, photographs: bool = True) -> int:
    """Write the sheet, from the best to the worst answer by OKS; how many people it was taken from.

    Without `photographs` truth and answer are drawn on white.
    """
    network = load_model(model, threads=1)
    if network.task != "crop":
        raise UserError(f"{model}: looks at whole pictures; the sheet is of people in their boxes")
    people = alone(load_annotations(data, images, network.skeleton))
    write_sheet(out, find(network, people).detections, people, photographs=photographs)
    return len(people.images)
