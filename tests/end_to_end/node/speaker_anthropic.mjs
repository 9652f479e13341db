// `@anthropic-ai/sdk`: Messages.
import Anthropic, { APIError } from "@anthropic-ai/sdk";

import { block, PNG, SCHEMA, TOOLS } from "./said.mjs";

const names = { end_turn: "end", tool_use: "tools" };

class Messages {
  name = "anthropic messages (Node)";

  constructor(client, told) {
    this.client = client;
    this.told = told;
  }

  user(text, image) {
    const source = { type: "base64", media_type: "image/png", data: PNG };
    const parts = [
      { type: "image", source },
      { type: "text", text },
    ];
    return [{ role: "user", content: image ? parts : text }];
  }

  results(calls, output) {
    return [{ role: "user", content: calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: output })) }];
  }

  async say(model, past, { stream, schema, tools, think } = {}) {
    const asked = { model, messages: past, max_tokens: 4000 };
    if (schema) asked.output_config = { format: { type: "json_schema", schema: SCHEMA } };
    if (tools) asked.tools = Object.entries(TOOLS).map(([name, input_schema]) => ({ name, input_schema }));
    if (think) asked.thinking = { type: "adaptive", display: "summarized" };
    const answer = stream
      ? await this.client.messages.stream(asked).finalMessage()
      : await this.client.messages.create(asked);
    const of = (type) => answer.content.filter((part) => part.type === type);
    return {
      text: of("text")
        .map((part) => part.text)
        .join(""),
      reasoning: of("thinking")
        .map((part) => part.thinking)
        .join(""),
      calls: of("tool_use").map((part) => ({ id: part.id, name: part.name, arguments: part.input })),
      stop: names[answer.stop_reason] ?? answer.stop_reason,
      used: [answer.usage.input_tokens, answer.usage.output_tokens],
      turn: [{ role: "assistant", content: answer.content.map(({ parsed_output: _, ...part }) => part) }],
    };
  }

  // The SDK's own loop. It first asks the server to hold the conversation, and sends it whole where that is refused.
  async loop(model, text) {
    const called = [];
    const tools = Object.entries(TOOLS).map(([name, input_schema]) => ({
      type: "custom",
      name,
      input_schema,
      parse: (given) => given,
      run: (given) => (called.push([name, given]), "sunny"),
    }));
    const asked = { model, messages: this.user(text), max_tokens: 4000, tools, stream: true };
    const answer = await this.client.beta.messages.toolRunner(asked).runUntilDone();
    return { text: answer.content.map((part) => part.text ?? "").join(""), called };
  }

  async leave(model, past) {
    const stream = await this.client.messages.create({ model, messages: past, max_tokens: 4000, stream: true });
    for await (const event of stream) if (event.type === "content_block_delta") return;
  }

  async failure(model, past, { stream } = {}) {
    try {
      await this.say(model, past, { stream });
    } catch (error) {
      if (!(error instanceof APIError)) throw error;
      const said = error.error.error;
      return { status: error.status ?? null, message: said.message, block: block(said, this.told()) };
    }
    throw new Error("it did not fail");
  }
}

export default function speakers(url, key, told) {
  return [new Messages(new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 30_000 }), told)];
}
