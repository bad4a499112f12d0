"""Core's tests of the same name, over this transport."""

from core.tests.test_io_record import *  # noqa: F403

del test_waiting_for_a_free_connection_is_not_sending  # noqa: F821  here nobody waits for a connection: another is made
