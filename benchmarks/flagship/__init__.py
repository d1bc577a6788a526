"""Flagship: what a search buys on real photographs, against scaling, MACs, chance and training alone."""

from nas.openmp import wait_briefly

wait_briefly()
