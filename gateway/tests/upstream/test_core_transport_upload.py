"""Core's tests of the same name, over this transport."""

from core.tests.test_transport_upload import *  # noqa: F403
