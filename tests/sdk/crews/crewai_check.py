"""CrewAI's agents, whose client is OpenAI's."""

import os

# It would report its runs to its maker.
os.environ["CREWAI_DISABLE_TELEMETRY"] = os.environ["OTEL_SDK_DISABLED"] = "true"

from asking import KEY, PARIS, SAID, URL, Weather, each
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool


def model(name, **options):
    return LLM(model=f"openai/{name}", base_url=f"{URL}/v1", api_key=KEY, max_retries=0, **options)


def crew(name, prompt, tools=(), **task):
    agent = Agent(role="agent", goal="answer", backstory="none", llm=model(name), tools=list(tools), max_retry_limit=0)
    wanted = Task(description=prompt, expected_output="words", agent=agent, **task)
    return Crew(agents=[agent], tasks=[wanted]).kickoff()


def text(name):
    assert model(name).call("n=5").strip() == "w0 w1 w2 w3 w4"
    told = crew(name, "n=3 in=12 out=4")
    assert told.raw.strip() == "w0 w1 w2", told
    usage = told.token_usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (12, 4), usage


def streamed(name):
    said = model(name, stream=True).call("n=5")
    assert said.strip() == "w0 w1 w2 w3 w4", said


def structured(name):
    told = crew(name, "hi", output_pydantic=Weather)
    assert told.pydantic == PARIS, told


def called_tools(name):
    told = []

    @tool("weather")
    def weather(city: str, degrees: int) -> str:
        """The weather of a city."""
        told.append({"city": city, "degrees": degrees})
        return "sunny"

    # The crew adds words of its own behind the tool's.
    answer = crew(name, "tool=1 n=3", [weather])
    assert told == [SAID] and answer.raw.startswith("w0 w1 w2 "), (told, answer)


each([text, streamed, structured, called_tools])
