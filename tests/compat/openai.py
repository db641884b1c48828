"""The openai SDK as its users write it: base URL and key come from the environment.

Reads a word a line and answers each with a line of JSON; what the SDK raises is reported by the
name of its class. No retries but where they are the point: the test wants the first answer.
"""

import json
import os
import sys

# The folder of this script is not searched (-I), so this is the SDK.
import openai


def report(**fields):
    print(json.dumps(fields), flush=True)


# Over TLS the SDK may speak HTTP/2, if its user says so.
http = openai.DefaultHttpxClient(http2=True) if "HTTP2" in os.environ else None
client = openai.OpenAI(max_retries=0, timeout=3, http_client=http)
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


def tools():
    function = {"name": "add", "parameters": {"type": "object", "properties": {}}}
    offered = [{"type": "function", "function": function}]
    asked = client.chat.completions.create(**CALL, tools=offered).choices[0].message
    answer = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "2"}
    messages = [*CALL["messages"], asked.model_dump(exclude_none=True), answer]
    said = client.chat.completions.create(model=CALL["model"], messages=messages)
    called = asked.tool_calls[0].function
    report(tool=called.name, given=called.arguments, text=said.choices[0].message.content)


def flaky():
    patient = client.with_options(max_retries=2)
    report(text=patient.chat.completions.create(**CALL | {"model": "flaky"}).choices[0].message.content)


def silent():
    client.with_options(timeout=1).chat.completions.create(**CALL | {"model": "silent"})


def version():
    raw = client.chat.completions.with_raw_response.create(**CALL)
    report(version=raw.http_response.http_version)


def models():
    report(models=[model.id for model in client.models.list()])


ACTIONS = {
    action.__name__: action for action in (chat, stream, endless, tools, flaky, silent, version, models)
}

for word in sys.stdin:
    try:
        ACTIONS[word.strip()]()
    except openai.OpenAIError as error:
        status = getattr(error, "status_code", None)
        report(error=type(error).__name__, status=status, message=str(error))
