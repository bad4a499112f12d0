"""Core's tests of the same name, over this transport."""

from core.tests.test_transport_sse import *  # noqa: F403
