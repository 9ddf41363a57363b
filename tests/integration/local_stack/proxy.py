"""A proxy before the store that is slow, refuses, cuts or lies, as told; each request on its own connection."""

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from local_stack.processes import LOOPBACK

Edit = Callable[[bytes], bytes]


@dataclass
class Faults:
    """What to do to the requests to come; counts go down as they happen."""

    refuse: int = 0
    cut_answers: int = 0
    cut_uploads: int = 0
    latency_seconds: float = 0
    edit_head: Edit | None = None
    edit_body: Edit | None = None
    seen: list[str] = field(default_factory=list)


class Proxy:
    """Runs in a thread of its own between `with` and its end."""

    def __init__(self, upstream_port: int) -> None:
        self.faults = Faults()
        self._upstream_port = upstream_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        opening = asyncio.start_server(self._serve, LOOPBACK, 0)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result()
        self.url = f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.faults.seen.append(head.split(b" HTTP", 1)[0].decode())
        if re.search(rb"(?im)^expect:", head):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = read_length(head)
        if length and self.faults.cut_uploads > 0:
            self.faults.cut_uploads -= 1
            await reader.readexactly(length // 2)
            writer.transport.abort()
            return
        body = await reader.readexactly(length)
        await asyncio.sleep(self.faults.latency_seconds)
        if self.faults.refuse > 0:
            self.faults.refuse -= 1
            writer.write(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        await self._relay(head, body, writer)

    async def _relay(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(LOOPBACK, self._upstream_port)
        try:
            up_writer.write(re.sub(rb"(?im)^(connection|expect):.*\r\n", b"", head) + body)
            answer = await up_reader.readuntil(b"\r\n\r\n")
            data = b"" if head.startswith(b"HEAD") else await up_reader.readexactly(read_length(answer))
        finally:
            up_writer.close()
        answer = answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        answer = self.faults.edit_head(answer) if self.faults.edit_head else answer
        data = self.faults.edit_body(data) if self.faults.edit_body else data
        if head.startswith(b"GET") and self.faults.cut_answers > 0:
            self.faults.cut_answers -= 1
            writer.write(answer + data[: len(data) // 2])
            await writer.drain()
            writer.transport.abort()
            return
        writer.write(answer + data)
        await writer.drain()


def read_length(head: bytes) -> int:
    found = re.search(rb"(?im)^content-length: *(\d+)", head)
    return int(found[1]) if found else 0
