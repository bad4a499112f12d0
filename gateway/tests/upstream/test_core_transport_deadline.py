"""Core's tests of the same name, over this transport."""

from core.tests.test_transport_deadline import *  # noqa: F403
