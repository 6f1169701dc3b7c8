"""A proxy that lets each answer wait: ``latency.py PORT SECONDS``; prints its own port.

Ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys


async def copy(reader, writer, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    while data := await reader.read(1 << 16):
        # Later, and the loop goes on: what follows at once is not kept waiting again.
        loop.call_later(seconds, writer.write, data)
    loop.call_later(seconds, writer.close)


async def main(port: int, seconds: float) -> None:
    async def connected(reader, writer) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, back, 0), copy(there, writer, seconds))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
