"""A location that floods waits for itself alone."""

import asyncio

from atoll_host.intake import fair_queue


async def filled(lanes: dict[str, list[int]], *, lane_size_max: int = 10**9):
    queue: fair_queue.FairQueue[str] = fair_queue.FairQueue(lane_size_max=lane_size_max)
    for lane, sizes in lanes.items():
        for number, size in enumerate(sizes):
            await queue.put(lane, f"{lane}{number}", size)
    return queue


async def test_items_of_a_lane_keep_their_order():
    queue = await filled({"a": [1, 1, 1, 1]})
    assert queue.take(2) == ["a0", "a1"]
    assert queue.take(10) == ["a2", "a3"]
    assert queue.take(10) == []


async def test_a_small_lane_is_taken_at_once_however_long_the_others_are():
    queue = await filled({"flood": [500] * 100, "small": [1]})
    assert "small0" in queue.take(1000)


async def test_equal_floods_get_equal_shares():
    queue = await filled({"a": [100] * 50, "b": [100] * 50, "c": [100] * 50})
    taken = [item[0] for item in queue.take(3000)]
    assert {lane: taken.count(lane) for lane in "abc"} == {"a": 10, "b": 10, "c": 10}


async def test_large_batches_give_no_larger_share():
    queue = await filled({"large": [500] * 20, "single": [1] * 5000})
    taken = queue.take(2000)
    single = sum(1 for item in taken if item.startswith("single"))
    assert 900 <= single <= 1500


async def test_a_lane_that_comes_back_has_no_claim_on_the_past():
    queue = await filled({"a": [100] * 100, "late": [1]})
    queue.take(5000)
    for number in range(100):
        await queue.put("late", f"late{number}", 100)
    taken = [item for item in queue.take(1000) if item.startswith("late")]
    assert 4 <= len(taken) <= 6


async def test_emptying_a_lane_forgives_no_flood():
    queue = await filled({"other": [10] * 100, "flood": [500]})
    queue.take(500)
    assert "flood0" not in queue.take(1)
    await queue.put("flood", "flood1", 500)
    taken = queue.take(200)
    assert "flood1" not in taken


async def test_at_least_one_item_is_taken_whatever_its_size():
    queue = await filled({"a": [5000]})
    assert queue.take(10) == ["a0"]


async def test_a_full_lane_makes_its_own_writer_wait_and_nobody_else():
    queue = await filled({"a": [60]}, lane_size_max=100)
    waiting = asyncio.create_task(queue.put("a", "a1", 60))
    await asyncio.sleep(0)
    assert not waiting.done()
    await queue.put("b", "b0", 60)
    assert sorted(queue.take(1000)) == ["a0", "b0"]
    async with asyncio.timeout(1):
        await waiting
    assert queue.take(1000) == ["a1"]
    assert len(queue) == 0
    assert queue.size == 0


async def test_a_writer_that_gives_up_leaves_nothing_behind():
    queue = await filled({"a": [60]}, lane_size_max=100)
    waiting = asyncio.create_task(queue.put("a", "a1", 60))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert queue.take(1000) == ["a0"]
    assert queue.take(1000) == []


async def test_idle_lanes_are_forgotten():
    queue = await filled({str(number): [1] for number in range(100)})
    queue.take(1000)
    assert len(queue._lanes) <= 1
