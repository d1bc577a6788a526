"""Latency: timing protocol, device description, timing table, predictor."""

from nas.latency.device import DeviceDescription, describe_device
from nas.latency.endtoend import EndToEnd
from nas.latency.loop import Plan, Progress, measure_networks, time_networks, visit_networks
from nas.latency.measure import measure_space
from nas.latency.networks import Precision, arch_network, file_network
from nas.latency.predictor import LatencyPredictor
from nas.latency.protocol import Network, Protocol, Step, Visit
from nas.latency.table import LatencyTable
from nas.latency.timing import Ratio, Timing, ratio

__all__ = [
    "DeviceDescription",
    "EndToEnd",
    "LatencyPredictor",
    "LatencyTable",
    "Network",
    "Plan",
    "Precision",
    "Progress",
    "Protocol",
    "Ratio",
    "Step",
    "Timing",
    "Visit",
    "arch_network",
    "describe_device",
    "file_network",
    "measure_networks",
    "measure_space",
    "ratio",
    "time_networks",
    "visit_networks",
]
