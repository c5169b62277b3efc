"""Work that ends its process, fails, or never ends, to run in another process."""

import os
import time
from typing import Any


def die(_: object) -> None:
    os._exit(9)


def wait(_: object) -> None:
    time.sleep(3600)


def fail_or_wait(ranks: Any) -> None:
    if ranks.rank > 0:
        wait(ranks)
    raise RuntimeError("no such thing")
