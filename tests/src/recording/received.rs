//! Whether a client got the facts that it must get.

use serde_json::Value;

use super::Case;
use crate::answer::{Got, GotUsage, anthropic, gemini, openai, responses};
use crate::client::Response;

/// Finish reasons: the provider's word, OpenAI's and Anthropic's.
const FINISHES: &[(&str, &str, &str)] = &[
    ("stop", "stop", "end_turn"),
    ("eos", "stop", "end_turn"),
    ("length", "length", "max_tokens"),
    ("tool_calls", "tool_calls", "tool_use"),
    ("function_call", "function_call", "tool_use"),
    ("content_filter", "content_filter", "refusal"),
    ("end_turn", "stop", "end_turn"),
    ("stop_sequence", "stop", "stop_sequence"),
    ("max_tokens", "length", "max_tokens"),
    ("tool_use", "tool_calls", "tool_use"),
    ("refusal", "content_filter", "refusal"),
    ("pause_turn", "length", "pause_turn"),
    ("STOP", "stop", "end_turn"),
    ("MAX_TOKENS", "length", "max_tokens"),
    // As a library for the binary protocol writes it.
    ("2", "length", "max_tokens"),
    ("SAFETY", "content_filter", "refusal"),
    ("COMPLETE", "stop", "end_turn"),
    ("TOOL_CALL", "tool_calls", "tool_use"),
    ("guardrail_intervened", "content_filter", "refusal"),
];

/// What the client did not get; empty where that is nothing.
pub fn received(case: &Case, alias: &str, response: &Response) -> Vec<String> {
    let mut misses = Vec::new();
    let mut check = |ok: bool, miss: &dyn Fn() -> String| {
        if !ok {
            misses.push(miss());
        }
    };
    if let Some(error) = &case.expect.error {
        expect_error(case, error, response, &mut check);
        return misses;
    }
    check(response.status == 200, &|| format!("status {}: {}", response.status, short(&response.text())));
    if response.status != 200 {
        return misses;
    }
    if case.stays_in_its_dialect() {
        expect_the_same(case, alias, &response.json(), &mut check);
        return misses;
    }
    let got = read(case, response);
    expect_answer(case, alias, &got, &mut check);
    misses
}

type Check<'a> = dyn FnMut(bool, &dyn Fn() -> String) + 'a;

fn read(case: &Case, response: &Response) -> Got {
    if case.client_is_gemini() {
        return if case.stream { gemini::stream(&response.body) } else { gemini::whole(&response.json()) };
    }
    if case.client_is_responses() {
        return match case.stream {
            true => responses::stream(&response.body),
            false => responses::whole(&response.json()),
        };
    }
    match (case.client_is_anthropic(), case.stream) {
        (true, true) => anthropic::stream(&response.body),
        (true, false) => anthropic::whole(&response.json()),
        (false, true) => openai::stream(&response.body),
        (false, false) => openai::whole(&response.json()),
    }
}

/// The provider's own answer, under the model's public name.
fn expect_the_same(case: &Case, alias: &str, got: &Value, check: &mut Check<'_>) {
    let mut expected: Value = serde_json::from_str(&case.upstream_response.body.text).unwrap_or_default();
    if !expected["model"].is_null() {
        expected["model"] = alias.into();
    }
    check(*got == expected, &|| format!("answered {}", short(&got.to_string())));
}

fn expect_error(case: &Case, error: &Value, response: &Response, check: &mut Check<'_>) {
    let status = case.upstream_response.status;
    let message = error["message"].as_str().unwrap_or_default();
    let streamed = response.status == 200 && case.stream && status == 200;
    check(streamed || response.status == status || (status == 200 && response.status >= 400), &|| {
        format!("status {}, not {status}: {}", response.status, short(&response.text()))
    });
    let body = if streamed {
        read(case, response).error.unwrap_or_default()
    } else {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        if case.client_is_gemini() {
            check(body["error"]["code"] == response.status, &|| {
                format!("the error is not in Google's form: {body}")
            });
            check(body["error"]["message"].as_str().unwrap_or_default().contains(message), &|| {
                format!("the error says {body}, not {message:?}")
            });
            return;
        }
        if case.client_is_anthropic() {
            check(body["type"] == "error", &|| format!("the error is not in Anthropic's form: {body}"));
        } else {
            let code = &body["error"]["code"];
            check(code.is_string(), &|| format!("the error's code is {code}, not a text"));
        }
        body["error"].clone()
    };
    let told = body["message"].as_str().unwrap_or_default();
    check(told.contains(message), &|| format!("the error says {told:?}, not {message:?}"));
    check(body["type"].is_string(), &|| format!("the error has no type: {body}"));
}

