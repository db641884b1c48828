// The openai SDK for Node as its users write it: base URL and key come from the environment.
//
// Reads a word a line and answers each with a line of JSON; what the SDK raises is reported by the
// name of its class. No retries but where they are the point: the test wants the first answer.

import { createInterface } from "node:readline";

import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0, timeout: 3000 });
const CALL = { model: "scripted", messages: [{ role: "user", content: "hi" }] };
const report = (fields) => console.log(JSON.stringify(fields));

async function chat(options, model = "scripted") {
  const said = await client.chat.completions.create({ ...CALL, model }, options);
  report({ text: said.choices[0].message.content });
}

const ACTIONS = {
  whole: () => chat(),
  flaky: () => chat({ maxRetries: 2 }, "flaky"),
  async stream() {
    const chunks = await client.chat.completions.create({ ...CALL, stream: true, max_tokens: 5 });
    let text = "";
    for await (const chunk of chunks) text += chunk.choices[0].delta.content ?? "";
    report({ text });
  },
  async tools() {
    const offered = { type: "function", function: { name: "add", parameters: { type: "object" } } };
    const asked = await client.chat.completions.create({ ...CALL, tools: [offered] });
    const turn = asked.choices[0].message;
    const [called] = turn.tool_calls;
    const answer = { role: "tool", tool_call_id: called.id, content: "2" };
    const messages = [...CALL.messages, turn, answer];
    const said = await client.chat.completions.create({ ...CALL, messages });
    const given = JSON.parse(called.function.arguments);
    report({ tool: called.function.name, given, text: said.choices[0].message.content });
  },
  async leave() {
    const chunks = await client.chat.completions.create({ ...CALL, stream: true });
    let count = 0;
    for await (const _ of chunks) if (++count === 5) break;
    report({ left: true });
  },
};

for await (const word of createInterface({ input: process.stdin })) {
  try {
    await ACTIONS[word]();
  } catch (error) {
    if (!(error instanceof OpenAI.OpenAIError)) throw error;
    report({ error: error.constructor.name, status: error.status ?? null });
  }
}
