// The anthropic SDK for Node as its users write it: base URL and key come from the environment.
//
// Reads a word a line and answers each with a line of JSON; what the SDK raises is reported by the
// name of its class. No retries but where they are the point: the test wants the first answer.

import { createInterface } from "node:readline";

import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ maxRetries: 0, timeout: 3000 });
const CALL = { model: "scripted", max_tokens: 5, messages: [{ role: "user", content: "hi" }] };
const report = (fields) => console.log(JSON.stringify(fields));

async function message(options, model = "scripted") {
  const said = await client.messages.create({ ...CALL, model }, options);
  report({ text: said.content[0].text });
}

const ACTIONS = {
  whole: () => message(),
  flaky: () => message({ maxRetries: 2 }, "flaky"),
  async stream() {
    let text = "";
    for await (const event of client.messages.stream(CALL)) {
      if (event.type === "content_block_delta") text += event.delta.text;
    }
    report({ text });
  },
  async tools() {
    const offered = { name: "add", input_schema: { type: "object" } };
    const asked = await client.messages.create({ ...CALL, tools: [offered] });
    const [called] = asked.content;
    const answer = { type: "tool_result", tool_use_id: called.id, content: "2" };
    const turn = { role: "assistant", content: asked.content };
    const messages = [...CALL.messages, turn, { role: "user", content: [answer] }];
    const said = await client.messages.create({ ...CALL, messages });
    report({ tool: called.name, given: called.input, text: said.content[0].text });
  },
  async leave() {
    const events = await client.messages.create({ ...CALL, max_tokens: 1e9, stream: true });
    let count = 0;
    for await (const _ of events) if (++count === 5) break;
    report({ left: true });
  },
};

for await (const word of createInterface({ input: process.stdin })) {
  try {
    await ACTIONS[word]();
  } catch (error) {
    if (!(error instanceof Anthropic.AnthropicError)) throw error;
    report({ error: error.constructor.name, status: error.status ?? null });
  }
}
