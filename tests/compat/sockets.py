"""WebSockets as users of `websockets` write them: a server that says everything back, and a caller.

`serve PORT` goes on until it is ended. `call URL` reads a word a line, sends it with the gate token
in the handshake, and reports what came back, or with which code the connection was closed.
"""

import asyncio
import json
import os
import sys

# The folder of this script is not searched (-I), so this is the package.
import websockets


def report(**fields):
    print(json.dumps(fields), flush=True)


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def serve(port):
    async with websockets.serve(echo, "127.0.0.1", int(port), max_size=None):
        report(ready=True)
        await asyncio.Future()


async def call(url):
    headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    loop = asyncio.get_running_loop()
    try:
        async with websockets.connect(url, additional_headers=headers, max_size=None) as socket:
            report(open=True)
            while word := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
                if word == "wait":
                    await socket.recv()
                await socket.send(word * 100_000)
                back = await socket.recv()
                report(back=back == word * 100_000)
    except websockets.ConnectionClosed as closed:
        report(closed=closed.rcvd.code if closed.rcvd else None)
    except websockets.InvalidStatus as refused:
        report(refused=refused.response.status_code)


action, where = sys.argv[1:]
asyncio.run({"serve": serve, "call": call}[action](where))
