"""Demo: the whole pipeline on generated people, from nothing to measured, validated networks."""

from nas.demo.pipeline import DemoDisplays, DemoScale, run_demo

__all__ = ["DemoDisplays", "DemoScale", "run_demo"]
