"""The one way from the host to the cluster: carries loopback connections to the API server.

The supervisor of the control plane gives it descriptor 3, a socket that was bound in the host's
network namespace; a socket keeps the namespace it was made in, so connections arrive from the host,
while those opened here start in the control plane's. Run as `python3 -m clusterlib.forwarder`.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from clusterlib.addressing import API_PORT

_CHUNK = 65536
_CONNECT_SECONDS = 5.0


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        far_reader, far_writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", API_PORT), _CONNECT_SECONDS
        )
    except (OSError, asyncio.TimeoutError):
        writer.close()
        return
    await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    far_writer.close()
    writer.close()


async def _serve() -> None:
    listener = socket.socket(fileno=3)
    listener.setblocking(False)
    server = await asyncio.start_server(_carry, sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(_serve())
    except KeyboardInterrupt:
        sys.exit(0)
