// Drives a served Startline with the official OpenAI SDK for Node, one topic a run; prints what it saw as JSON.
//
//   node topics.mjs TOPIC MARK...   with OPENAI_BASE_URL and OPENAI_API_KEY in the environment
//
// Each request carries one of the marks, so that the test finds it in the simulator's journal. The test judges.
import OpenAI, { APIError } from "openai";

const client = new OpenAI({ maxRetries: 0, timeout: 30_000 });
const [, , topic, ...marks] = process.argv;

const metadata = (mark, sim = "") => ({ simulator: `mark=${mark}${sim && `,${sim}`}` });
const chat = (text, mark, sim, more = {}) => ({
  model: "gpt-5.4-mini",
  messages: [{ role: "user", content: text }],
  metadata: metadata(mark, sim),
  ...more,
});
const response = (text, mark, sim, more = {}) => ({
  model: "gpt-5.4-mini",
  input: text,
  metadata: metadata(mark, sim),
  ...more,
});
const facts = (headers) => Object.fromEntries([...headers].filter(([name]) => name.startsWith("x-startline-")));
const schema = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};
const names = ["weather", "forecast"];
const tools = names.map((name) => ({ type: "function", function: { name, parameters: schema } }));

// What a promise is rejected with, in words that JSON has.
async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return {
      name: error.constructor.name,
      isAPIError: error instanceof APIError,
      status: error.status ?? null,
      code: error.code ?? null,
      retryAfter: error.headers?.get?.("retry-after") ?? null,
    };
  }
  return { name: "none" };
}

