"""Faults below HTTP: places where no connection comes about. Each can prove that it is such a place."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Protocol

from tests.faults.certificates import Authority

__all__ = ["Place", "places"]

CLIENT_HELLO = 0x16


class Place(Protocol):
    """Where a client is sent. `tried` says how often somebody came, as far as it can be known (None: it can't)."""

    url: str

    def begin(self) -> None:
        """Forget who came before."""

    def tried(self) -> int | None: ...

    def proof(self) -> str:
        """What the fault is, looked at just now; empty if it isn't there."""

    def close(self) -> None: ...


class _Plain:
    def begin(self) -> None:
        pass

    def tried(self) -> int | None:
        return None

    def close(self) -> None:
        pass


class Refused(_Plain):
    """A port that is taken and does not listen."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/v1"

    def proof(self) -> str:
        with socket.socket() as probe:
            code = probe.connect_ex(("127.0.0.1", self._port))
        return "refused" if code == errno.ECONNREFUSED else ""

    def close(self) -> None:
        self._socket.close()


class NoName(_Plain):
    """A name that nobody has (RFC 2606)."""

    url = "https://callsheet-faults.invalid/v1"

    def proof(self) -> str:
        try:
            socket.getaddrinfo("callsheet-faults.invalid", 443)
        except socket.gaierror as error:
            return f"gaierror {error.errno}"
        return ""


class BlackHole(_Plain):
    """A listener whose queue is full: what else comes in is dropped by the system without a word."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(0)
        self._address = self._socket.getsockname()
        self._waiting = [socket.socket() for _ in range(4)]
        for other in self._waiting:
            other.setblocking(False)
            with suppress(BlockingIOError):
                other.connect(self._address)
        self.url = f"http://127.0.0.1:{self._address[1]}/v1"

    def proof(self) -> str:
        try:
            socket.create_connection(self._address, 0.05).close()
        except TimeoutError:
            return "no answer to SYN"
        return ""

    def close(self) -> None:
        for one in [*self._waiting, self._socket]:
            one.close()


class BadCertificate:
    """A TLS server whose certificate clients must refuse."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._came, self._broken_off, self._requests = 0, 0, 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._came += 1
            with connection:
                connection.settimeout(5)
                try:
                    with self._context.wrap_socket(connection, server_side=True) as secured:
                        # TLS 1.3: the server has finished before the client looks at the certificate.
                        asked = secured.recv(1)
                except OSError:
                    asked = b""
                self._requests += bool(asked)
                self._broken_off += not asked

    def begin(self) -> None:
        self._settle()
        self._came = self._broken_off = self._requests = 0

    def tried(self) -> int | None:
        return self._came

    def proof(self) -> str:
        """The clients broke off, each of them, and asked for nothing."""
        self._settle()
        return f"{self._broken_off} broken off" if self._broken_off == self._came > 0 and not self._requests else ""

    def _settle(self) -> None:
        """The client may be ahead of the thread that serves it."""
        end = time.monotonic() + 2
        while self._came != self._broken_off + self._requests and time.monotonic() < end:
            time.sleep(0.002)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class SilentTLS:
    """Somebody listens, and never answers the client's first words."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.setblocking(False)
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._hellos: list[bool] = []

    def begin(self) -> None:
        self.tried()
        self._hellos.clear()

    def tried(self) -> int | None:
        """Take in who came: all have sent their first words by the time that they gave up."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return len(self._hellos)
            with connection:
                connection.settimeout(1)
                with suppress(OSError):
                    self._hellos.append(connection.recv(1)[:1] == bytes([CLIENT_HELLO]))

    def proof(self) -> str:
        self.tried()
        return f"{len(self._hellos)} ClientHello" if self._hellos and all(self._hellos) else ""

    def close(self) -> None:
        self._listener.close()


def places(authority: Authority) -> dict[int, Place]:
    """The places of faults 1 to 6."""
    return {
        1: Refused(),
        2: NoName(),
        3: BlackHole(),
        4: BadCertificate(authority.server(host="somewhere-else.example")),
        5: BadCertificate(authority.server(expired=True)),
        6: SilentTLS(),
    }
