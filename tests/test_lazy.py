"""Packages whose names load on first use."""

import subprocess
import sys
from importlib import import_module

import pytest


@pytest.mark.parametrize("package", ["nas", "nas.codecs", "nas.data", "nas.runtime", "nas.space"])
def test_every_public_name_loads(package: str) -> None:
    module = import_module(package)
    assert set(dir(module)) == set(module.__all__) - {"__version__"}
    assert all(getattr(module, name) is not None for name in module.__all__)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = module.nothing


def test_a_name_may_be_another_where_it_is_defined() -> None:
    assert import_module("nas.runtime").read_image is import_module("nas.pictures").read_picture


def test_the_runtime_loads_what_it_runs_on_with_its_names_and_what_reads_networks_when_one_is_opened() -> (
    None
):
    code = """
import sys
import nas.runtime
readers = {"pydantic", "scipy", "yaml", "importlib.metadata", "nas.space.arch"}
assert not ({"cv2", "onnxruntime"} | readers) & sys.modules.keys()
from nas.runtime import *
assert not readers & sys.modules.keys(), readers & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
