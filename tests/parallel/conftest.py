"""One Ray cluster for the session: starting it takes longer than all work on it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = str(Path(__file__).parents[1])


@pytest.fixture(scope="session")
def cluster() -> Iterator[object]:
    """A cluster of two CPUs on this machine, whose workers can import the tests' fakes."""
    pytest.importorskip("ray", reason="Ray is not installed (extra `cluster`)")
    from trapmeter.parallel.engine import connect_to_ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")]))
        with connect_to_ray(None, jobs=2) as cluster:
            yield cluster
