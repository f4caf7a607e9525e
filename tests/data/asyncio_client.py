"""A client on qemu.qmp: SOCKET FILE. Prints a line for each of the things that a program does with a monitor."""

import asyncio
import os
import sys

from qemu.qmp import EventListener, QMPClient
from qemu.qmp.qmp_client import ExecuteError


async def main(socket: str, file: str) -> None:
    qmp = QMPClient("test")
    stops = EventListener(names=("STOP",))
    qmp.register_listener(stops)
    with qmp.listener() as everything:
        await qmp.connect(socket)
        print("status", (await qmp.execute("query-status"))["status"])
        await qmp.execute("stop")
        print("listener", (await stops.get())["event"])
        await qmp.execute("cont")
        print("events", *[(await everything.get())["event"] for _ in range(2)])
        replies = await asyncio.gather(*[qmp.execute("query-name") for _ in range(20)])
        print("at once", len(replies))
        try:
            await qmp.execute("no-such-command")
        except ExecuteError as error:
            print("error", error.error_class)
        with open(file) as passed:
            qmp.send_fd_scm(passed.fileno())
            await qmp.execute("getfd", {"fdname": "passed"})
        await qmp.execute("closefd", {"fdname": "passed"})
        print("descriptor passed")
        await qmp.disconnect()


asyncio.run(main(*sys.argv[1:]))
