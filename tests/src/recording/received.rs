//! Whether a client got the facts that it must get.

use serde_json::Value;

use super::{Case, Dialect};
use crate::answer::{Got, GotUsage};
use crate::client::Response;

/// What a client of this dialect did not get; empty where that is nothing.
pub fn received(case: &Case, dialect: Dialect, alias: &str, response: &Response) -> Vec<String> {
    let mut misses = Vec::new();
    let mut check = |ok: bool, miss: &dyn Fn() -> String| {
        if !ok {
            misses.push(miss());
        }
    };
    if let Some(error) = &case.expect.error {
        expect_error(case, dialect, (error, response), &mut check);
        return misses;
    }
    check(response.status == 200, &|| format!("status {}: {}", response.status, short(&response.text())));
    if response.status != 200 {
        return misses;
    }
    let got = dialect.read(case.stream, response);
    expect_answer(case, (dialect, alias), &got, &mut check);
    misses
}

type Check<'a> = dyn FnMut(bool, &dyn Fn() -> String) + 'a;

fn expect_error(
    case: &Case,
    dialect: Dialect,
    (error, response): (&Value, &Response),
    check: &mut Check<'_>,
) {
    let status = case.upstream_response.status;
    let message = error["message"].as_str().unwrap_or_default();
    let streamed = response.status == 200 && case.stream && status == 200;
    check(streamed || response.status == status || (status == 200 && response.status >= 400), &|| {
        format!("status {}, not {status}: {}", response.status, short(&response.text()))
    });
    let told = if streamed {
        dialect.read(true, response).error.unwrap_or_default()
    } else {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        if let Some(fault) = dialect.fault_of_error(&body, response.status) {
            check(false, &|| fault.clone());
        }
        body
    };
    let error = told.get("error").unwrap_or(&told);
    let words = error.as_str().or_else(|| error["message"].as_str()).unwrap_or_default();
    check(words.contains(message), &|| format!("the error says {told}, not {message:?}"));
}

fn expect_answer(case: &Case, (dialect, alias): (Dialect, &str), got: &Got, check: &mut Check<'_>) {
    let expect = &case.expect;
    check(got.faults.is_empty(), &|| format!("badly formed: {}", got.faults.join("; ")));
    check(got.model == alias || !dialect.names_the_model(), &|| {
        format!("the model is {:?}, not the alias", got.model)
    });
    let as_text = !dialect.has_refusals();
    let refusal = if as_text { "" } else { expect.refusal.as_str() };
    check(got.refusal == refusal, &|| format!("refusal {:?}, not {refusal:?}", got.refusal));
    let refused = as_text && !expect.refusal.is_empty() && got.text == expect.refusal;
    check(refused || got.text == expect.text, &|| {
        format!("text {:?}, not {:?}", short(&got.text), short(&expect.text))
    });
    // A recording shows the beginning of long reasoning.
    let cut = expect.reasoning.strip_suffix("...").filter(|_| case.client_speaks(Dialect::OpenAiResponses));
    check(
        !dialect.has_parts()
            || got.reasoning == expect.reasoning
            || cut.is_some_and(|cut| got.reasoning.starts_with(cut)),
        &|| format!("reasoning {:?}, not {:?}", short(&got.reasoning), short(&expect.reasoning)),
    );
    check(got.choices == expect.n.max(1) || !dialect.has_choices(), &|| {
        format!("{} choices, not {}", got.choices, expect.n)
    });
    let calls = !expect.tool_calls.is_empty();
    // Anthropic says of a refusal that it is one.
    let refused = dialect == Dialect::AnthropicMessages && !expect.refusal.is_empty();
    let word = if refused { Some("refusal") } else { expect.finish.as_deref() };
    let finish = word.and_then(|word| dialect.finish(word, calls));
    check(got.finish.as_deref() == finish, &|| format!("finish {:?}, not {finish:?}", got.finish));
    let cites = case.client_speaks(dialect) || dialect.cites();
    check(!cites || got.citations == expect.citations, &|| {
        format!("{} citations, not {}", got.citations, expect.citations)
    });
    if dialect.has_parts() {
        expect_tools(case, got, check);
    }
    expect_usage(case, dialect, got, check);
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

fn expect_usage(case: &Case, dialect: Dialect, got: &Got, check: &mut Check<'_>) {
    let expect = &case.expect.usage;
    let asked = !case.client_speaks(dialect)
        || case.client_request.body["stream_options"]["include_usage"] == Value::Bool(true);
    if case.stream && !dialect.always_tells_usage() && !asked {
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
    // Where a provider has read more out of a cache than it has read, the parts come to more than the whole.
    let parts = if dialect.counts_cached_apart() { number("cached") } else { 0 };
    let fits = input == number("prompt").max(parts) && output_fits;
    // A record does not always say what the provider does.
    let same_cached = expect.get("cached").is_none_or(|tokens| *tokens == cached);
    let fits = fits && (!dialect.counts_cached() || same_cached);
    let fits = fits && (!dialect.counts_reasoning() || reasoning == number("reasoning"));
    let writes = case.provider_is_anthropic() && dialect.counts_written();
    let fits = fits && (!writes || cache_write == number("cache_write"));
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
