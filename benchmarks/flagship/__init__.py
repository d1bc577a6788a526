"""Flagship: what a search buys on real photographs, against scaling, MACs, chance and training alone."""
