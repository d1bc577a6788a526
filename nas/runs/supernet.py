"""What a trained run offers: its supernet, and the images that calibrate its networks."""

from nas.models import PoseNet, load_weights
from nas.runs.calibration import CalibrationImages, choose_images
from nas.runs.data import RunData
from nas.runs.folder import RunFolder
from nas.runs.streams import CALIBRATION, generator


def load_supernet(run: RunFolder) -> PoseNet:
    """The finished supernet of a run (averaged weights). Raises UserError where there is none."""
    supernet = load_weights(run.require_weights())
    supernet.padding = run.config().data.padding  # older files do not say it
    return supernet


def open_calibration(run: RunFolder, data: RunData) -> CalibrationImages:
    """The run's calibration images, drawn and recorded by the first call."""
    config = data.config
    return choose_images(
        run.calibration_file,
        data.training,
        generator(run.config().seed, CALIBRATION),  # whatever seed a subnet is trained with
        images=config.calibration.images,
        batch=config.calibration.batch,
    )
