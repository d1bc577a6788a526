"""Learning rate and weight average."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from nas.train.ema import averaged, warmed_decay
from nas.train.schedule import Schedule


def test_schedule_warms_up_stays_flat_and_falls_to_its_final_share() -> None:
    schedule = Schedule(steps=110, warmup=10, flat=0.5, final=0.05)
    factors = [schedule.factor(step) for step in range(110)]
    assert factors[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert factors[10:60] == [1.0] * 50
    assert all(left > right for left, right in pairwise(factors[59:]))
    assert factors[-1] == pytest.approx(0.05)
    assert factors[84] == pytest.approx(0.525)


def test_schedule_shorter_than_its_warm_up_reaches_the_full_rate() -> None:
    assert Schedule(steps=4, warmup=100, flat=0.5, final=0.1).factor(3) == 1.0


def test_average_follows_its_recurrence() -> None:
    net = nn.Linear(1, 1, bias=False)
    average = averaged(net, decay=0.6)
    expected = None
    for update in range(12):
        value = float(update * update)
        with torch.no_grad():
            net.weight.fill_(value)
        average.update_parameters(net)
        decay = min(0.6, (1 + update) / (10 + update))
        expected = value if expected is None else decay * expected + (1 - decay) * value
    assert average.module.weight.item() == pytest.approx(expected)


def test_decay_is_warmed_up() -> None:
    assert warmed_decay(0.999, 0) == 0.1
    assert warmed_decay(0.999, 90) == 0.91
    assert warmed_decay(0.999, 10**6) == 0.999
