"""Fixtures of the tests of sockets: nothing is left open."""

from tests.open_files import nothing_left_open as nothing_left_open
