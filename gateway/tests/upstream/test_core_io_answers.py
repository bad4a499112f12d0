"""Core's tests of the same name, over this transport."""

from core.tests.test_io_answers import *  # noqa: F403