fn expect_answer(case: &Case, alias: &str, got: &Got, check: &mut Check<'_>) {
    let expect = &case.expect;
    check(got.faults.is_empty(), &|| format!("badly formed: {}", got.faults.join("; ")));
    check(got.model == alias, &|| format!("the model is {:?}, not the alias", got.model));
    check(got.text == expect.text, &|| format!("text {:?}, not {:?}", short(&got.text), short(&expect.text)));
    // A recording shows the beginning of long reasoning.
    let cut = expect.reasoning.strip_suffix("...").filter(|_| case.client_is_responses());
    check(
        got.reasoning == expect.reasoning || cut.is_some_and(|cut| got.reasoning.starts_with(cut)),
        &|| format!("reasoning {:?}, not {:?}", short(&got.reasoning), short(&expect.reasoning)),
    );
    // Anthropic has no field for a refusal's words: they come as text.
    if !case.client_is_anthropic() {
        check(got.refusal == expect.refusal, &|| {
            format!("refusal {:?}, not {:?}", got.refusal, expect.refusal)
        });
    }
    check(got.choices == expect.n.max(1) || case.client_is_anthropic(), &|| {
        format!("{} choices, not {}", got.choices, expect.n)
    });
    // Gemini stops for its tools as for anything else.
    let word = match expect.finish.as_deref() {
        Some("STOP") if !expect.tool_calls.is_empty() && !case.client_is_gemini() => Some("tool_calls"),
        word => word,
    };
    let finish = word.and_then(|word| FINISHES.iter().find(|row| row.0 == word));
    let finish = match case.client_is_gemini() || case.client_is_responses() {
        true => word,
        false => finish.map(|row| if case.client_is_anthropic() { row.2 } else { row.1 }),
    };
    check(got.finish.as_deref() == finish, &|| format!("finish {:?}, not {finish:?}", got.finish));
    check(got.citations == expect.citations, &|| {
        format!("{} citations, not {}", got.citations, expect.citations)
    });
    expect_tools(case, got, check);
    expect_usage(case, got, check);
}

fn expect_tools(case: &Case, got: &Got, check: &mut Check<'_>) {
    let names = |tools: &[&str]| tools.join(", ");
    let expected: Vec<&str> =
        case.expect.tool_calls.iter().map(|call| call.name.as_deref().unwrap_or_default()).collect();
    let actual: Vec<&str> = got.tools.iter().map(|tool| tool.name.as_str()).collect();
    check(actual == expected, &|| format!("calls [{}], not [{}]", names(&actual), names(&expected)));
    for (call, tool) in case.expect.tool_calls.iter().zip(&got.tools) {
        let arguments = serde_json::from_str(&tool.arguments).unwrap_or(Value::Null);
        let none =
            |value: &Value| value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        let same = arguments == call.args || (none(&arguments) && none(&call.args));
        check(same, &|| {
            format!("{} is called with {}, not {}", tool.name, short(&tool.arguments), call.args)
        });
        let id = call.id.as_deref().unwrap_or_default();
        check(id.is_empty() || tool.id == id, &|| format!("a call's id is {}, not {id}", tool.id));
    }
}

fn expect_usage(case: &Case, got: &Got, check: &mut Check<'_>) {
    let expect = &case.expect.usage;
    let asked = case.client_request.body["stream_options"]["include_usage"] == Value::Bool(true);
    let always = case.client_is_anthropic() || case.client_is_gemini() || case.client_is_responses();
    if case.stream && !always && !asked {
        check(got.usage.is_none(), &|| "usage in a stream that did not ask for it".to_owned());
        return;
    }
    if expect.is_empty() {
        return;
    }
    let Some(usage) = got.usage else { return check(false, &|| "no usage".to_owned()) };
    let number = |key: &str| expect.get(key).copied().unwrap_or_default();
    // Some providers count reasoning beside the output; their total tells.
    let with_reasoning = number("total").saturating_sub(number("prompt"));
    let output_fits = usage.output == number("completion") || usage.output == with_reasoning;
    let GotUsage { input, cached, cache_write, reasoning, .. } = usage;
    let fits = input == number("prompt") && output_fits && cached == number("cached");
    let fits = fits && (case.client_is_anthropic() || reasoning == number("reasoning"));
    let fits = fits && (!case.provider_is_anthropic() || cache_write == number("cache_write"));
    check(fits, &|| format!("usage {usage:?}, not {expect:?}"));
}

fn short(text: &str) -> String {
    let count = text.chars().count();
    if count <= 120 {
        return text.to_owned();
    }
    let tail: String = text.chars().skip(count - 30).collect();
    format!("{}…{tail} ({count})", text.chars().take(80).collect::<String>())
}
