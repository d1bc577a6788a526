"""Graph: what a network consists of, traced from its own code; parameters, MACs, ONNX, channel order."""

from nas.graph.channels import sort_channels
from nas.graph.complexity import Complexity, complexity
from nas.graph.constants import Constant
from nas.graph.export import ParityError, export_onnx, write_onnx
from nas.graph.form import OnnxForm
from nas.graph.graph import Graph
from nas.graph.onnx import metadata, to_onnx
from nas.graph.operator import Operator
from nas.graph.quantise import to_int8
from nas.graph.registry import (
    Binding,
    OperatorFeatures,
    Record,
    UnknownOperatorError,
    features,
    kinds,
    register,
)
from nas.graph.symbols import TensorType
from nas.graph.tracer import Tracer

__all__ = [
    "Binding",
    "Complexity",
    "Constant",
    "Graph",
    "OnnxForm",
    "Operator",
    "OperatorFeatures",
    "ParityError",
    "Record",
    "TensorType",
    "Tracer",
    "UnknownOperatorError",
    "complexity",
    "export_onnx",
    "features",
    "kinds",
    "metadata",
    "register",
    "sort_channels",
    "to_int8",
    "to_onnx",
    "write_onnx",
]
