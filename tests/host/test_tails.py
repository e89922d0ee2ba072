"""A follower that stands where the host wrote on knows what follows; any other has to read."""

from atoll_host import tails
from atoll_storage import records

X, Y = ("x",), ("y",)


def seeing() -> tails.Tail:
    """Return a tail whose follower has read the log once."""
    tail = tails.Tail()
    assert tail.take(0) == ([], 0, True)
    return tail


def stored(after_id: int, last_id: int, *materializations) -> records.Stored:
    return records.Stored(after_id, last_id, materializations)


def test_transactions_that_follow_each_other_need_no_reading():
    tail = seeing()
    tail.add(stored(4, 6, (5, X), (6, Y)))
    tail.add(stored(6, 7))
    tail.add(stored(7, 8, (8, X)))
    assert tail.take(4) == ([(5, X), (6, Y), (8, X)], 8, False)
    assert tail.take(8) == ([], 8, False)


def test_ids_of_another_host_in_between_have_to_be_read():
    tail = seeing()
    tail.add(stored(4, 5, (5, X)))
    tail.add(stored(8, 9, (9, Y)))
    assert tail.take(4) == ([(5, X)], 5, True)
    # The reading brought the follower to the end, or beyond.
    assert tail.take(9) == ([], 9, False)


def test_what_was_read_meanwhile_is_not_heard_of_again():
    tail = seeing()
    tail.add(stored(4, 5, (5, X)))
    tail.add(stored(5, 6, (6, Y)))
    assert tail.take(5) == ([(6, Y)], 6, False)
    tail.add(stored(6, 7, (7, Y)))
    assert tail.take(10) == ([], 10, False)


def test_a_position_within_a_transaction_has_to_be_read():
    tail = seeing()
    tail.add(stored(4, 9, (5, X), (9, Y)))
    assert tail.take(5) == ([], 5, True)


def test_other_hosts_are_read():
    tail = seeing()
    tail.hear(7)
    assert tail.take(6) == ([], 6, True)
    assert tail.take(7) == ([], 7, False)
    tail.lose_sight()
    assert tail.take(7) == ([], 7, True)


async def test_silence_means_reading():
    tail = seeing()
    await tail.wait(0.001)
    assert tail.take(3) == ([], 3, True)


def test_a_flood_is_read_instead_of_kept():
    tail = seeing()
    half = [(number, X) for number in range(1, tails.MATERIALIZATIONS_MAX // 2 + 2)]
    tail.add(stored(0, len(half), *half))
    tail.add(stored(len(half), 2 * len(half), *half))
    found, position, more = tail.take(0)
    assert (found, position, more) == ([], 0, True)
