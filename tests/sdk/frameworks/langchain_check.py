"""LangChain's chat models for OpenAI's two APIs and Anthropic's."""

from asking import KEY, PARIS, SAID, URL, Weather, each
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def weather(city: str, degrees: int) -> str:
    """The weather of a city."""
    return f"{degrees} degrees in {city}"


def apis(name):
    ours = {"model": name, "api_key": KEY, "max_retries": 0}
    return [
        ChatOpenAI(base_url=f"{URL}/v1", stream_usage=True, **ours),
        ChatOpenAI(base_url=f"{URL}/v1", use_responses_api=True, **ours),
        ChatAnthropic(base_url=URL, max_tokens=1024, **ours),
    ]


def gathered(stream):
    """The sum of a stream's chunks, and how many had text."""
    chunks = list(stream)
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole, sum(bool(chunk.text) for chunk in chunks)


def text_and_usage(name):
    for model in apis(name):
        answer = model.invoke("n=5 in=12 out=4")
        whole, pieces = gathered(model.stream("n=5 in=12 out=4"))
        assert answer.text == whole.text == "w0 w1 w2 w3 w4 " and pieces == 5, whole
        for usage in (answer.usage_metadata, whole.usage_metadata):
            assert (usage["input_tokens"], usage["output_tokens"]) == (12, 4), usage


def called_tools(name):
    for model in apis(name):
        bound = model.bind_tools([weather])
        asked = HumanMessage("tool=1")
        for answer in (bound.invoke([asked]), gathered(bound.stream([asked]))[0]):
            (call,) = answer.tool_calls
            assert (call["name"], call["args"]) == ("weather", SAID), answer
            result = weather.invoke(call)
            assert isinstance(result, ToolMessage) and result.content == "21 degrees in Paris", result
            assert bound.invoke([asked, answer, result, HumanMessage("n=2")]).text == "w0 w1 ", name


def reasons(name):
    """Why an answer ended, in the words of the API that was asked."""
    chat, responses, anthropic = apis(name)
    for model, key, ended, called in [
        (chat, "finish_reason", "stop", "tool_calls"),
        (responses, "status", "completed", "completed"),
        (anthropic, "stop_reason", "end_turn", "tool_use"),
    ]:
        for prompt, reason in [("n=1", ended), ("tool=1", called)]:
            bound = model.bind_tools([weather])
            for answer in (bound.invoke(prompt), gathered(bound.stream(prompt))[0]):
                assert answer.response_metadata[key] == reason, answer


def structured(name):
    for model in apis(name):
        for method in ("json_schema", "function_calling"):
            assert model.with_structured_output(Weather, method=method).invoke("hi") == PARIS


each([text_and_usage, called_tools, reasons, structured])
