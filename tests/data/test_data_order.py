"""The stream of samples."""

import numpy as np
import pytest

from nas.data import SampleOrder


def test_an_epoch_of_equal_weights_holds_every_sample_once() -> None:
    order = SampleOrder([4, 3], [1.0, 1.0])
    assert sorted(order.indices(0, 7, seed=1)) == list(range(7))
    assert sorted(order.indices(7, 7, seed=1)) == list(range(7))
    assert order.indices(0, 7, seed=1).tolist() != order.indices(7, 7, seed=1).tolist()
    assert order.indices(0, 7, seed=1).tolist() != order.indices(0, 7, seed=2).tolist()


def test_the_stream_is_the_same_in_any_pieces() -> None:
    order = SampleOrder([5, 4], [1.0, 2.5])
    whole = order.indices(0, 60, seed=3)
    pieces = [SampleOrder([5, 4], [1.0, 2.5]).indices(start, 4, seed=3) for start in range(0, 60, 4)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    np.testing.assert_array_equal(order.indices(17, 30, seed=3), whole[17:47])


def test_weights_are_shares_relative_to_the_size() -> None:
    order = SampleOrder([10, 8], [0.5, 2.25])
    assert len(order) == 5 + 18
    epochs = [order.indices(23 * epoch, 23, seed=0) for epoch in range(40)]
    assert all((epoch < 10).sum() == 5 for epoch in epochs)
    counts = np.bincount(np.concatenate(epochs), minlength=18)
    assert counts[:10].min() > 8  # every sample has its turn
    assert (np.abs(counts[10:] / 40 - 2.25) < 0.3).all()


def test_weights_must_fit_the_sources() -> None:
    for weights in ([1.0], [1.0, 0.0]):
        with pytest.raises(ValueError, match="positive weights"):
            SampleOrder([2, 2], weights)
