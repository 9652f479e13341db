// `@google/genai`: Interactions, with nothing kept: every turn is sent whole.
import { block, PNG, SCHEMA, TOOLS } from "./said.mjs";

const STEPS = ["model_output", "thought", "function_call"];
const names = { completed: "end", requires_action: "tools" };

export class Interactions {
  name = "gemini interactions (Node)";

  constructor(client, told) {
    this.client = client;
    this.told = told;
  }

  user(text, image) {
    const content = [{ type: "text", text }];
    if (image) content.push({ type: "image", data: PNG, mime_type: "image/png" });
    return [{ type: "user_input", content }];
  }

  results(calls, output) {
    return calls.map(({ id, name }) => ({ type: "function_result", call_id: id, name, result: output }));
  }

  create(asked, options) {
    return this.client.interactions.create({ store: false, ...asked }, { maxRetries: 0, ...options });
  }

  async say(model, past, { stream, schema, tools, think } = {}) {
    const asked = { model, input: past, generation_config: { max_output_tokens: 4000 } };
    if (schema) asked.response_format = { type: "text", mime_type: "application/json", schema: SCHEMA };
    if (tools)
      asked.tools = Object.entries(TOOLS).map(([name, parameters]) => ({ type: "function", name, parameters }));
    if (think) Object.assign(asked.generation_config, { thinking_summaries: "auto", thinking_level: "low" });
    const answer = stream ? await joined(await this.create({ ...asked, stream: true })) : await this.create(asked);
    const steps = answer.steps.filter((step) => STEPS.includes(step.type));
    const words = (type, field) =>
      steps
        .filter((step) => step.type === type)
        .flatMap((step) => step[field] ?? [])
        .map((part) => part.text ?? "")
        .join("");
    return {
      text: words("model_output", "content"),
      reasoning: words("thought", "summary"),
      calls: steps.filter((step) => step.type === "function_call"),
      stop: names[answer.status] ?? answer.status,
      used: [answer.usage.total_input_tokens, answer.usage.total_output_tokens],
      turn: steps,
    };
  }

  async leave(model, past) {
    const stream = await this.create({ model, input: past, stream: true });
    for await (const event of stream) if (event.event_type === "step.delta" && event.delta.type === "text") return;
  }

  async failure(model, past, { stream } = {}) {
    try {
      await this.say(model, past, { stream });
    } catch (error) {
      if (error instanceof Broken) return { status: null, message: error.told.message, block: error.told.startline };
      if (error.status === undefined) throw error;
      const said = error.error?.error ?? error.error;
      return { status: error.status, message: said.message, block: block(said, this.told()) };
    }
    throw new Error("it did not fail");
  }
}

class Broken extends Error {
  constructor(told) {
    super(told.message);
    this.told = told;
  }
}

// Status, usage and steps of a stream, put together as an application would.
async function joined(events) {
  const steps = [];
  const fragments = new Map();
  let ended = {};
  for await (const event of events) {
    if (event.event_type === "error") throw new Broken(event.error);
    if (event.event_type === "interaction.completed") ended = event.interaction;
    if (event.event_type === "step.start") steps[event.index] = event.step;
    if (event.event_type !== "step.delta") continue;
    const { delta, index } = event;
    const step = steps[index];
    if (delta.type === "text") (step.content ??= []).push({ type: "text", text: delta.text });
    if (delta.type === "thought_summary") (step.summary ??= []).push(delta.content);
    if (delta.type === "thought_signature") step.signature = delta.signature;
    if (delta.type === "arguments_delta") fragments.set(index, (fragments.get(index) ?? "") + delta.arguments);
  }
  for (const [index, text] of fragments) steps[index].arguments = JSON.parse(text);
  return { ...ended, steps: steps.filter(Boolean) };
}
