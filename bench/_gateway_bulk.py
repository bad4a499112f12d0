"""Large bodies through the gateway, for bench/gateway.py, in a process of its own.

    python bench/_gateway_bulk.py PORT UPLOADS MEGABYTES

Makes so many uploads at once, then a download of 500 MB, while /health/live is asked every 10 ms. Prints one JSON line:
seconds of each phase, the 99th percentile of the liveness answers in seconds, what went wrong.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from typing import Any

BLOCK = bytes(256 * 1024)


def upload(port: int, size: int) -> None:
    boundary = "b" * 32
    before = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\nbench\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="name"\r\n\r\nLuna\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n'
        "Content-Type: video/mp4\r\n\r\n"
    ).encode()
    after = f"\r\n--{boundary}--\r\n".encode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.putrequest("POST", "/v1/videos/characters")
    connection.putheader("content-type", f"multipart/form-data; boundary={boundary}")
    connection.putheader("authorization", "Bearer sk-bench-5f1c2d7e9a0b4c3d8e6f7a1b2c3d4e5f")
    connection.putheader("content-length", str(len(before) + size + len(after)))
    connection.endheaders(before)
    left = size
    while left:
        connection.send(BLOCK[: min(left, len(BLOCK))])
        left -= min(left, len(BLOCK))
    connection.send(after)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"upload: {answer.status} {said[:300]!r}")


def download(port: int) -> None:
    headers = {"content-type": "application/json", "authorization": "Bearer sk-bench-5f1c2d7e9a0b4c3d8e6f7a1b2c3d4e5f"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/v1/videos", json.dumps({"model": "bench", "prompt": "A fox"}), headers)
    video = json.loads(connection.getresponse().read())
    connection.request("GET", f"/v1/videos/{video['id']}/content", headers=headers)
    answer = connection.getresponse()
    got, room = 0, memoryview(bytearray(len(BLOCK)))
    while count := answer.readinto(room):
        got += count
    if (answer.status, got) != (200, 500_000_000):
        raise RuntimeError(f"download: {answer.status}, {got} bytes")


def lives(port: int, over: threading.Event, took: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not over.wait(0.01):
        begun = time.perf_counter()
        connection.request("GET", "/health/live")
        connection.getresponse().read()
        took.append(time.perf_counter() - begun)


def main(port: int, uploads: int, megabytes: int) -> dict[str, Any]:
    over = threading.Event()
    took: list[float] = []
    wrong: list[str] = []

    def tried(work: Any, *words: int) -> None:
        try:
            work(port, *words)
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")

    watching = threading.Thread(target=lives, args=(port, over, took))
    watching.start()
    begun = time.perf_counter()
    all_at_once = [threading.Thread(target=tried, args=(upload, megabytes * 1_000_000)) for _ in range(uploads)]
    for one in all_at_once:
        one.start()
    for one in all_at_once:
        one.join()
    between = time.perf_counter()
    tried(download)
    over.set()
    watching.join()
    ended = time.perf_counter()
    p99 = sorted(took)[int(len(took) * 0.99)]
    return {"up": between - begun, "down": ended - between, "live_p99": p99, "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(main(*(int(word) for word in sys.argv[1:4]))))
