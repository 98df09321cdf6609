"""Asks a gateway through OpenAI's, Anthropic's and Google's own Python libraries. The words of each prompt tell the fake provider
behind it what to answer. GATEWAY is its address, KEY its key, MODELS the models to ask, separated by commas."""

import json
import os
import sys
import traceback
import uuid

import anthropic
import openai
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

URL, KEY = os.environ["GATEWAY"], os.environ["KEY"]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
OPENAI_TOOLS = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": SCHEMA}} for name in ("weather", "time")
]
RESPONSES_TOOLS = [{"type": "function", **tool["function"]} for tool in OPENAI_TOOLS]
ANTHROPIC_TOOLS = [{"name": name, "description": "d", "input_schema": SCHEMA} for name in ("weather", "time")]


class Weather(BaseModel):
    city: str
    degrees: int


def openai_client(**options):
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, **{"max_retries": 0, **options})


def anthropic_client(**options):
    return anthropic.Anthropic(base_url=URL, api_key=KEY, **{"max_retries": 0, **options})


# One for all: it closes its connections when it is forgotten, also while it is asked.
GOOGLE = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=URL))


def user(text):
    return [{"role": "user", "content": text}]


def raised(kind, ask):
    try:
        ask()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


# --- openai ---


def openai_chat(model):
    answer = openai_client().chat.completions.create(model=model, messages=user("n=3 in=12 out=4 cached=2"))
    assert answer.choices[0].message.content == "w0 w1 w2 ", answer
    assert answer.choices[0].finish_reason == "stop" and answer.model == model, answer
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (12, 4), answer.usage
    assert answer.usage.prompt_tokens_details.cached_tokens == 2, answer.usage


