"""Workers finish in any order; results leave in the order in which their frames came."""

from __future__ import annotations

import random
import threading

from stream.ordering import InOrder


def test_results_of_a_fast_worker_overtake_those_of_a_slow_one() -> None:
    ordered: InOrder[str] = InOrder(4)
    first, second = ordered.ticket(), ordered.ticket()
    assert ordered.put(second, "b", 0)
    assert ordered.get(0) is None
    assert ordered.put(first, "a", 0)
    assert [ordered.get(0), ordered.get(0)] == ["a", "b"]


def test_a_worker_far_ahead_fills_the_memory() -> None:
    ordered: InOrder[int] = InOrder(2)
    tickets = [ordered.ticket() for _ in range(3)]
    assert ordered.put(tickets[1], 1, 0)
    assert not ordered.put(tickets[2], 2, 0.01)
    assert ordered.put(tickets[0], 0, 0)


def test_empty_is_said_while_a_ticket_is_still_out() -> None:
    ordered: InOrder[int] = InOrder(2)
    assert ordered.empty()
    ticket = ordered.ticket()
    assert not ordered.empty()
    ordered.put(ticket, 0, 0)
    assert not ordered.empty()
    ordered.get(0)
    assert ordered.empty()


def test_items_are_lost_or_shuffled_between_many_workers() -> None:
    ordered: InOrder[int] = InOrder(3)
    turn = threading.Lock()
    todo = iter(range(200))
    chance = random.Random(0)

    def work() -> None:
        while True:
            with turn:
                item = next(todo, None)
                if item is None:
                    return
                ticket = ordered.ticket()
            threading.Event().wait(chance.random() / 2000)
            while not ordered.put(ticket, item, 0.1):
                pass

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    got = [ordered.get(5) for _ in range(200)]
    for worker in workers:
        worker.join(5)
    assert got == list(range(200))
