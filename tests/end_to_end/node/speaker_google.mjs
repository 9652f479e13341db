// `@google/genai`: generateContent, and Interactions beside it.
import { ApiError, GoogleGenAI } from "@google/genai";

import { block, PNG, SCHEMA, TOOLS } from "./said.mjs";
import { Interactions } from "./speaker_interactions.mjs";

const declarations = [
  {
    functionDeclarations: Object.entries(TOOLS).map(([name, parametersJsonSchema]) => ({ name, parametersJsonSchema })),
  },
];

class Gemini {
  name = "gemini generateContent (Node)";

  constructor(client, told) {
    this.client = client;
    this.told = told;
  }

  user(text, image) {
    const parts = [{ text }];
    if (image) parts.push({ inlineData: { mimeType: "image/png", data: PNG } });
    return [{ role: "user", parts }];
  }

  results(calls, output) {
    const parts = calls.map(({ id, name }) => ({ functionResponse: { ...(id && { id }), name, response: { output } } }));
    return [{ role: "user", parts }];
  }

  async say(model, past, { stream, schema, tools, think } = {}) {
    const config = { maxOutputTokens: 4000 };
    if (schema) Object.assign(config, { responseMimeType: "application/json", responseJsonSchema: SCHEMA });
    if (tools) config.tools = declarations;
    if (think) config.thinkingConfig = { includeThoughts: true };
    const asked = { model, contents: past, config };
    const chunks = [];
    if (stream) for await (const chunk of await this.client.models.generateContentStream(asked)) chunks.push(chunk);
    else chunks.push(await this.client.models.generateContent(asked));
    const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
    const last = chunks.at(-1);
    const calls = parts.filter((part) => part.functionCall);
    const words = (thought) =>
      parts
        .filter((part) => Boolean(part.thought) === thought)
        .map((part) => part.text ?? "")
        .join("");
    const reason = last.candidates?.[0]?.finishReason;
    const usage = last.usageMetadata;
    return {
      text: words(false),
      reasoning: words(true),
      calls: calls.map(({ functionCall: call }) => ({ id: call.id ?? "", name: call.name, arguments: call.args })),
      stop: reason === "STOP" ? (calls.length ? "tools" : "end") : reason,
      used: usage && [usage.promptTokenCount, usage.candidatesTokenCount],
      turn: [{ role: "model", parts }],
    };
  }

  // The SDK's own loop: it calls the tools and goes on by itself.
  async loop(model, text) {
    const called = [];
    const tool = {
      tool: async () => declarations[0],
      callTool: async (calls) =>
        calls.map(({ id, name, args }) => {
          called.push([name, args]);
          return { functionResponse: { ...(id && { id }), name, response: { output: "sunny" } } };
        }),
    };
    const answer = await this.client.models.generateContent({
      model,
      contents: this.user(text),
      config: { tools: [tool] },
    });
    return { text: answer.text ?? "", called };
  }

  async leave(model, past) {
    const abort = new AbortController();
    const asked = { model, contents: past, config: { abortSignal: abort.signal } };
    try {
      for await (const chunk of await this.client.models.generateContentStream(asked)) if (chunk.text) abort.abort();
    } catch (error) {
      if (!abort.signal.aborted) throw error;
    }
  }

  async failure(model, past, { stream } = {}) {
    try {
      await this.say(model, past, { stream });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const said = JSON.parse(error.message.slice(error.message.indexOf("{"))).error;
      return { status: error.status, message: said.message, block: block(said, this.told()) };
    }
    throw new Error("it did not fail");
  }
}

export default function speakers(url, key, told) {
  const client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url } });
  return [new Gemini(client, told), new Interactions(client, told)];
}
