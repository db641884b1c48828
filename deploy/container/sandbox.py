"""What a sandbox can do here: call the model by way of gate, and fail to reach it past gate."""

import json
import os
import socket
import urllib.error
import urllib.request

BASE = os.environ["OPENAI_BASE_URL"]
KEY = os.environ.get("OPENAI_API_KEY", "none")
# The interception server's own port, the same at gate's address, and at the host's.
PAST = [("10.89.2.3", 9000), ("10.89.1.2", 9000), ("10.89.1.1", 9000)]


def by_gate():
    body = {"model": "any", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    call = urllib.request.Request(
        f"{BASE}/chat/completions", json.dumps(body).encode(), headers
    )
    try:
        with urllib.request.urlopen(call, timeout=2) as answer:
            return json.load(answer)["choices"][0]["message"]["content"]
    except urllib.error.HTTPError as refused:
        return f"refused with {refused.code}"
    except OSError as cause:
        return f"no answer: {cause}"


def past_gate(to):
    try:
        socket.create_connection(to, timeout=2).close()
        return "REACHED"
    except OSError as cause:
        return f"not reached: {cause}"


print("by gate:", by_gate())
for to in PAST:
    print("past gate:", "%s:%d" % to, past_gate(to))
