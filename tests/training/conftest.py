import pytest

from training_world import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Twelve videos at six sites, four seconds each."""
    return make_world(tmp_path_factory.mktemp("world"))
