"""Models: blocks, backbones, necks, the pose network, calibration, weight transfer."""

from nas.layers import Statistics, StatisticsMissingError
from nas.models.calibrate import calibrate
from nas.models.inherited import load_into, parameters_for
from nas.models.inputs import to_input
from nas.models.net import PoseNet
from nas.models.transfer import active_parameters, transfer
from nas.models.weights import load_weights, read_weights, save_weights

__all__ = [
    "PoseNet",
    "Statistics",
    "StatisticsMissingError",
    "active_parameters",
    "calibrate",
    "load_into",
    "load_weights",
    "parameters_for",
    "read_weights",
    "save_weights",
    "to_input",
    "transfer",
]
