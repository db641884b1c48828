"""The anthropic SDK as its users write it: base URL and key come from the environment.

Reads a word a line and answers each with a line of JSON; what the SDK raises is reported by the
name of its class. No retries but where they are the point: the test wants the first answer.
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


def tools():
    offered = [{"name": "add", "input_schema": {"type": "object"}}]
    asked = client.messages.create(**CALL, max_tokens=5, tools=offered)
    called = asked.content[0]
    answer = [{"type": "tool_result", "tool_use_id": called.id, "content": "2"}]
    turn = {"role": "assistant", "content": [called.model_dump(exclude_none=True)]}
    messages = [*CALL["messages"], turn, {"role": "user", "content": answer}]
    said = client.messages.create(model=CALL["model"], messages=messages, max_tokens=5)
    report(tool=called.name, given=json.dumps(called.input), text=said.content[0].text)


def flaky():
    patient = client.with_options(max_retries=2)
    said = patient.messages.create(**CALL | {"model": "flaky"}, max_tokens=5)
    report(text=said.content[0].text)


def silent():
    hasty = client.with_options(timeout=1)
    hasty.messages.create(**CALL | {"model": "silent"}, max_tokens=5)


ACTIONS = {action.__name__: action for action in (message, stream, endless, tools, flaky, silent)}

for word in sys.stdin:
    try:
        ACTIONS[word.strip()]()
    except anthropic.AnthropicError as error:
        status = getattr(error, "status_code", None)
        report(error=type(error).__name__, status=status, message=str(error))
