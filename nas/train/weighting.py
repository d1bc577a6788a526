"""How the terms of a loss are weighed against each other: as they are, or by learned uncertainties."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from nas.codecs import People
from nas.codecs.build import codec_of
from nas.layers import widened
from nas.models import PoseNet
from nas.space import Arch, ArchManager
from nas.space.options import freeze_options

TEACHER = "teacher"
"""The term that stands for the distance to a teacher."""

Weighting = Callable[[str, Mapping[str, Tensor]], Tensor]
"""Head type and terms -> the loss."""


def fixed_sum(head: str, terms: Mapping[str, Tensor]) -> Tensor:
    """The sum of all terms."""
    return torch.stack(list(terms.values())).sum()


class LearnedWeights(nn.Module):
    """Every term weighed by the inverse of a variance that is learned with the network (Kendall et al. 2018).

    The loss is the sum of exp(-s) L + s over the terms L with a log-variance s each, twice the paper's
    L / (2 sigma^2) + log sigma; s starts at 0, from the plain sum, and is drawn to log L, where each term
    counts alike. A term of exactly 0 has nothing to learn from in that batch (no pair of people, no labelled
    limb), and says nothing about its variance. Terms of a head's `likelihoods` keep the weight 1.

    Args:
        terms: by head type, the names of its terms.
    """

    def __init__(self, terms: Mapping[str, Iterable[str]]) -> None:
        super().__init__()
        self.log_variances = nn.ParameterDict(
            {
                f"{head}/{term}": nn.Parameter(torch.zeros(()))
                for head in sorted(terms)
                for term in sorted(terms[head])
            }
        )

    def forward(self, head: str, terms: Mapping[str, Tensor]) -> Tensor:
        """The loss, from scalar terms by name; those without a log-variance are added as they are."""
        return torch.stack([self._weighed(f"{head}/{name}", term) for name, term in terms.items()]).sum()

    def weights(self) -> dict[str, float]:
        """The weight of each term now, as `weight/HEAD/TERM`."""
        return {f"weight/{name}": torch.exp(-s).item() for name, s in self.log_variances.items()}

    def _weighed(self, name: str, term: Tensor) -> Tensor:
        if name not in self.log_variances:
            return term
        s = self.log_variances[name]
        return torch.where(term > 0, torch.exp(-s) * term + s, term)


def learned_weights(net: PoseNet, *, teacher: bool) -> LearnedWeights:
    """Weights for every term that any network of `net` is trained on, on its device and in its precision.

    Args:
        net: a supernet or a plain network, put into training mode.
        teacher: whether there is a distance to a teacher too.
    """
    terms: dict[str, set[str]] = {}
    for arch in _every_head(net):
        known = terms.setdefault(arch.head.type, {TEACHER} if teacher else set())
        known |= loss_terms(net, arch) - net.head(arch).likelihoods
    return LearnedWeights(terms).to(next(net.parameters()))


@torch.no_grad()
def loss_terms(net: PoseNet, arch: Arch) -> frozenset[str]:
    """The names of the terms that a network is trained on: what its head says of one made-up person."""
    reference = next(net.parameters())
    targets = codec_of(arch, net.skeleton).encode(somebody(arch, len(net.skeleton.keypoints)))
    # Two: where a level has a single cell, batch norm has no statistics of one image.
    pairs = {name: torch.from_numpy(np.stack([target, target])) for name, target in targets.items()}
    moved = {
        name: pair.to(reference.device, reference.dtype if pair.is_floating_point() else pair.dtype)
        for name, pair in pairs.items()
    }
    outputs = net.train()(torch.zeros(2, 3, *arch.resolution).to(reference), arch)
    wide = {name: widened(output) for name, output in outputs.items()}
    return frozenset(net.head(arch).loss(wide, moved))


def _every_head(net: PoseNet) -> Iterator[Arch]:
    """A small network for each head with each of its options."""
    for head, described in net.space.spec.heads.items():
        smallest = ArchManager(net.space).smallest(head=head)
        for values in product(*described.options.values()):
            options = freeze_options(dict(zip(described.options, values, strict=True)))
            yield replace(smallest, head=replace(smallest.head, options=options))


def somebody(arch: Arch, joints: int) -> People:
    """One person, all of whose joints are seen, along the input's diagonal."""
    height, width = arch.resolution
    along = np.linspace(0.25, 0.75, joints)
    keypoints = np.column_stack([along * width, along * height, np.full(joints, 2.0)])
    box = np.array([[width / 4, height / 4, width * 0.75, height * 0.75]])
    return People(keypoints[None], np.array([width * height / 8]), box)
