"""DSPy's modules: typed results and tool calls."""

import dspy
from asking import KEY, SAID, URL, each


class Able(dspy.LM):
    """DSPy knows by a model's name what it can do; it knows none of the names here."""

    supports_response_schema = True
    supports_function_calling = True
    supported_params = frozenset({"response_format", "tools"})


class Call(dspy.Signature):
    """Calls tools."""

    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    calls: dspy.ToolCalls = dspy.OutputField()


def weather(city: str, degrees: int) -> str:
    """The weather of a city."""
    return f"{degrees} degrees in {city}"


def client(name):
    return Able(f"openai/{name}", api_base=f"{URL}/v1", api_key=KEY, cache=False, num_retries=0)


def text_and_usage(name):
    lm = client(name)
    assert lm("n=3 in=12 out=4") == ["w0 w1 w2 "], lm.history
    usage = lm.history[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (12, 4), usage


def structured(name):
    with dspy.context(lm=client(name), adapter=dspy.JSONAdapter()):
        found = dspy.Predict("question -> city: str, degrees: int")(question="how warm?")
    assert found.toDict() == SAID, found


def called_tools(name):
    with dspy.context(lm=client(name), adapter=dspy.ChatAdapter(use_native_function_calling=True)):
        found = dspy.Predict(Call)(question="tool=1 n=0", tools=[dspy.Tool(weather)])
    (call,) = found.calls.tool_calls
    assert (call.name, call.args) == ("weather", SAID), found


each([text_and_usage, structured, called_tools])
