"""Asks a gateway through Cohere's own Python library. The words of each prompt tell the fake provider behind it what to
answer. GATEWAY is its address, KEY its key, MODELS the models to chat with, separated by commas, COHERE the one that ranks
and embeds."""

import json
import os
import sys
import traceback

import cohere

URL, KEY, COHERE = (os.environ[name] for name in ("GATEWAY", "KEY", "COHERE"))
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": SCHEMA}} for name in ("weather", "time")
]


def client():
    return cohere.ClientV2(api_key=KEY, base_url=URL)


def user(text):
    return [{"role": "user", "content": text}]


def raised(kind, ask):
    try:
        ask()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def cohere_chat(model):
    answer = client().chat(model=model, messages=user("n=3 in=12 out=4"))
    assert answer.message.content[0].text == "w0 w1 w2 ", answer
    assert answer.finish_reason == "COMPLETE" and answer.id, answer
    assert (answer.usage.tokens.input_tokens, answer.usage.tokens.output_tokens) == (12, 4), answer.usage


def cohere_stream(model):
    events = list(client().chat_stream(model=model, messages=user("n=3 in=12 out=4")))
    assert (events[0].type, events[-1].type) == ("message-start", "message-end"), events
    text = "".join(event.delta.message.content.text for event in events if event.type == "content-delta")
    assert text == "w0 w1 w2 ", events
    assert events[-1].delta.finish_reason == "COMPLETE", events[-1]
    assert events[-1].delta.usage.tokens.output_tokens == 4, events[-1]


def cohere_tools(model):
    for count in (1, 2):
        answer = client().chat(model=model, messages=user(f"tool={count}"), tools=TOOLS)
        calls = answer.message.tool_calls
        assert [call.function.name for call in calls] == ["weather", "time"][:count], answer
        assert all(json.loads(call.function.arguments) == {"city": "Paris", "degrees": 21} for call in calls), answer
        assert answer.finish_reason == "TOOL_CALL", answer
        streamed = {}
        for event in client().chat_stream(model=model, messages=user(f"tool={count}"), tools=TOOLS):
            if event.type == "tool-call-start":
                streamed[event.index] = [event.delta.message.tool_calls.function.name, ""]
            if event.type == "tool-call-delta":
                streamed[event.index][1] += event.delta.message.tool_calls.function.arguments
        told = [(name, json.loads(arguments)) for name, arguments in streamed.values()]
        assert told == [(call.function.name, json.loads(call.function.arguments)) for call in calls], told
    turns = user("tool=2") + [answer.message]
    turns += [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
    assert client().chat(model=model, messages=turns, tools=TOOLS).message.content[0].text


def cohere_errors(model):
    for status, kind in [
        (400, cohere.BadRequestError),
        (404, cohere.NotFoundError),
        (422, cohere.UnprocessableEntityError),
    ]:
        error = raised(kind, lambda: client().chat(model=model, messages=user(f"status={status}")))
        assert "made to fail" in error.body["message"], error
    wrong = cohere.ClientV2(api_key="sk-wrong", base_url=URL)
    raised(cohere.UnauthorizedError, lambda: wrong.chat(model=model, messages=user("hi")))


def cohere_embed(_model):
    answer = client().embed(model=COHERE, texts=["a", "b"], input_type="search_document", embedding_types=["float"])
    assert answer.embeddings.float_ == [[0, 0.5, -1.0], [1, 0.5, -1.0]], answer


def cohere_rerank(_model):
    answer = client().rerank(model=COHERE, query="q", documents=["a", "b", "c"], top_n=2)
    assert [result.index for result in answer.results] == [2, 1], answer
    assert answer.meta.billed_units.search_units == 1, answer


def main():
    failed = 0
    for check in [check for name, check in globals().items() if name.startswith("cohere_")]:
        for model in os.environ["MODELS"].split(","):
            try:
                check(model)
                print(f"ok {check.__name__} {model}")
            except Exception:
                failed += 1
                print(f"FAILED {check.__name__} {model}")
                traceback.print_exc(file=sys.stdout)
    sys.exit(bool(failed))


main()