def openai_stream(model):
    client = openai_client()
    chunks = list(client.chat.completions.create(model=model, messages=user("n=20"), stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "".join(f"w{i} " for i in range(20)), text
    assert all(chunk.usage is None for chunk in chunks), "usage that was not asked for"
    with client.chat.completions.stream(model=model, messages=user("n=4"), stream_options={"include_usage": True}) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "w0 w1 w2 w3 " and final.usage.completion_tokens == 5, final


def openai_tools(model):
    client = openai_client()
    for count in (1, 2):
        answer = client.chat.completions.create(model=model, messages=user(f"tool={count}"), tools=OPENAI_TOOLS)
        calls = answer.choices[0].message.tool_calls
        assert [call.function.name for call in calls] == ["weather", "time"][:count], answer
        assert all(json.loads(call.function.arguments) == {"city": "Paris", "degrees": 21} for call in calls), answer
        assert answer.choices[0].finish_reason == "tool_calls", answer
        with client.chat.completions.stream(model=model, messages=user(f"tool={count}"), tools=OPENAI_TOOLS) as stream:
            final = stream.get_final_completion()
        streamed = final.choices[0].message.tool_calls
        assert [call.function.name for call in streamed] == [call.function.name for call in calls], final
        assert [json.loads(call.function.arguments) for call in streamed] == [{"city": "Paris", "degrees": 21}] * count, final
    turns = user("tool=2") + [answer.choices[0].message.to_dict()]
    turns += [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
    assert client.chat.completions.create(model=model, messages=turns, tools=OPENAI_TOOLS).choices[0].message.content
    forced = client.chat.completions.create(
        model=model, messages=user("hi"), tools=OPENAI_TOOLS, tool_choice={"type": "function", "function": {"name": "time"}}
    )
    assert forced.choices[0].message.tool_calls[0].function.name == "time", forced


def openai_parse(model):
    client = openai_client()
    answer = client.chat.completions.parse(model=model, messages=user("hi"), response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Paris", degrees=21), answer
    with client.chat.completions.stream(model=model, messages=user("hi"), response_format=Weather) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == Weather(city="Paris", degrees=21), final


def openai_vision(model):
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    answer = openai_client().chat.completions.create(model=model, messages=user([{"type": "text", "text": "n=2"}, image]))
    assert answer.choices[0].message.content == "w0 w1 ", answer


def openai_thinking(model):
    client = openai_client()
    answer = client.chat.completions.create(model=model, messages=user("think=1"), reasoning_effort="low")
    assert answer.choices[0].message.reasoning_content == "let me think", answer
    chunks = client.chat.completions.create(model=model, messages=user("think=1"), reasoning_effort="low", stream=True)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "let me think"


def openai_errors(model):
    client = openai_client()
    for status, kind in [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ]:
        for stream in (False, True):
            ask = lambda: client.chat.completions.create(model=model, messages=user(f"status={status}"), stream=stream)
            error = raised(kind, ask)
            assert error.status_code == status and "made to fail" in error.message, error
    bad_key = openai.OpenAI(base_url=f"{URL}/v1", api_key="sk-wrong", max_retries=0)
    raised(openai.AuthenticationError, lambda: bad_key.models.list())
    broken = client.chat.completions.create(model=model, messages=user("n=20 error=6"), stream=True)
    raised(openai.APIError, lambda: list(broken))


def openai_retries(model):
    for stream in (False, True):
        name = uuid.uuid4().hex
        client = openai_client(max_retries=2)
        answer = client.chat.completions.create(model=model, messages=user(f"flaky={name}"), stream=stream)
        assert list(answer) if stream else answer.choices[0].message.content


def openai_models(model):
    assert model in [row.id for row in openai_client().models.list()]
    assert openai_client().models.retrieve(model).id == model


def openai_responses(model):
    client = openai_client()
    answer = client.responses.create(model=model, input="n=3 in=12 out=4 cached=2", instructions="be brief")
    assert answer.output_text == "w0 w1 w2 " and answer.status == "completed" and answer.model == model, answer
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (12, 4), answer.usage
    assert answer.usage.input_tokens_details.cached_tokens == 2, answer.usage
    with client.responses.stream(model=model, input="n=20") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert text == "".join(f"w{i} " for i in range(20)) == final.output_text, text
    assert final.usage.output_tokens == 5, final


def openai_responses_tools(model):
    client = openai_client()
    for count in (1, 2):
        answer = client.responses.create(model=model, input=f"tool={count}", tools=RESPONSES_TOOLS)
        with client.responses.stream(model=model, input=f"tool={count}", tools=RESPONSES_TOOLS) as stream:
            final = stream.get_final_response()
        for told in (answer, final):
            calls = [item for item in told.output if item.type == "function_call"]
            assert [call.name for call in calls] == ["weather", "time"][:count], told
            assert all(json.loads(call.arguments) == {"city": "Paris", "degrees": 21} for call in calls), told
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]
    turns = user("tool=2") + [item.to_dict() for item in answer.output] + results
    assert client.responses.create(model=model, input=turns, tools=RESPONSES_TOOLS).output_text
    forced = {"type": "function", "name": "time"}
    answer = client.responses.create(model=model, input="hi", tools=RESPONSES_TOOLS, tool_choice=forced)
    assert [item.name for item in answer.output] == ["time"], answer


def openai_responses_parse(model):
    answer = openai_client().responses.parse(model=model, input="hi", text_format=Weather)
    assert answer.output_parsed == Weather(city="Paris", degrees=21), answer


def openai_responses_thinking(model):
    answer = openai_client().responses.create(
        model=model, input="think=1", reasoning={"effort": "low", "summary": "auto"}, include=["reasoning.encrypted_content"]
    )
    thought = answer.output[0]
    assert thought.type == "reasoning" and thought.summary[0].text == "let me think", answer
    # Gemini signs the words, not the thought before them.
    assert thought.encrypted_content == (None if "gemini" in model else "c2lnbmVk"), answer
    turns = user("think=1") + [item.to_dict() for item in answer.output] + user("n=2")
    assert openai_client().responses.create(model=model, input=turns, reasoning={"effort": "low"}).output_text == "w0 w1 "


def openai_responses_go_on(model):
    client = openai_client()
    first = client.responses.create(model=model, input="n=1")
    second = client.responses.create(model=model, input="n=2", previous_response_id=first.id)
    assert second.previous_response_id == first.id and second.output_text == "w0 w1 ", second
    unknown = lambda: client.responses.create(model=model, input="n=2", previous_response_id="resp_nobody")
    assert raised(openai.BadRequestError, unknown).code == "previous_response_not_found"
    if "anthropic" in model:
        assert client.responses.retrieve(second.id).output_text == "w0 w1 "
        assert len(client.responses.input_items.list(second.id).data) == 3
        client.responses.delete(second.id)
        raised(openai.NotFoundError, lambda: client.responses.retrieve(second.id))


def openai_responses_errors(model):
    client = openai_client()
    for status, kind in [(400, openai.BadRequestError), (429, openai.RateLimitError), (500, openai.InternalServerError)]:
        for stream in (False, True):
            ask = lambda: client.responses.create(model=model, input=f"status={status}", stream=stream)
            error = raised(kind, ask)
            assert error.status_code == status and "made to fail" in error.message, error
    broken = client.responses.create(model=model, input="n=20 error=6", stream=True)
    raised(openai.APIError, lambda: list(broken))


def openai_completions(model):
    client = openai_client()
    answer = client.completions.create(model=model, prompt="n=3 in=12 out=4")
    assert answer.choices[0].text == "w0 w1 w2 " and answer.choices[0].finish_reason == "stop", answer
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (12, 4), answer.usage
    chunks = client.completions.create(model=model, prompt="n=20", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "".join(f"w{i} " for i in range(20))


# --- anthropic ---


def ask(model, text, **more):
    return {"model": model, "max_tokens": 2000, "messages": user(text), **more}


def anthropic_chat(model):
    answer = anthropic_client().messages.create(**ask(model, "n=3 in=12 out=4 cached=2", system="be brief"))
    assert answer.content[0].text == "w0 w1 w2 " and answer.stop_reason == "end_turn", answer
    usage = answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens) == (10, 4, 2), usage


def anthropic_stream(model):
    with anthropic_client().messages.stream(**ask(model, "n=20")) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == "".join(f"w{i} " for i in range(20)) == final.content[0].text, text
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 5), final


def anthropic_tools(model):
    client = anthropic_client()
    for count in (1, 2):
        answer = client.messages.create(**ask(model, f"tool={count}", tools=ANTHROPIC_TOOLS))
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert [call.name for call in calls] == ["weather", "time"][:count], answer
        assert all(call.input == {"city": "Paris", "degrees": 21} for call in calls), answer
        assert answer.stop_reason == "tool_use", answer
        with client.messages.stream(**ask(model, f"tool={count}", tools=ANTHROPIC_TOOLS)) as stream:
            final = stream.get_final_message()
        streamed = [block for block in final.content if block.type == "tool_use"]
        assert [(call.name, call.input) for call in streamed] == [(call.name, call.input) for call in calls], final
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]
    turns = user("tool=2") + [{"role": "assistant", "content": [block.to_dict() for block in answer.content]}]
    turns += [{"role": "user", "content": results}]
    assert client.messages.create(model=model, max_tokens=99, messages=turns, tools=ANTHROPIC_TOOLS).content[0].text
    forced = client.messages.create(**ask(model, "hi", tools=ANTHROPIC_TOOLS, tool_choice={"type": "tool", "name": "time"}))
    assert [block.name for block in forced.content] == ["time"], forced


def anthropic_parse(model):
    answer = anthropic_client().messages.parse(**ask(model, "hi", output_format=Weather))
    assert answer.parsed_output == Weather(city="Paris", degrees=21), answer


def anthropic_vision(model):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    answer = anthropic_client().messages.create(
        model=model, max_tokens=99, messages=user([{"type": "text", "text": "n=2"}, image])
    )
    assert answer.content[0].text == "w0 w1 ", answer


def anthropic_thinking(model):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    client = anthropic_client()
    answer = client.messages.create(**ask(model, "think=1", thinking=thinking))
    assert [block.type for block in answer.content] == ["thinking", "text"], answer
    assert answer.content[0].thinking == "let me think", answer
    with client.messages.stream(**ask(model, "think=1", thinking=thinking)) as stream:
        final = stream.get_final_message()
    assert final.content[0].thinking == "let me think", final
    if "anthropic" in model:
        assert answer.content[0].signature == final.content[0].signature == "c2lnbmVk", final


def anthropic_count(model):
    counted = anthropic_client().messages.count_tokens(model=model, messages=user("in=17 hello"))
    assert counted.input_tokens == 17 if "anthropic" in model else 3 <= counted.input_tokens <= 40, counted


def anthropic_errors(model):
    client = anthropic_client()
    for status, kind in [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (422, anthropic.UnprocessableEntityError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
    ]:
        for stream in (False, True):
            error = raised(kind, lambda: client.messages.create(**ask(model, f"status={status}", stream=stream)))
            assert error.status_code == status and "made to fail" in error.message, error
    broken = client.messages.create(**ask(model, "n=20 error=6", stream=True))
    raised(anthropic.APIStatusError, lambda: list(broken))


def anthropic_retries(model):
    for stream in (False, True):
        name = uuid.uuid4().hex
        answer = anthropic_client(max_retries=2).messages.create(**ask(model, f"flaky={name}", stream=stream))
        assert list(answer) if stream else answer.content[0].text


# --- google ---


def google_config(**fields):
    return types.GenerateContentConfig(automatic_function_calling={"disable": True}, **fields)


def google_functions():
    functions = [{"name": name, "description": "d", "parameters_json_schema": SCHEMA} for name in ("weather", "time")]
    return [types.Tool(function_declarations=functions)]


def google_chat(model):
    config = google_config(system_instruction="be brief", temperature=0.5, max_output_tokens=100)
    answer = GOOGLE.models.generate_content(model=model, contents="n=3 in=12 out=4 cached=2", config=config)
    assert answer.text == "w0 w1 w2 " and answer.model_version == model and answer.response_id, answer
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP, answer
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (12, 4, 16), usage
    assert usage.cached_content_token_count == 2, usage


def google_stream(model):
    chunks = list(GOOGLE.models.generate_content_stream(model=model, contents="n=20"))
    assert "".join(chunk.text or "" for chunk in chunks) == "".join(f"w{i} " for i in range(20)), chunks
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP, chunks[-1]
    assert chunks[-1].usage_metadata.candidates_token_count == 5, chunks[-1]


def google_tools(model):
    client, config = GOOGLE, google_config(tools=google_functions())
    for count in (1, 2):
        answer = client.models.generate_content(model=model, contents=f"tool={count} think=1", config=config)
        calls = answer.function_calls
        assert [call.name for call in calls] == ["weather", "time"][:count], answer
        assert all(call.args == {"city": "Paris", "degrees": 21} for call in calls), answer
        chunks = list(client.models.generate_content_stream(model=model, contents=f"tool={count}", config=config))
        streamed = [call for chunk in chunks for call in chunk.function_calls or []]
        assert [(call.name, call.args) for call in streamed] == [(call.name, call.args) for call in calls], chunks
    results = [types.Part.from_function_response(name=call.name, response={"output": "sunny"}) for call in calls]
    turns = [types.UserContent("tool=2"), answer.candidates[0].content, types.Content(role="user", parts=results)]
    assert client.models.generate_content(model=model, contents=turns, config=config).text
    calling = types.FunctionCallingConfig(mode="ANY", allowed_function_names=["time"])
    forced = google_config(tools=google_functions(), tool_config=types.ToolConfig(function_calling_config=calling))
    forced = client.models.generate_content(model=model, contents="hi", config=forced)
    assert [call.name for call in forced.function_calls] == ["time"], forced


def google_parse(model):
    for fields in ({"response_schema": Weather}, {"response_json_schema": SCHEMA}):
        config = google_config(response_mime_type="application/json", **fields)
        answer = GOOGLE.models.generate_content(model=model, contents="hi", config=config)
        assert json.loads(answer.text) == {"city": "Paris", "degrees": 21}, answer


def google_vision(model):
    image = types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png")
    answer = GOOGLE.models.generate_content(model=model, contents=["n=2", image])
    assert answer.text == "w0 w1 ", answer


def google_thinking(model):
    config = google_config(thinking_config=types.ThinkingConfig(thinking_budget=1024, include_thoughts=True))
    answer = GOOGLE.models.generate_content(model=model, contents="think=1", config=config)
    thoughts = [part for part in answer.candidates[0].content.parts if part.thought]
    assert "".join(part.text for part in thoughts) == "let me think", answer
    chunks = list(GOOGLE.models.generate_content_stream(model=model, contents="think=1", config=config))
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text for part in parts if part.thought) == "let me think", chunks
    if "anthropic" in model:
        assert thoughts[0].thought_signature == b"other.c2lnbmVk", answer
        assert b"other.c2lnbmVk" in [part.thought_signature for part in parts], chunks


def google_count(model):
    counted = GOOGLE.models.count_tokens(model=model, contents="in=17 hello").total_tokens
    assert 3 <= counted <= 40 if "openai" in model else counted == 17, counted


def google_errors(model):
    client = GOOGLE
    for status in (400, 401, 403, 404, 429):
        error = raised(errors.ClientError, lambda: client.models.generate_content(model=model, contents=f"status={status}"))
        assert error.code == status and "made to fail" in error.message and error.status, error
    raised(errors.ServerError, lambda: client.models.generate_content(model=model, contents="status=500"))


def main():
    failed = 0
    named = [name for name in globals() if name.startswith(("openai_", "anthropic_", "google_")) and not name.endswith(("_client", "_config", "_functions"))]
    for check in map(globals().get, named):
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
