"""For all tests: no example has to be quick. Speed is measured by bench/, never by a test on a busy machine."""

import gc

from hypothesis import settings

settings.register_profile("callsheet", deadline=None)
settings.load_profile("callsheet")


def pytest_collection_finish() -> None:
    """Leak tests collect garbage often: ten thousand collected tests need not be looked through each time."""
    gc.collect()
    gc.freeze()
