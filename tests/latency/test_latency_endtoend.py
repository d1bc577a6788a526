from dataclasses import replace

import pytest

from nas.errors import UserError
from nas.latency import EndToEnd
from nas.space import Arch, ArchManager, SearchSpace


@pytest.fixture(scope="module")
def on_crops() -> Arch:
    return ArchManager(SearchSpace.load("demo")).smallest(head="simcc")


@pytest.fixture(scope="module")
def whole_picture() -> Arch:
    return ArchManager(SearchSpace.load("litepose")).smallest()


def test_a_network_on_crops_runs_once_per_person_and_the_detector_once(on_crops: Arch) -> None:
    pays = EndToEnd(people=3, detector_ms=4.0)
    assert pays.runs(on_crops) == 3
    assert pays.total_ms(on_crops, network_ms=2.0, grouping_ms=0.5) == pytest.approx(4.0 + 3 * 2.5)


def test_a_network_on_whole_pictures_runs_once(whole_picture: Arch) -> None:
    pays = EndToEnd(people=3)
    assert pays.total_ms(whole_picture, network_ms=2.0, grouping_ms=0.5) == pytest.approx(2.5)
    with pytest.raises(UserError, match="leave `detector`"):
        replace(pays, detector_ms=4.0).total_ms(whole_picture, network_ms=2.0, grouping_ms=0.5)
