// Asks a gateway through OpenAI's and Anthropic's own Node libraries. The words of each prompt tell the fake provider
// behind it what to answer. GATEWAY is its address, KEY its key, MODELS the models to ask, separated by commas.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const { GATEWAY, KEY, MODELS } = process.env;
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const OBJECT = { city: "Paris", degrees: 21 };
const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, degrees: { type: "integer" } },
  required: ["city", "degrees"],
  additionalProperties: false,
};
const NAMES = ["weather", "time"];
const OPENAI_TOOLS = NAMES.map((name) => ({
  type: "function",
  function: { name, description: "d", parameters: SCHEMA },
}));
const ANTHROPIC_TOOLS = NAMES.map((name) => ({ name, description: "d", input_schema: SCHEMA }));
const WORDS = Array.from({ length: 20 }, (_, i) => `w${i} `).join("");

const RESPONSES_TOOLS = OPENAI_TOOLS.map((tool) => ({ type: "function", ...tool.function }));

const library = (options = {}) => new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: KEY, maxRetries: 0, ...options });
const openai = (options = {}) => library(options).chat.completions;
const anthropic = (options = {}) =>
  new Anthropic({ baseURL: GATEWAY, apiKey: KEY, maxRetries: 0, ...options }).messages;
const user = (content) => [{ role: "user", content }];
const ask = (model, text, more = {}) => ({ model, max_tokens: 2000, messages: user(text), ...more });

async function all(stream) {
  const items = [];
  for await (const item of await stream) items.push(item);
  return items;
}

