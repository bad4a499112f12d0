"""Core's tests of the same name, over this transport."""

from core.tests.test_download import *  # noqa: F403
