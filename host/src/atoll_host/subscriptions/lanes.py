"""One subscription at work: what is next is taken out of the log, and what was taken is sent.

Run by `leading`, one lane for each subscription. Lanes share nothing but turns at the database, so
a receiver that is slow or hangs holds up its own lane only.

    log --> following: choose, cut --> deliveries, with the position --> delivering: sent, judged
"""

import asyncio

from atoll_host import signals
from atoll_host.subscriptions import delivering, following, surroundings


async def run(around: surroundings.Surroundings, subscription_id: str) -> None:
    """Work until the subscription is paused or gone.

    Args:
        around: What it works with.
        subscription_id: The subscription.
    """
    made, ended = signals.Poke(), signals.Poke()
    follower = following.Follower(around, subscription_id, poke=ended, made=made)
    deliverer = delivering.Deliverer(around, subscription_id, poke=made, ended=ended)
    loops = [
        asyncio.create_task(follower.run(), name="following for a subscription"),
        asyncio.create_task(deliverer.run(), name="delivering for a subscription"),
    ]
    try:
        done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
