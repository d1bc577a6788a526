"""Integral regression with a Gaussian as the map's target shape (DSNT, Nibali et al., 2018)."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nas.arrays import Floats
from nas.codecs.base import Targets
from nas.codecs.integral import IntegralCodec, target_sigma
from nas.codecs.types import People


class DSNTCodec(IntegralCodec):
    """Integral regression's codec, and for every keypoint a Gaussian distribution along x and along y.

    The Gaussian's sigma is 2 cells on maps of 64 cells, proportionally less on smaller ones. What a Gaussian
    puts between two cells is shared linearly between them, so that its mean stays exact however small sigma
    is; what it puts beyond the outermost centres is theirs. encode -> decode_maps -> group of the targets
    gives back every labelled keypoint exactly but for that last part: at a distance of d cells inwards from
    the outermost centre along an axis (negative in its outer half) the keypoint moves inwards by
    sigma (phi(d / sigma) - d / sigma Phi(-d / sigma)) cells, phi and Phi the normal density and distribution:
    0.8 cells on the outermost centre for sigma 2, 1.07 at the input's edge, under 0.001 from 3 sigma on.

    Options: beta, deconvolutions and width, as of `IntegralCodec`.
    """

    head = "dsnt"
    packages: ClassVar[tuple[str, ...]] = ("scipy",)

    def centred(self, cells: int, grid: tuple[int, int]) -> Floats:
        return np.asarray(_shared_gaussians(np.array([cells // 2]), cells, target_sigma(grid))[0], np.float64)

    def encode(self, people: People) -> Targets:
        """coordinates [K, 2] (cells), x [K, w] and y [K, h] distributions, weights [K]; float32.

        Rows of weight 0 are zero. Raises ValueError where there is not exactly one person.
        """
        targets = super().encode(people)
        height, width = grid = self.grid(self.map_stride)
        sigma, weights = target_sigma(grid), targets["weights"][:, None]
        x, y = targets["coordinates"].astype(np.float64).T
        return {
            **targets,
            "x": _shared_gaussians(x, width, sigma) * weights,
            "y": _shared_gaussians(y, height, sigma) * weights,
        }


def _shared_gaussians(centres: Floats, cells: int, sigma: float) -> NDArray[np.float32]:
    """[K, cells]: Gaussians around centres [K], clipped to the outermost cells, shared between neighbours.

    The share of cell k is the expectation of a hat function around it: the second difference of
    E[max(t - X, 0)] = sigma (z Phi(z) + phi(z)), z = (t - centre) / sigma.
    """
    z = (np.arange(cells) - centres[:, None]) / sigma
    surplus = sigma * (z * ndtr(z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))
    surplus -= surplus[:, :1]
    outside = np.zeros((len(centres), 1))
    steps = np.diff(np.concatenate([outside, surplus, surplus[:, -1:] + 1], axis=1), n=2)
    return np.clip(steps, 0, None).astype(np.float32)
