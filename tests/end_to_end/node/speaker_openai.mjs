// `openai`: Chat Completions, and Responses without anything stored, as agents use it.
import OpenAI, { APIError } from "openai";

import { block, PNG_URL, SCHEMA, TOOLS } from "./said.mjs";

const names = { stop: "end", tool_calls: "tools" };

async function failure(promise, told) {
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof APIError)) throw error;
    return { status: error.status ?? null, message: error.error.message, block: block(error.error, told()) };
  }
  throw new Error("it did not fail");
}

class Chat {
  name = "openai chat (Node)";

  constructor(client, told) {
    this.client = client;
    this.told = told;
  }

  user(text, image) {
    const parts = [
      { type: "text", text },
      { type: "image_url", image_url: { url: PNG_URL } },
    ];
    return [{ role: "user", content: image ? parts : text }];
  }

  results(calls, output) {
    return calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: output }));
  }

  async say(model, past, { stream, schema, tools, think } = {}) {
    const asked = { model, messages: past, max_completion_tokens: 500 };
    if (schema) asked.response_format = { type: "json_schema", json_schema: { name: "plan", schema: SCHEMA } };
    if (tools)
      asked.tools = Object.entries(TOOLS).map(([name, parameters]) => ({
        type: "function",
        function: { name, parameters },
      }));
    if (think) asked.reasoning_effort = "low";
    const answer = stream
      ? await this.client.chat.completions
          .stream({ ...asked, stream_options: { include_usage: true } })
          .finalChatCompletion()
      : await this.client.chat.completions.create(asked);
    const { message, finish_reason: reason } = answer.choices[0];
    const { parsed: _, ...kept } = message;
    return {
      text: message.content ?? "",
      reasoning: message.reasoning_content ?? "",
      calls: (message.tool_calls ?? []).map(({ id, function: made }) => ({
        id,
        name: made.name,
        arguments: JSON.parse(made.arguments),
      })),
      stop: names[reason] ?? reason,
      used: [answer.usage.prompt_tokens, answer.usage.completion_tokens],
      turn: [kept],
    };
  }

  // The SDK's own loop: it calls the tools and goes on by itself.
  async loop(model, text) {
    const called = [];
    const tools = Object.entries(TOOLS).map(([name, parameters]) => ({
      type: "function",
      function: { name, parameters, parse: JSON.parse, function: (given) => (called.push([name, given]), "sunny") },
    }));
    const runner = this.client.chat.completions.runTools({ model, messages: this.user(text), tools, stream: true });
    return { text: await runner.finalContent(), called };
  }

  async leave(model, past) {
    const stream = await this.client.chat.completions.create({ model, messages: past, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) return;
  }

  failure(model, past, { stream } = {}) {
    return failure(this.say(model, past, { stream }), this.told);
  }
}

class Responses {
  name = "openai responses (Node)";

  constructor(client, told) {
    this.client = client;
    this.told = told;
  }

  user(text, image) {
    const parts = [
      { type: "input_text", text },
      { type: "input_image", image_url: PNG_URL, detail: "auto" },
    ];
    return [{ role: "user", content: image ? parts : text }];
  }

  results(calls, output) {
    return calls.map((call) => ({ type: "function_call_output", call_id: call.id, output }));
  }

  async say(model, past, { stream, schema, tools, think } = {}) {
    const asked = { model, input: past, max_output_tokens: 500, store: false };
    if (schema) asked.text = { format: { type: "json_schema", name: "plan", schema: SCHEMA } };
    if (tools)
      asked.tools = Object.entries(TOOLS).map(([name, parameters]) => ({
        type: "function",
        name,
        parameters,
        strict: false,
      }));
    if (think) {
      asked.reasoning = { effort: "low", summary: "auto" };
      asked.include = ["reasoning.encrypted_content"];
    }
    const answer = stream
      ? await this.client.responses.stream(asked).finalResponse()
      : await this.client.responses.create(asked);
    const calls = answer.output.filter((item) => item.type === "function_call");
    const thought = answer.output.filter((item) => item.type === "reasoning");
    const status = answer.incomplete_details?.reason ?? answer.status;
    return {
      text: answer.output_text,
      reasoning: thought.flatMap((item) => [...item.summary, ...(item.content ?? [])].map((part) => part.text)).join(""),
      calls: calls.map((call) => ({ id: call.call_id, name: call.name, arguments: JSON.parse(call.arguments) })),
      stop: status === "completed" ? (calls.length ? "tools" : "end") : status,
      used: [answer.usage.input_tokens, answer.usage.output_tokens],
      turn: answer.output.map(bare),
    };
  }

  async leave(model, past) {
    const stream = await this.client.responses.create({ model, input: past, stream: true });
    for await (const event of stream) if (event.type === "response.output_text.delta") return;
  }

  failure(model, past, { stream } = {}) {
    return failure(this.say(model, past, { stream }), this.told);
  }
}

// An item as it came: without what the SDK's helpers made of it.
function bare({ parsed_arguments: _, ...item }) {
  if (item.type === "message") item.content = item.content.map(({ parsed: _, ...part }) => part);
  return item;
}

export default function speakers(url, key, told) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 30_000 });
  return [new Chat(client, told), new Responses(client, told)];
}
