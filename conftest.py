"""For all tests: no example has to be quick. Speed is measured by bench/, never by a test on a busy machine."""

import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# Where Python is told to keep no bytecode, every worker and every process that a test starts compiles all it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# And each `callsheet check` that a test runs has mypy read the standard library anew, if it is not told where that was kept.
os.environ.setdefault("MYPY_CACHE_DIR", str(Path(__file__).parent / ".pytest_cache" / "mypy-of-tests"))

settings.register_profile("callsheet", deadline=None)
settings.load_profile("callsheet")


def pytest_collection_finish() -> None:
    """Leak tests collect garbage often: ten thousand collected tests need not be looked through each time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """And neither need be what the files before have imported, cached and reported."""
    yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()
