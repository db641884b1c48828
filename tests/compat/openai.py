"""The openai SDK as its users write it: base URL and key come from the environment.

Reads a word a line and answers each with a line of JSON; what the SDK raises is reported by the
name of its class. No retries: the test wants the first answer.
"""

import json
import sys

# The folder of this script is not searched (-I), so this is the SDK.
import openai


def report(**fields):
    print(json.dumps(fields), flush=True)


client = openai.OpenAI(max_retries=0, timeout=3)
CALL = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}


def chat():
    report(text=client.chat.completions.create(**CALL).choices[0].message.content)


def stream():
    chunks = client.chat.completions.create(**CALL, stream=True, max_tokens=5)
    report(text="".join(chunk.choices[0].delta.content or "" for chunk in chunks))


def endless():
    chunks = client.chat.completions.create(**CALL, stream=True)
    for number, _ in enumerate(chunks):
        if number == 5:
            report(running=True)
    report(ended="as if complete")


ACTIONS = {"chat": chat, "stream": stream, "endless": endless}

for word in sys.stdin:
    try:
        ACTIONS[word.strip()]()
    except openai.OpenAIError as error:
        status = getattr(error, "status_code", None)
        report(error=type(error).__name__, status=status, message=str(error))
