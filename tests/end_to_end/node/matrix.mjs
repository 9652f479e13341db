// Drives a served Startline with one SDK for Node, all cells of its rows; prints one line of JSON for each cell.
//
//   node matrix.mjs SDK   with STARTLINE_TEST_URL, STARTLINE_TEST_KEY and STARTLINE_TEST_ROWS (a model by provider)
//
// What an SDK makes of an answer is judged here, what provider and records say of it by the test that reads the lines:
// `fault` (null: none), and of each request its mark, its ids and its status.
import assert from "node:assert/strict";

const [, , sdk] = process.argv;
const { STARTLINE_TEST_URL: url, STARTLINE_TEST_KEY: key, STARTLINE_TEST_ROWS: given } = process.env;
const rows = JSON.parse(given);
const CELL_MS = 15_000;
const SAID = "say it again: naïve café → 東京 🙂🏽, and then once more";

let requests = [];
let headers = {};
let marks = 0;
const { fetch } = globalThis;
globalThis.fetch = async (...asked) => {
  const answer = await fetch(...asked);
  headers = Object.fromEntries(answer.headers);
  requests.push({ mark: `${sdk}${marks}`, status: answer.status, id: headers["x-startline-request-id"] });
  return answer;
};

// A model whose provider does this.
function model(provider, sim = "") {
  marks += 1;
  const row = rows[provider];
  const more = row.sim && !sim.includes("refuse") ? `,${row.sim}` : "";
  return `${provider}/${row.model}@sim:mark=${sdk}${marks}${more}${sim && `,${sim}`}`;
}

async function turns(speaker, provider, number, think = false) {
  let past = speaker.user("what is the weather?");
  for (const stream of [false, true]) {
    const asked = model(provider, `tool_calls=${number}${think ? ",reasoning_tokens=6" : ""}`);
    const said = await speaker.say(asked, past, { tools: true, stream, think });
    assert.deepEqual([said.stop, said.calls.length], ["tools", number]);
    for (const call of said.calls) {
      assert.ok(["weather", "local_time"].includes(call.name), call.name);
      assert.equal(Object.keys(call.arguments).length, 1);
    }
    assert.equal(new Set(said.calls.map((call) => call.id)).size, number);
    past = [...past, ...said.turn, ...speaker.results(said.calls, "sunny"), ...speaker.user("and then?")];
  }
  const said = await speaker.say(model(provider, "echo=true"), past, { tools: true, think });
  assert.deepEqual([said.text, said.stop], ["and then?", "end"]);
}

async function tools(speaker, provider, number) {
  await turns(speaker, provider, number);
  if (speaker.loop === undefined) return;
  const { text, called } = await speaker.loop(model(provider, `tool_calls=${number}`), "what is the weather?");
  assert.ok(text.length > 0);
  assert.equal(called.length, number);
  assert.ok(called.every(([, asked]) => Object.keys(asked).length === 1));
}

const features = {
  async plain(speaker, provider) {
    const said = await speaker.say(model(provider, "echo=true"), speaker.user(SAID));
    assert.deepEqual([said.text, said.stop], [SAID, "end"]);
    assert.ok(said.used[0] > 0 && said.used[1] > 0);
    assert.equal(headers["x-startline-provider"], provider);
  },

  async stream(speaker, provider) {
    const said = await speaker.say(model(provider, "echo=true,fragment_bytes=7"), speaker.user(SAID), { stream: true });
    assert.deepEqual([said.text, said.stop], [SAID, "end"]);
    assert.ok(said.used[1] > 0);
  },

  async tools(speaker, provider) {
    await tools(speaker, provider, 1);
  },

  async "parallel tools"(speaker, provider) {
    await tools(speaker, provider, 2);
  },

  async image(speaker, provider) {
    await speaker.say(model(provider), speaker.user("what is this?"));
    const said = await speaker.say(model(provider, "echo=true"), speaker.user("what is this?", true));
    assert.equal(said.text, "what is this?");
  },

  async "structured output"(speaker, provider) {
    for (const stream of [false, true]) {
      const said = await speaker.say(model(provider), speaker.user("plan"), { schema: true, stream });
      const { city, days } = JSON.parse(said.text);
      assert.ok(typeof city === "string" && Array.isArray(days));
    }
  },

  async reasoning(speaker, provider) {
    const said = await speaker.say(model(provider, "reasoning_tokens=9"), speaker.user("think"), {
      think: true,
      stream: true,
    });
    if (shows(speaker.name, provider)) assert.ok(said.reasoning, "no reasoning is shown");
    const past = [...speaker.user("think"), ...said.turn, ...speaker.user("go on")];
    const again = await speaker.say(model(provider, "echo=true,reasoning_tokens=9"), past, { think: true });
    assert.equal(again.text, "go on");
    await turns(speaker, provider, 1, true);
  },

  async errors(speaker, provider) {
    const user = speaker.user("hello");
    const failures = [];
    for (const refusal of ["invalid_request", "rate_limit_exceeded", "server_error", "not_found", "invalid_api_key"]) {
      const words = refusal === "invalid_api_key" ? "" : ",message=words%20of%20theirs"; // some tell it in words alone
      failures.push(await speaker.failure(model(provider, `refuse=${refusal}${words}`), user));
    }
    failures.push(await speaker.failure(model(provider, "error=2,output_tokens=8,tokens_per_s=40"), user, { stream: true }));
    return failures;
  },

  async cancellation(speaker, provider) {
    await speaker.leave(model(provider, "tokens_per_s=20,output_tokens=2000"), speaker.user("go on"));
  },
};

// Chat cannot ask for reasoning to be shown, and the SDK of Vercel reads none in that dialect.
function shows(name, provider) {
  if (name === "openai chat (Node)") return ["m-claude", "m-compatible"].includes(provider);
  return name !== "openai chat (ai)";
}

async function cell(speaker, provider, feature) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no end within ${CELL_MS} ms`)), CELL_MS).unref();
  });
  requests = [];
  headers = {};
  try {
    const failures = await Promise.race([features[feature](speaker, provider), late]);
    return { fault: null, failures: failures ?? [] };
  } catch (error) {
    return { fault: `${error.stack ?? error}\n${headers["x-startline-error"] ?? ""}`, failures: [] };
  }
}

const { default: speakers } = await import(`./speaker_${sdk}.mjs`);
for (const speaker of speakers(url, key, () => headers))
  for (const provider of Object.keys(rows))
    for (const feature of Object.keys(features)) {
      const outcome = await cell(speaker, provider, feature);
      console.log(JSON.stringify({ speaker: speaker.name, provider, feature, ...outcome, requests }));
    }
process.exit(0);
