"""Core's tests of the same name, over this transport."""

from core.tests.test_io_secrets import *  # noqa: F403

del test_a_log_at_its_finest_shows_no_secret  # noqa: F821  it is about httpcore's log, and this transport has none
