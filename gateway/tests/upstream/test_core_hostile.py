"""Core's tests of the same name, over this transport."""

from core.tests.test_hostile import *  # noqa: F403
