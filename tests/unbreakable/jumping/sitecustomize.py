"""Makes the clock jump: each reading is up to three years off, forwards or backwards. Monotonic clocks stay right."""

import datetime
import random
import time

_real = time.time
_random = random.Random(0)


def _jump_s() -> float:
    return _random.uniform(-1e8, 1e8)


class _Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(_real() + _jump_s(), tz)


time.time = lambda: _real() + _jump_s()
datetime.datetime = _Jumping  # type: ignore[misc]
