"""The anthropic SDK as its users write it: base URL and key come from the environment.

Reads a word a line and answers each with a line of JSON; what the SDK raises is reported by the
name of its class. No retries: the test wants the first answer.
"""

import json
import sys

# The folder of this script is not searched (-I), so this is the SDK.
import anthropic


def report(**fields):
    print(json.dumps(fields), flush=True)


client = anthropic.Anthropic(max_retries=0, timeout=3)
CALL = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}


def message():
    report(text=client.messages.create(**CALL, max_tokens=5).content[0].text)


def stream():
    with client.messages.stream(**CALL, max_tokens=5) as events:
        report(text="".join(events.text_stream))


def endless():
    with client.messages.stream(**CALL, max_tokens=1_000_000_000) as events:
        for number, _ in enumerate(events.text_stream):
            if number == 5:
                report(running=True)
    report(ended="as if complete")


ACTIONS = {"message": message, "stream": stream, "endless": endless}

for word in sys.stdin:
    try:
        ACTIONS[word.strip()]()
    except anthropic.AnthropicError as error:
        status = getattr(error, "status_code", None)
        report(error=type(error).__name__, status=status, message=str(error))