const checks = {
  async openaiChat(model) {
    const answer = await openai().create({ model, messages: user("n=3 in=12 out=4 cached=2") });
    assert.equal(answer.choices[0].message.content, "w0 w1 w2 ");
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.model, model);
    assert.equal(answer.usage.prompt_tokens, 12);
    assert.equal(answer.usage.prompt_tokens_details.cached_tokens, 2);
  },

  async openaiStream(model) {
    const chunks = await all(openai().create({ model, messages: user("n=20"), stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), WORDS);
    assert.ok(chunks.every((chunk) => chunk.usage == null));
    const options = { stream: true, stream_options: { include_usage: true } };
    const final = await openai().stream({ model, messages: user("n=20"), ...options }).finalChatCompletion();
    assert.equal(final.choices[0].message.content, WORDS);
    assert.equal(final.usage.completion_tokens, 5);
  },

  async openaiTools(model) {
    for (const count of [1, 2]) {
      const request = { model, messages: user(`tool=${count}`), tools: OPENAI_TOOLS };
      const whole = await openai().create(request);
      const streamed = await openai().stream({ ...request, stream: true }).finalChatCompletion();
      for (const answer of [whole, streamed]) {
        const calls = answer.choices[0].message.tool_calls;
        assert.deepEqual(calls.map((call) => call.function.name), NAMES.slice(0, count));
        for (const call of calls) assert.deepEqual(JSON.parse(call.function.arguments), OBJECT);
        assert.equal(answer.choices[0].finish_reason, "tool_calls");
      }
    }
  },

  async openaiParse(model) {
    const format = zodResponseFormat(z.object({ city: z.string(), degrees: z.number() }), "weather");
    const answer = await openai().parse({ model, messages: user("hi"), response_format: format });
    assert.deepEqual(answer.choices[0].message.parsed, OBJECT);
  },

  async openaiVision(model) {
    const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } };
    const answer = await openai().create({ model, messages: user([{ type: "text", text: "n=2" }, image]) });
    assert.equal(answer.choices[0].message.content, "w0 w1 ");
  },

  async openaiThinking(model) {
    const request = { model, messages: user("think=1"), reasoning_effort: "low" };
    assert.equal((await openai().create(request)).choices[0].message.reasoning_content, "let me think");
  },

  async openaiErrors(model) {
    for (const [status, kind] of [
      [400, OpenAI.BadRequestError],
      [401, OpenAI.AuthenticationError],
      [403, OpenAI.PermissionDeniedError],
      [404, OpenAI.NotFoundError],
      [422, OpenAI.UnprocessableEntityError],
      [429, OpenAI.RateLimitError],
      [500, OpenAI.InternalServerError],
    ]) {
      for (const stream of [false, true]) {
        await assert.rejects(openai().create({ model, messages: user(`status=${status}`), stream }), kind);
      }
    }
    await assert.rejects(all(openai().create({ model, messages: user("n=20 error=6"), stream: true })), OpenAI.APIError);
  },

  async openaiRetries(model) {
    const answer = await openai({ maxRetries: 2 }).create({ model, messages: user(`flaky=${randomUUID()}`) });
    assert.ok(answer.choices[0].message.content);
  },

  async openaiResponses(model) {
    const { responses } = library();
    const answer = await responses.create({ model, input: "n=3 in=12 out=4 cached=2" });
    assert.equal(answer.output_text, "w0 w1 w2 ");
    assert.equal(answer.model, model);
    assert.deepEqual([answer.usage.input_tokens, answer.usage.input_tokens_details.cached_tokens], [12, 2]);
    const final = await responses.stream({ model, input: "n=20" }).finalResponse();
    assert.equal(final.output_text, WORDS);
    const second = await responses.create({ model, input: "n=2", previous_response_id: answer.id });
    assert.equal(second.previous_response_id, answer.id);
    const unknown = responses.create({ model, input: "n=2", previous_response_id: "resp_nobody" });
    await assert.rejects(unknown, OpenAI.BadRequestError);
  },

  async openaiResponsesTools(model) {
    const { responses } = library();
    for (const count of [1, 2]) {
      const request = { model, input: `tool=${count}`, tools: RESPONSES_TOOLS };
      for (const answer of [await responses.create(request), await responses.stream(request).finalResponse()]) {
        const calls = answer.output.filter((item) => item.type === "function_call");
        assert.deepEqual(calls.map((call) => call.name), NAMES.slice(0, count));
        for (const call of calls) assert.deepEqual(JSON.parse(call.arguments), OBJECT);
      }
    }
  },

  async openaiResponsesParse(model) {
    const format = zodTextFormat(z.object({ city: z.string(), degrees: z.number() }), "weather");
    const answer = await library().responses.parse({ model, input: "hi", text: { format } });
    assert.deepEqual(answer.output_parsed, OBJECT);
  },

  async openaiResponsesErrors(model) {
    const { responses } = library();
    for (const stream of [false, true]) {
      await assert.rejects(responses.create({ model, input: "status=429", stream }), OpenAI.RateLimitError);
    }
    await assert.rejects(all(responses.create({ model, input: "n=20 error=6", stream: true })), OpenAI.APIError);
  },

  async openaiCompletions(model) {
    const { completions } = library();
    const answer = await completions.create({ model, prompt: "n=3 in=12 out=4" });
    assert.equal(answer.choices[0].text, "w0 w1 w2 ");
    const chunks = await all(completions.create({ model, prompt: "n=20", stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), WORDS);
  },

  async anthropicChat(model) {
    const answer = await anthropic().create(ask(model, "n=3 in=12 out=4 cached=2"));
    assert.equal(answer.content[0].text, "w0 w1 w2 ");
    assert.equal(answer.stop_reason, "end_turn");
    assert.deepEqual([answer.usage.input_tokens, answer.usage.cache_read_input_tokens], [10, 2]);
  },

  async anthropicStream(model) {
    const final = await anthropic().stream(ask(model, "n=20")).finalMessage();
    assert.equal(final.content[0].text, WORDS);
    assert.equal(final.usage.output_tokens, 5);
  },

  async anthropicTools(model) {
    for (const count of [1, 2]) {
      const request = ask(model, `tool=${count}`, { tools: ANTHROPIC_TOOLS });
      for (const answer of [await anthropic().create(request), await anthropic().stream(request).finalMessage()]) {
        const calls = answer.content.filter((block) => block.type === "tool_use");
        assert.deepEqual(calls.map((call) => call.name), NAMES.slice(0, count));
        for (const call of calls) assert.deepEqual(call.input, OBJECT);
        assert.equal(answer.stop_reason, "tool_use");
      }
    }
  },

  async anthropicStructured(model) {
    const format = { output_config: { format: { type: "json_schema", schema: SCHEMA } } };
    const answer = await anthropic().create(ask(model, "hi", format));
    assert.deepEqual(JSON.parse(answer.content[0].text), OBJECT);
  },

  async anthropicVision(model) {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } };
    const answer = await anthropic().create(ask(model, [{ type: "text", text: "n=2" }, image]));
    assert.equal(answer.content[0].text, "w0 w1 ");
  },

  async anthropicThinking(model) {
    const request = ask(model, "think=1", { thinking: { type: "enabled", budget_tokens: 1024 } });
    for (const answer of [await anthropic().create(request), await anthropic().stream(request).finalMessage()]) {
      assert.deepEqual(answer.content.map((block) => block.type), ["thinking", "text"]);
      assert.equal(answer.content[0].thinking, "let me think");
    }
  },

  async anthropicCount(model) {
    const counted = await anthropic().countTokens({ model, messages: user("in=17 hello") });
    assert.ok(model.includes("anthropic") ? counted.input_tokens === 17 : counted.input_tokens > 2);
  },

  async anthropicErrors(model) {
    for (const [status, kind] of [
      [400, Anthropic.BadRequestError],
      [401, Anthropic.AuthenticationError],
      [403, Anthropic.PermissionDeniedError],
      [404, Anthropic.NotFoundError],
      [422, Anthropic.UnprocessableEntityError],
      [429, Anthropic.RateLimitError],
      [500, Anthropic.InternalServerError],
    ]) {
      for (const stream of [false, true]) {
        await assert.rejects(anthropic().create(ask(model, `status=${status}`, { stream })), kind);
      }
    }
    await assert.rejects(all(anthropic().create(ask(model, "n=20 error=6", { stream: true }))), Anthropic.APIError);
  },

  async anthropicRetries(model) {
    const answer = await anthropic({ maxRetries: 2 }).create(ask(model, `flaky=${randomUUID()}`));
    assert.ok(answer.content[0].text);
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  for (const model of MODELS.split(",")) {
    try {
      await check(model);
      console.log(`ok ${name} ${model}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${name} ${model}`, error);
    }
  }
}
process.exit(failed === 0 ? 0 : 1);
