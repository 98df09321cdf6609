"""pydantic-ai's agents, through OpenAI's two APIs, Anthropic's and Google's."""

from asking import KEY, PARIS, SAID, URL, Weather, each
from google.genai import Client
from google.genai.types import HttpOptions
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

OPENAI = OpenAIProvider(base_url=f"{URL}/v1", api_key=KEY)
ANTHROPIC = AnthropicProvider(base_url=URL, api_key=KEY)
GOOGLE = GoogleProvider(client=Client(api_key=KEY, http_options=HttpOptions(base_url=URL)))


def apis(name):
    return [
        OpenAIChatModel(name, provider=OPENAI),
        OpenAIResponsesModel(name, provider=OPENAI),
        AnthropicModel(name, provider=ANTHROPIC),
        GoogleModel(name, provider=GOOGLE),
    ]


def text_and_usage(name):
    for model in apis(name):
        answer = Agent(model).run_sync("n=3 in=12 out=4")
        assert answer.output.strip() == "w0 w1 w2", answer
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (12, 4), answer.usage


def streamed(name):
    for model in apis(name):
        stream = Agent(model).run_stream_sync("n=5 in=12 out=4")
        text = "".join(stream.stream_text(delta=True, debounce_by=None))
        assert text == stream.get_output() == "w0 w1 w2 w3 w4 ", text
        assert (stream.usage.input_tokens, stream.usage.output_tokens) == (12, 4), stream.usage


def called_tools(name):
    for model in apis(name):
        told = []
        agent = Agent(model)

        @agent.tool_plain
        def weather(city: str, degrees: int) -> str:
            told.append({"city": city, "degrees": degrees})
            return "sunny"

        async def watched(_context, events):
            seen.extend([event.event_kind async for event in events])

        seen = []
        text = agent.run_sync("tool=1 n=2").output
        assert agent.run_sync("tool=1 n=2", event_stream_handler=watched).output == text != "", text
        assert told == [SAID, SAID] and seen.count("function_tool_result") == 1, (told, seen)


def structured(name):
    for model in apis(name):
        assert Agent(model, output_type=Weather).run_sync("hi").output == PARIS
    # The others are thought unable to by the model's name.
    for model in apis(name)[:2]:
        assert Agent(model, output_type=NativeOutput(Weather)).run_sync("hi").output == PARIS


each([text_and_usage, streamed, called_tools, structured])