const topics = {
  async plain() {
    const { data, response: answer } = await client.chat.completions
      .create(chat("naïve → 東京 🙂", marks[0], "echo=true"))
      .withResponse();
    return { text: data.choices[0].message.content, tier: data.service_tier, id: data.id, facts: facts(answer.headers) };
  },

  async raced() {
    const { data, response: answer } = await client.chat.completions
      .create(chat("raced", marks[0], "echo=true,flex.start=30", { start_within: "1s" }))
      .withResponse();
    return { text: data.choices[0].message.content, tier: data.service_tier, facts: facts(answer.headers) };
  },

  async default_headers() {
    const hurried = new OpenAI({ maxRetries: 0, defaultHeaders: { "x-start-within": "3s" } });
    const { data, response: answer } = await hurried.chat.completions.create(chat("hi", marks[0])).withResponse();
    return { tier: data.service_tier, facts: facts(answer.headers) };
  },

  async stream() {
    const stream = await client.chat.completions.create(
      chat("as it comes 🙂", marks[0], "echo=true,fragment_bytes=5", {
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
    let text = "";
    let usage = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    return { text, usage };
  },

  async stream_helper() {
    const stream = client.chat.completions.stream(chat("put together", marks[0], "echo=true", { start_within: "3s" }));
    let deltas = 0;
    stream.on("content", () => (deltas += 1));
    const final = await stream.finalChatCompletion();
    return { text: final.choices[0].message.content, tier: final.service_tier, deltas };
  },

  async tools() {
    const asked = (mark, more) => chat("weather?", mark, "tool_calls=2", { tools, tool_choice: "required", ...more });
    const whole = await client.chat.completions.create(asked(marks[0]));
    const calls = [];
    let fragments = 0;
    for await (const chunk of await client.chat.completions.create(asked(marks[1], { stream: true }))) {
      for (const delta of chunk.choices[0]?.delta?.tool_calls ?? []) {
        const call = (calls[delta.index] ??= { id: "", name: "", arguments: "" });
        call.id ||= delta.id ?? "";
        call.name += delta.function?.name ?? "";
        call.arguments += delta.function?.arguments ?? "";
        fragments += 1;
      }
    }
    const made = whole.choices[0].message.tool_calls.map((call) => ({ id: call.id, ...call.function }));
    return { made, calls, fragments };
  },

  async run_tools() {
    const called = [];
    const runner = client.chat.completions.runTools(
      chat("weather?", marks[0], "tool_calls=2", {
        tools: names.map((name) => ({
          type: "function",
          function: {
            name,
            parameters: schema,
            parse: JSON.parse,
            function: (given) => (called.push([name, given]), "sunny"),
          },
        })),
      }),
    );
    return { text: await runner.finalContent(), called };
  },

  async structured() {
    const format = { type: "json_schema", json_schema: { name: "plan", strict: true, schema } };
    const answer = await client.chat.completions.parse(chat("plan", marks[0], "", { response_format: format }));
    const flat = { type: "json_schema", name: "plan", strict: true, schema };
    const other = await client.responses.parse(response("plan", marks[1], "", { text: { format: flat } }));
    return { chat: JSON.parse(answer.choices[0].message.content), responses: JSON.parse(other.output_text) };
  },

  async choices() {
    const answer = await client.chat.completions.create(
      chat("twice", marks[0], "", { n: 2, logprobs: true, top_logprobs: 2, start_within: "3s" }),
    );
    return answer.choices.map((choice) => ({
      text: choice.message.content,
      tokens: choice.logprobs.content.map((one) => one.token),
    }));
  },

  async embeddings() {
    const answer = await client.embeddings.create({
      model: "text-embedding-3-small",
      input: ["one", "two"],
      metadata: metadata(marks[0]),
    });
    return answer.data.map((row) => row.embedding.length);
  },

  async responses() {
    const { data, response: answer } = await client.responses
      .create(response("hello", marks[0], "echo=true"), { headers: { "x-start-within": "3s" } })
      .withResponse();
    return { text: data.output_text, tier: data.service_tier, facts: facts(answer.headers) };
  },

  async responses_stream() {
    const asked = response("hello there", marks[0], "echo=true,flex.refuse", { stream: true, start_within: "3s" });
    const kinds = [];
    const numbers = [];
    for await (const event of await client.responses.create(asked)) {
      kinds.push(event.type);
      numbers.push(event.sequence_number);
    }
    const helper = client.responses.stream(response("hello again", marks[1], "echo=true"));
    const final = await helper.finalResponse();
    return { kinds, numbers, text: final.output_text };
  },

  async models() {
    const listed = [];
    for await (const model of client.models.list()) listed.push(model.id);
    return { listed, one: (await client.models.retrieve("gpt-5.4-mini")).id };
  },

  async cancel() {
    const abort = new AbortController();
    const asked = chat("go on", marks[0], "tokens=2000,tokens_per_s=10", { stream: true });
    const stream = await client.chat.completions.create(asked, { signal: abort.signal });
    let chunks = 0;
    for await (const _ of stream) {
      chunks += 1;
      if (chunks === 4) abort.abort();
    }
    const early = new AbortController();
    setTimeout(() => early.abort(), 1500);
    const race = chat("wait", marks[1], "start=60", { start_within: "1s" });
    const before = await failure(client.chat.completions.create(race, { signal: early.signal }));
    const loop = await client.responses.create(
      response("go on", marks[2], "tokens=2000,tokens_per_s=10", { stream: true }),
    );
    for await (const event of loop) if (event.type === "response.output_text.delta") break;
    return { chunks, before };
  },

  async errors() {
    const stranger = new OpenAI({ maxRetries: 0, apiKey: "sk-anything" });
    const drained = async () => {
      const asked = chat("go on", marks[1], "tokens=20,tokens_per_s=200,cut=4", { stream: true });
      for await (const _ of await client.chat.completions.create(asked));
    };
    return {
      key: await failure(stranger.models.list()),
      model: await failure(client.chat.completions.create(chat("hi", "none", "", { model: "gpt-nothing" }))),
      quota: await failure(client.chat.completions.create(chat("hi", marks[0], "refuse=rate_limit_exceeded"))),
      cut: await failure(drained()),
    };
  },
};

console.log(JSON.stringify(await topics[topic]()));
