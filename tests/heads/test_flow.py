"""The flow's log-density: against the change of variables, and against its integral."""

import pytest
import torch
from torch import Tensor

from nas.heads.flow import LAYERS, WIDTH, RealNVP


def randomised(seed: int = 0, std: float = 0.2) -> RealNVP:
    flow = RealNVP().double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(std * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return flow


def to_normal(flow: RealNVP, point: Tensor) -> Tensor:
    """A point [2] of the plane -> what must be normally distributed: masks, as the paper writes it."""
    for number, layer in enumerate(flow.layers):
        mask = torch.tensor([1.0, 0.0] if number % 2 == 0 else [0.0, 1.0], dtype=point.dtype)
        log_scale, shift = layer((mask * point).sum().reshape(1))
        point = mask * point + (1 - mask) * (point - shift) * torch.exp(-torch.tanh(log_scale))
    return point


def test_a_new_flow_is_the_standard_normal_distribution() -> None:
    points = torch.randn(3, 5, 2, dtype=torch.float64) * 3
    normal = torch.distributions.MultivariateNormal(
        torch.zeros(2, dtype=torch.float64), torch.eye(2).double()
    )
    torch.testing.assert_close(RealNVP().double()(points), normal.log_prob(points))


@pytest.mark.parametrize("seed", range(3))
def test_log_density_is_that_of_the_change_of_variables(seed: int) -> None:
    """Normal density at the image, times the determinant of autograd's Jacobian."""
    flow = randomised(seed)
    normal = torch.distributions.Normal(0.0, 1.0)
    points = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2
    density = flow(points)
    for point, found in zip(points, density, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: to_normal(flow, x), point)
        expected = normal.log_prob(to_normal(flow, point)).sum() + torch.linalg.slogdet(jacobian)[1]
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_density_integrates_to_one() -> None:
    flow = randomised(1, std=0.1)
    side, step = 300, 0.06
    axis = (torch.arange(side, dtype=torch.float64) - side / 2 + 0.5) * step
    plane = torch.cartesian_prod(axis, axis)
    density = torch.exp(flow(plane))
    mean = (density[:, None] * plane).sum(0) * step**2
    assert float(density.sum() * step**2) == pytest.approx(1, abs=1e-4)
    assert float(mean.abs().max()) > 0.05, "not the normal distribution any more"


def test_gradient() -> None:
    flow = randomised(2)
    points = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    weights = tuple(parameter for parameter in flow.layers[3].parameters())
    assert torch.autograd.gradcheck(lambda x, *_: flow(x), (points, *weights), fast_mode=True)


def test_it_learns_a_density() -> None:
    """Samples along a curve: the likelihood of held-out ones rises well above a fitted normal's."""
    generator = torch.Generator().manual_seed(0)

    def samples(count: int) -> Tensor:
        x = torch.randn(count, generator=generator)
        return torch.stack([x, x.square() - 1 + 0.3 * torch.randn(count, generator=generator)], dim=1)

    torch.manual_seed(0)
    flow = RealNVP()
    optimizer = torch.optim.Adam(flow.parameters(), lr=3e-3)
    for _ in range(150):
        loss = -flow(samples(256)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    held_out = samples(4000)
    fitted = torch.distributions.MultivariateNormal(held_out.mean(0), held_out.T.cov())
    with torch.no_grad():
        assert float(flow(held_out).mean() - fitted.log_prob(held_out).mean()) > 0.5


def test_size() -> None:
    per_layer = 2 * WIDTH + (WIDTH + 1) * WIDTH + 2 * (WIDTH + 1)
    assert sum(parameter.numel() for parameter in RealNVP().parameters()) == LAYERS * per_layer
