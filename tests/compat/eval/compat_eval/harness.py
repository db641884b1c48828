"""Runs the openai SDK in the sandbox's network, with the endpoint and the secret it is given."""

import os
import sys

import verifiers.v1 as vf
from verifiers.v1.configs.harness import HarnessConfig
from verifiers.v1.harness import Harness

PROGRAM = """
import sys, openai
client = openai.OpenAI(max_retries=0, timeout=10)
call = {"model": "any", "messages": [{"role": "user", "content": sys.argv[1]}], "max_tokens": 3}
for chunk in client.chat.completions.create(**call, stream=True):
    print(chunk.choices[0].delta.content or "", end="")
"""


class CompatHarness(Harness[HarnessConfig]):
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self, ctx, trace, runtime, endpoint, secret, mcp_urls, data, tool_interception_url=None
    ) -> vf.ProgramResult:
        inside = ["nsenter", f"--net={os.environ['SANDBOX']}", "--"]
        argv = [*inside, sys.executable, "-I", "-c", PROGRAM, data.prompt]
        return await runtime.run(argv, {"OPENAI_BASE_URL": endpoint, "OPENAI_API_KEY": secret})
