"""AutoGen's agents, whose client is OpenAI's."""

import asyncio

from asking import KEY, PARIS, SAID, URL, Weather, each
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import ModelClientStreamingChunkEvent, TextMessage
from autogen_core.models import CreateResult, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient

# One for all: a client is bound to the loop that it was first used in.
RUNNER = asyncio.Runner()
ABLE = {"vision": False, "function_calling": True, "json_output": True, "family": "unknown", "structured_output": True}


def client(name):
    return OpenAIChatCompletionClient(model=name, base_url=f"{URL}/v1", api_key=KEY, model_info=ABLE, max_retries=0)


def user(text):
    return [UserMessage(content=text, source="user")]


async def results(name, text, **options):
    """What the client makes of a whole answer, and of a stream with the text in pieces."""
    whole = await client(name).create(user(text), **options)
    *pieces, last = [part async for part in client(name).create_stream(user(text), **options)]
    assert isinstance(last, CreateResult) and whole.content == last.content, last
    assert whole.finish_reason == last.finish_reason, last
    return whole, last, pieces


def text_and_usage(name):
    usage = {"extra_create_args": {"stream_options": {"include_usage": True}}}
    _, last, pieces = RUNNER.run(results(name, "n=5 in=12 out=4"))
    assert "".join(pieces) == last.content == "w0 w1 w2 w3 w4 " and last.finish_reason == "stop", last
    whole = RUNNER.run(client(name).create(user("in=12 out=4")))
    *_, last = RUNNER.run(gathered(client(name).create_stream(user("in=12 out=4"), **usage)))
    for told in (whole.usage, last.usage):
        assert (told.prompt_tokens, told.completion_tokens) == (12, 4), told


async def gathered(stream):
    return [part async for part in stream]


def structured(name):
    whole, _, _ = RUNNER.run(results(name, "hi", json_output=Weather))
    assert Weather.model_validate_json(whole.content) == PARIS, whole


def called_tools(name):
    for streaming in (False, True):
        told = []

        async def weather(city: str, degrees: int) -> str:
            """The weather of a city."""
            told.append({"city": city, "degrees": degrees})
            return "sunny"

        agent = AssistantAgent(
            "agent", client(name), tools=[weather], reflect_on_tool_use=True, model_client_stream=streaming
        )
        seen = RUNNER.run(gathered(agent.run_stream(task="tool=1 n=3")))
        answer = seen[-1].messages[-1]
        assert told == [SAID] and isinstance(answer, TextMessage) and answer.content.startswith("w0 w1 w2 "), seen
        pieces = [event.content for event in seen if isinstance(event, ModelClientStreamingChunkEvent)]
        assert "".join(pieces).endswith(answer.content) if streaming else not pieces, pieces


each([text_and_usage, structured, called_tools])
