"""Latency: what predicts the milliseconds of a network, and which networks are measured for that."""

from nas.latency.endtoend import EndToEnd
from nas.latency.measure import measure_space
from nas.latency.networks import Precision, arch_network
from nas.latency.predictor import LatencyPredictor

__all__ = [
    "EndToEnd",
    "LatencyPredictor",
    "Precision",
    "arch_network",
    "measure_space",
]
