"""Work shared by two threads, also where the second one shares some itself."""

from __future__ import annotations

import threading

from engine.analytic.aside import begin, drawing, share

PATIENCE_S = 10.0  # for what must happen; no test measures time


def test_all_is_done_once_and_shared_work_may_share() -> None:
    done: list[int] = []

    def nested() -> None:
        share([lambda n=n: done.append(n) for n in range(10, 20)])

    def run() -> None:
        with drawing():
            share([nested, *[lambda n=n: done.append(n) for n in range(10)]])
            begin(nested).result(PATIENCE_S)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert sorted(done) == sorted([*range(20), *range(10, 20)])
