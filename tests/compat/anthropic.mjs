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
};

for await (const word of createInterface({ input: process.stdin })) {
  try {
    await ACTIONS[word]();
  } catch (error) {
    if (!(error instanceof Anthropic.AnthropicError)) throw error;
    report({ error: error.constructor.name, status: error.status ?? null });
  }
}
