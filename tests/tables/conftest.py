"""Fixtures for tests of tables: a file with given content, and files of shared data."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes text or bytes to a new file and returns its path."""

    def write_file(content: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def shared_file(shared: Path) -> Callable[[str], Path]:
    """The path of a file of shared data; skips the test if it is missing."""

    def find(name: str) -> Path:
        path = shared / name
        if not path.exists():
            pytest.skip(f"shared data {name} is not here")
        return path

    return find
