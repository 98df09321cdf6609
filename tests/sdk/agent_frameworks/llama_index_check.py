"""LlamaIndex, whose client for servers that are like OpenAI's is told what they can do."""

from asking import KEY, PARIS, SAID, URL, Weather, each
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike


def client(name, **options):
    able = {"is_chat_model": True, "is_function_calling_model": True, "max_retries": 0}
    return OpenAILike(model=name, api_base=f"{URL}/v1", api_key=KEY, **{**able, **options})


def weather(city: str, degrees: int) -> str:
    """The weather of a city."""
    return f"{degrees} degrees in {city}"


TOOL = FunctionTool.from_defaults(weather)


def text_and_usage(name):
    asked = [ChatMessage("n=5 in=12 out=4")]
    answer = client(name).chat(asked)
    chunks = list(client(name).stream_chat(asked))
    text = "".join(chunk.delta for chunk in chunks)
    assert text == chunks[-1].message.content == answer.message.content == "w0 w1 w2 w3 w4 ", chunks
    assert answer.raw.usage.completion_tokens == 4 and answer.raw.choices[0].finish_reason == "stop", answer.raw


def called_tools(name):
    model = client(name)
    *_, streamed = model.stream_chat_with_tools([TOOL], user_msg="tool=1")
    for answer in (model.chat_with_tools([TOOL], user_msg="tool=1"), streamed):
        (call,) = model.get_tool_calls_from_response(answer)
        assert (call.tool_name, call.tool_kwargs) == ("weather", SAID), answer
    assert model.predict_and_call([TOOL], user_msg="tool=1").response == "21 degrees in Paris"


def structured(name):
    for native in (True, False):
        model = client(name, should_use_structured_outputs=native)
        answer = model.as_structured_llm(Weather).chat([ChatMessage("hi")])
        assert answer.raw == PARIS, answer


each([text_and_usage, called_tools, structured])
