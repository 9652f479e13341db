// `ai`, the SDK of Vercel, with the packages of three providers: it parses strictly, and speaks four dialects.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateText, isStepCount, jsonSchema, Output, streamText, tool } from "ai";

import { block, PNG, SCHEMA, TOOLS } from "./said.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const names = { stop: "end", "tool-calls": "tools" };
const tools = (execute) =>
  Object.fromEntries(
    Object.entries(TOOLS).map(([name, schema]) => [
      name,
      tool({ inputSchema: jsonSchema(schema), ...(execute && { execute: (given) => execute(name, given) }) }),
    ]),
  );

class Vercel {
  // `options` go with every request, `thinking` with those that ask for reasoning.
  constructor(name, model, told, options, thinking) {
    Object.assign(this, { name, model, told, options, thinking });
  }

  user(text, image) {
    const parts = [
      { type: "text", text },
      { type: "file", mediaType: "image/png", data: PNG },
    ];
    return [{ role: "user", content: image ? parts : text }];
  }

  results(calls, output) {
    const content = calls.map((call) => ({
      type: "tool-result",
      toolCallId: call.id,
      toolName: call.name,
      output: { type: "text", value: output },
    }));
    return [{ role: "tool", content }];
  }

  asked(model, messages, { schema, tools: offered, think } = {}) {
    const [family, always] = this.options;
    return {
      model: this.model(model),
      messages,
      maxRetries: 0,
      maxOutputTokens: 4000,
      providerOptions: { [family]: { ...always, ...(think && this.thinking) } },
      ...(schema && { output: Output.object({ schema: jsonSchema(SCHEMA) }) }),
      ...(offered && { tools: tools() }),
    };
  }

  async say(model, past, how = {}) {
    const asked = this.asked(model, past, how);
    const answer = how.stream ? await this.streamed(asked) : await generateText(asked);
    const step = await answer.finalStep;
    return {
      text: step.text,
      reasoning: step.reasoningText ?? "",
      calls: step.toolCalls.map((call) => ({ id: call.toolCallId, name: call.toolName, arguments: call.input })),
      stop: names[step.finishReason] ?? step.finishReason,
      used: [step.usage.inputTokens, step.usage.outputTokens],
      turn: await answer.responseMessages,
    };
  }

  async streamed(asked) {
    const answer = streamText({ ...asked, onError: () => {} });
    for await (const part of answer.stream) if (part.type === "error") throw part.error;
    return answer;
  }

  async loop(model, text) {
    const called = [];
    const asked = this.asked(model, this.user(text));
    const answer = await this.streamed({
      ...asked,
      tools: tools((name, given) => (called.push([name, given]), "sunny")),
      stopWhen: isStepCount(3),
    });
    return { text: await answer.text, called };
  }

  async leave(model, past) {
    const abort = new AbortController();
    const asked = { ...this.asked(model, past), abortSignal: abort.signal, onError: () => {} };
    for await (const part of streamText(asked).stream) {
      if (part.type === "error") throw part.error;
      if (part.type === "text-delta") abort.abort();
    }
    if (!abort.signal.aborted) throw new Error("nothing came");
  }

  // In mid-stream what is left of an error is what the schema of the package keeps: it may be a message alone.
  async failure(model, past, { stream } = {}) {
    try {
      await this.say(model, past, { stream });
    } catch (error) {
      if (!APICallError.isInstance(error)) {
        if (!stream) throw error;
        return { status: null, message: error.message ?? String(error), block: error.startline ?? null };
      }
      const said = JSON.parse(error.responseBody ?? "{}").error;
      return { status: error.statusCode, message: error.message, block: block(said, this.told()) };
    }
    throw new Error("it did not fail");
  }
}

export default function speakers(url, key, told) {
  const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: key });
  const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey: key });
  const google = createGoogle({ baseURL: `${url}/v1beta`, apiKey: key });
  const effort = { forceReasoning: true, reasoningEffort: "low" };
  const gemini = (model) => google(`models/${model}`); // a slash in a name is taken for a whole path
  return [
    new Vercel("openai chat (ai)", openai.chat, told, ["openai", {}], effort),
    new Vercel("openai responses (ai)", openai.responses, told, ["openai", { store: false }], {
      ...effort,
      reasoningSummary: "auto",
    }),
    new Vercel("anthropic messages (ai)", anthropic, told, ["anthropic", {}], {
      thinking: { type: "adaptive", display: "summarized" },
    }),
    new Vercel("gemini generateContent (ai)", gemini, told, ["google", {}], {
      thinkingConfig: { includeThoughts: true },
    }),
  ];
}
