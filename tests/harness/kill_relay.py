"""A TCP relay to a port of this machine, as a program: ``python kill_relay.py HOST PORT`` prints its own port.

A simulated instrument listens on loopback alone; this takes it to the outside of its network namespace. Stopped by
SIGSTOP it is a network that swallows everything.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
    target.close()


async def _serve(host: str, port: int) -> None:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_port, to_port = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, to_port), _copy(from_port, writer))

    server = await asyncio.start_server(relay, host, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
