"""`vf-eval`, whole, with the gate between its harness and its interception server.

What an owner adds is `Gated`: the server is told that the gate is its public endpoint, and each
rollout is opened on the gate before its harness starts. Reads one line of JSON with the variables
that are the test's to choose, and answers with one.
"""

import asyncio
import contextlib
import glob
import json
import os
import sys
import tempfile

# Only this folder is added (-I): the scripts beside this one are named like packages.
sys.path.append(os.path.join(os.path.dirname(__file__), "eval"))

os.environ.update(json.loads(sys.stdin.readline()))
home = tempfile.TemporaryDirectory()
os.environ["HOME"] = home.name
os.chdir(home.name)

from verifiers.v1 import interception  # noqa: E402  (reads HOME)
from verifiers.v1.cli.eval.main import main  # noqa: E402

TUNNEL = "--env.interception.tunnel"
ARGUMENTS = f"""
    compat_eval -m scripted -n 2 -r 2 --no-push
    --env.agent.harness.id compat_eval --env.agent.runtime.type subprocess
    --env.interception.type server {TUNNEL}.type custom
    {TUNNEL}.url {os.environ["GATE_URL"]} {TUNNEL}.port {os.environ["PORT"]}
    --client.base-url {os.environ["PROVIDER_URL"]} --client.api-key-var PROVIDER_KEY
"""


async def gatectl(words, stdin=""):
    argv = [os.environ["GATECTL_BIN"], *words.split(), "--socket", os.environ["GATE_SOCKET"]]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe)
    printed, _ = await child.communicate(stdin.encode())
    if child.returncode:
        raise RuntimeError(f"gatectl {words}: exit {child.returncode}")
    return json.loads(printed)


class Gated(interception.InterceptionServer):
    def __init__(self, config, _requires_tunnel, state_service_secrets):
        # A subprocess counts as local; this one is in another network.
        super().__init__(config, True, state_service_secrets)

    @contextlib.asynccontextmanager
    async def acquire(self, session):
        async with super().acquire(session) as (url, model, state):
            secrets = {"model": {"upstream_key": model}, "state": {"upstream_key": state}}
            name = f"{session.trace.id} --output json"
            source = f"--client trainer --source {os.environ['SOURCE']}"
            opening = f"rollout open {name} {source} --tokens model,state --secrets-stdin"
            tokens = (await gatectl(opening, json.dumps(secrets)))["tokens"]
            handed = {"state": tokens["state"], "server": model}
            closing = f"rollout close {name}"
            if os.environ["HANDED"] == "closed":
                await gatectl(closing)
            yield url, handed.get(os.environ["HANDED"], tokens["model"]), state
            if os.environ["HANDED"] != "closed":
                await gatectl(closing)


interception.InterceptionServer = Gated
sys.argv = ["vf-eval", *ARGUMENTS.split()]
with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
    main()
episodes = []
for path in glob.glob("outputs/*/traces.jsonl"):
    with open(path) as lines:
        episodes.extend(json.loads(line) for line in lines)
solved = sum(episode["ok"] for episode in episodes)
print(json.dumps({"episodes": len(episodes), "solved": solved}), flush=True)
