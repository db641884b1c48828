"""The real interception server of verifiers, reached through an endpoint that is not its own.

Reads a line a wish (`open NAME`, `turns NAME`, `close NAME`) and answers each with a line of JSON.
A rollout here is a session on the server and no more: the test is its harness.
"""

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack

# The folder of this script is not searched (-I), so this is the package.
import verifiers.v1 as vf
from verifiers.v1.clients import EvalClientConfig, ModelContext
from verifiers.v1.configs.agent import AgentConfig
from verifiers.v1.interception import InterceptionServer, InterceptionServerConfig
from verifiers.v1.session import RolloutSession
from verifiers.v1.trace import AgentInfo, TraceTask

TUNNEL = {"type": "custom", "url": os.environ["GATE_URL"], "port": int(os.environ["PORT"])}
CONFIG = InterceptionServerConfig.model_validate({"tunnel": TUNNEL})
CLIENT = EvalClientConfig(base_url=os.environ["PROVIDER_URL"], api_key_var="PROVIDER_KEY")
# What tool servers shared by many rollouts hold.
SERVICE = (os.environ["SERVICE_SECRET"],)


def report(**fields):
    print(json.dumps(fields), flush=True)


def session(name):
    task = TraceTask(type="Compat", data=vf.TaskData(prompt=name))
    trace = vf.Trace(task=task, agent=AgentInfo(config=AgentConfig()))
    return RolloutSession(ctx=ModelContext(model="scripted", client=CLIENT), trace=trace)


async def serve():
    loop = asyncio.get_running_loop()
    held = {}
    async with InterceptionServer(CONFIG, True, SERVICE) as server:
        report(ready=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            wish, name = line.split()
            if wish == "open":
                stack, rollout = AsyncExitStack(), session(name)
                url, model, state = await stack.enter_async_context(server.acquire(rollout))
                held[name] = stack, rollout
                report(url=url, model=model, state=state, route=rollout.trace.id)
            elif wish == "turns":
                report(turns=held[name][1].trace.num_turns)
            elif wish == "close":
                await held[name][0].aclose()
                report(closed=name)


asyncio.run(serve())
