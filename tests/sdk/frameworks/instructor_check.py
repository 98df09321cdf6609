"""Instructor's structured results, through OpenAI's and Anthropic's libraries."""

import anthropic
import instructor
import openai
from asking import KEY, SAID, URL, Weather, each
from instructor import Mode


def clients():
    chat = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
    messages = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)
    return [
        *[instructor.from_openai(chat, mode=mode) for mode in (Mode.TOOLS, Mode.JSON_SCHEMA)],
        instructor.from_anthropic(messages, mode=Mode.TOOLS, max_tokens=1024),
    ]


def ours(name):
    return {"model": name, "messages": [{"role": "user", "content": "in=12 out=4"}], "response_model": Weather, "max_retries": 1}


def structured(name):
    for client in clients():
        result, answer = client.chat.completions.create_with_completion(**ours(name))
        assert result.model_dump() == SAID, result
        assert 4 in (getattr(answer.usage, "completion_tokens", 0), getattr(answer.usage, "output_tokens", 0)), answer


def partial(name):
    for client in clients():
        partials = list(client.chat.completions.create_partial(**ours(name)))
        assert partials[-1].model_dump() == SAID, partials


each([structured, partial])
