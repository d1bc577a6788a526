import threading

from nas.data.threads import on_all_cores


def test_results_come_in_order_and_progress_ends_at_the_total() -> None:
    later = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            later.wait(10)  # the first is done last of its portion
        if item == 1:
            later.set()
        return item * item

    seen: list[tuple[int, int]] = []
    results = list(on_all_cores(work, range(150), lambda done, total: seen.append((done, total))))
    assert results == [item * item for item in range(150)]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (150, 150)
    assert list(on_all_cores(work, [])) == []
