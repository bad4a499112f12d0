"""Turns: so many at once, so many waiting, and no more."""

import threading
import time

import pytest

from callsheet import RateLimitError
from callsheet_local.turns import Turns


def test_so_many_at_once_and_so_many_waiting():
    turns, go = Turns(at_once=2, waiting=3), threading.Event()
    inside, most, lock = 0, 0, threading.Lock()
    refused: list[RateLimitError] = []

    def work():
        nonlocal inside, most
        try:
            with turns.turn("other work"):
                with lock:
                    inside, most = inside + 1, max(most, inside + 1)
                go.wait(10)
                with lock:
                    inside -= 1
        except RateLimitError as error:
            with lock:
                refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(9)]
    for thread in threads:
        thread.start()
    while len(refused) < 4:
        time.sleep(0.01)
    go.set()
    for thread in threads:
        thread.join(10)
    assert (most, len(refused), inside) == (2, 4, 0)
    assert {(error.code, error.retry_after) for error in refused} == {("busy", 3.0)}
    with turns.turn("nothing"):
        pass


def test_a_failure_gives_the_turn_back():
    turns = Turns(at_once=1, waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turns.turn("x"):
            raise ZeroDivisionError
    with turns.turn("x"), pytest.raises(RateLimitError), turns.turn("y"):
        pass
