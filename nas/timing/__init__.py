"""Timing: protocol, device description and table; what runs on a device, here and in a pack. No torch."""

from nas.timing.device import DeviceDescription, describe_device
from nas.timing.loop import TimingProgress, VisitPlan, measure_networks, time_networks, visit_networks
from nas.timing.protocol import Network, Protocol, Visit, VisitOutcome
from nas.timing.table import LatencyTable
from nas.timing.timing import Ratio, Timing, ratio

__all__ = [
    "DeviceDescription",
    "LatencyTable",
    "Network",
    "Protocol",
    "Ratio",
    "Timing",
    "TimingProgress",
    "Visit",
    "VisitOutcome",
    "VisitPlan",
    "describe_device",
    "measure_networks",
    "ratio",
    "time_networks",
    "visit_networks",
]
