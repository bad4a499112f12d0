"""For all tests: no example has to be quick. Speed is measured by bench/, never by a test on a busy machine."""

from hypothesis import settings

settings.register_profile("callsheet", deadline=None)
settings.load_profile("callsheet")
