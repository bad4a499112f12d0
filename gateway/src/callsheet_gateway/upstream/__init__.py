"""The gateway's way to providers: an HTTP/1.1 client for many calls at once.

It keeps core's protocol (`Transport`, `Incoming`) and core's errors. What it does not do itself it leaves to core's
AsyncTransport: proxies, and addresses beyond plain ones. It runs on asyncio's loop or uvloop's, not on trio's.

    transport.py    one call: errors and deadlines as core has them, what is handed to core's transport
    request.py      addresses, the head of a request
    pool.py         connections that wait for their next request
    connect.py      new connections: names, addresses, TLS
    connection.py   one connection: bytes in both directions, waiting, deadlines
    response.py     the bytes of answers, read as HTTP
"""

from callsheet_gateway.upstream.transport import UpstreamTransport

__all__ = ["UpstreamTransport"]
