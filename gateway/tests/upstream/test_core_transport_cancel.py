"""Core's tests of the same name, over this transport."""

from core.tests.test_transport_cancel import *  # noqa: F403

del test_at_every_await  # noqa: F821  it expects httpx's many places to wait at; test_cancel.py has one for our few
