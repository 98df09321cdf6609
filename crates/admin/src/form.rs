//! Whether a value has the form of its field; wrong ones are told in the words of LiteLLM's validator.

use gatewright_core::Money;
use serde_json::{Map, Value, json};

use crate::calendar::{self, Period};
use crate::failure::{Failure, Result};
use crate::field::{Field, Form};

type Words = (&'static str, &'static str);

const TEXT: Words = ("string_type", "Input should be a valid string");
const LIST: Words = ("list_type", "Input should be a valid list");
const MAP: Words = ("dict_type", "Input should be a valid dictionary");
const COUNT: Words = ("int_type", "Input should be a valid integer");
const COUNT_TEXT: Words =
    ("int_parsing", "Input should be a valid integer, unable to parse string as an integer");
const COUNT_PART: Words =
    ("int_from_float", "Input should be a valid integer, got a number with a fractional part");
const NUMBER: Words = ("float_type", "Input should be a valid number");
const NUMBER_TEXT: Words =
    ("float_parsing", "Input should be a valid number, unable to parse string as a number");
const FLAG: Words = ("bool_type", "Input should be a valid boolean");
const FLAG_TEXT: Words = ("bool_parsing", "Input should be a valid boolean, unable to interpret input");
const NEGATIVE: Words = ("greater_than_equal", "Input should be greater than or equal to 0");
const SPAN: Words = ("value_error", "Value error, a duration is a number and one of s, m, h, d, w, mo");
const MOMENT: Words = ("datetime_parsing", "Input should be a valid datetime");

/// What amounts inside of values are called.
const INNER: [&str; 2] = ["max_budget", "budget_limit"];

/// The value as it is kept: numbers and flags may come as texts.
pub(crate) fn check(field: &Field, value: &Value) -> Result<Value> {
    if field.has_amounts {
        inner_amounts(value)?;
    }
    let wrong = |words: Words| Failure::form(&[field.name.into()], words, value);
    match field.form {
        Form::Any => Ok(value.clone()),
        Form::Text => value.as_str().map(Value::from).ok_or_else(|| wrong(TEXT)),
        Form::Map => value.as_object().map(|map| map.clone().into()).ok_or_else(|| wrong(MAP)),
        Form::Texts => each(field, value, Value::is_string, TEXT),
        Form::Maps => each(field, value, Value::is_object, MAP),
        Form::Dollars => fitting(field.name, dollars(value).map_err(wrong)?),
        Form::Count => count(value).map_err(wrong),
        Form::Flag => flag(value).map_err(wrong),
        Form::Span => {
            let text = value.as_str().ok_or_else(|| wrong(TEXT))?;
            let fits = text == "-1" || Period::parse(text).is_some();
            fits.then(|| text.into()).ok_or_else(|| wrong(SPAN))
        }
        Form::Moment => {
            let at = value.as_str().and_then(calendar::read).ok_or_else(|| wrong(MOMENT))?;
            Ok(calendar::printed(at).into())
        }
    }
}

/// A text of a body that must be there.
pub(crate) fn required<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str> {
    match body.get(name) {
        None | Some(Value::Null) => Err(Failure::required(name)),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(Failure::form(&[name.into()], TEXT, other)),
    }
}

/// A list of texts of a body; nothing where it is not there.
pub(crate) fn list(body: &Map<String, Value>, name: &'static str) -> Result<Vec<String>> {
    let Some(value) = body.get(name).filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let checked = each(&crate::field::texts(name), value, Value::is_string, TEXT)?;
    let items = checked.as_array().into_iter().flatten();
    Ok(items.filter_map(Value::as_str).map(str::to_owned).collect())
}

fn each(field: &Field, value: &Value, fits: fn(&Value) -> bool, words: Words) -> Result<Value> {
    let items = value.as_array().ok_or_else(|| Failure::form(&[field.name.into()], LIST, value))?;
    match items.iter().position(|item| !fits(item)) {
        None => Ok(value.clone()),
        Some(at) => Err(Failure::form(&[field.name.into(), at.into()], words, &items[at])),
    }
}

fn dollars(value: &Value) -> Result<f64, Words> {
    let amount = match value {
        Value::Number(number) => number.as_f64().ok_or(NUMBER)?,
        Value::String(text) => text.trim().parse::<f64>().map_err(|_| NUMBER_TEXT)?,
        _ => return Err(NUMBER),
    };
    if amount < 0.0 { Err(NEGATIVE) } else { Ok(amount) }
}

/// An amount that can be counted: larger ones are refused, for none of them would be a budget.
fn fitting(name: &str, amount: f64) -> Result<Value> {
    let value = json!(amount);
    match Money::parse_dollars(&value.to_string()) {
        Some(_) => Ok(value),
        None => {
            let words = format!("{name} must be a finite amount of at most {} dollars", Money::MAX);
            Err(Failure::bad(name, &words))
        }
    }
}

/// Amounts that stand inside of other values.
fn inner_amounts(value: &Value) -> Result<()> {
    match value {
        Value::Object(map) => map.iter().try_for_each(|(name, value)| match value {
            Value::Number(number) if INNER.contains(&name.as_str()) => {
                fitting(name, number.as_f64().unwrap_or(f64::INFINITY)).map(drop)
            }
            other => inner_amounts(other),
        }),
        Value::Array(items) => items.iter().try_for_each(inner_amounts),
        _ => Ok(()),
    }
}

fn count(value: &Value) -> Result<Value, Words> {
    match value {
        Value::Number(number) if number.is_f64() => {
            let amount = number.as_f64().unwrap_or_default();
            let whole = format!("{amount:.0}").parse::<i64>().map_err(|_| COUNT)?;
            if amount.fract() == 0.0 { natural(whole) } else { Err(COUNT_PART) }
        }
        Value::Number(number) => natural(number.as_i64().ok_or(COUNT)?),
        Value::String(text) => natural(text.trim().parse().map_err(|_| COUNT_TEXT)?),
        _ => Err(COUNT),
    }
}

fn natural(number: i64) -> Result<Value, Words> {
    if number < 0 { Err(NEGATIVE) } else { Ok(number.into()) }
}

fn flag(value: &Value) -> Result<Value, Words> {
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true.into()),
            "false" | "0" | "no" | "off" => Ok(false.into()),
            _ => Err(FLAG_TEXT),
        },
        Value::Number(number) => match number.as_i64() {
            Some(0) => Ok(false.into()),
            Some(1) => Ok(true.into()),
            _ => Err(FLAG_TEXT),
        },
        _ => Err(FLAG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_or_refused_in_the_validators_words() {
        let wrong = |words: &str| Err(words.to_owned());
        for (form, value, expected) in [
            (Form::Text, json!("a"), Ok(json!("a"))),
            (Form::Text, json!(1), wrong("string_type")),
            (Form::Texts, json!(["a"]), Ok(json!(["a"]))),
            (Form::Texts, json!("a"), wrong("list_type")),
            (Form::Texts, json!(["a", 1]), wrong("string_type")),
            (Form::Map, json!({"a": 1}), Ok(json!({"a": 1}))),
            (Form::Map, json!([]), wrong("dict_type")),
            (Form::Maps, json!([{}]), Ok(json!([{}]))),
            (Form::Maps, json!([1]), wrong("dict_type")),
            (Form::Dollars, json!(5), Ok(json!(5.0))),
            (Form::Dollars, json!("1e-05"), Ok(json!(0.00001))),
            (Form::Dollars, json!("much"), wrong("float_parsing")),
            (Form::Dollars, json!(-1), wrong("greater_than_equal")),
            (Form::Dollars, json!(true), wrong("float_type")),
            (Form::Count, json!(5), Ok(json!(5))),
            (Form::Count, json!(5.0), Ok(json!(5))),
            (Form::Count, json!(5.5), wrong("int_from_float")),
            (Form::Count, json!("7"), Ok(json!(7))),
            (Form::Count, json!("many"), wrong("int_parsing")),
            (Form::Count, json!([]), wrong("int_type")),
            (Form::Count, json!(-1), wrong("greater_than_equal")),
            (Form::Count, json!(1e300), wrong("int_type")),
            (Form::Flag, json!("true"), Ok(json!(true))),
            (Form::Flag, json!(0), Ok(json!(false))),
            (Form::Flag, json!("perhaps"), wrong("bool_parsing")),
            (Form::Flag, json!({}), wrong("bool_type")),
            (Form::Span, json!("30d"), Ok(json!("30d"))),
            (Form::Span, json!("soon"), wrong("value_error")),
            (Form::Span, json!(30), wrong("string_type")),
            (Form::Moment, json!("2026-11-20T00:00:00+01:00"), Ok(json!("2026-11-19T23:00:00.000000Z"))),
            (Form::Moment, json!("today"), wrong("datetime_parsing")),
        ] {
            let field = Field::new("it", form);
            let told = check(&field, &value);
            let told = told.map_err(|failure| {
                assert_eq!(failure.status.as_u16(), 422);
                let detail = &failure.body["detail"][0];
                assert_eq!((&detail["loc"][0], &detail["loc"][1]), (&json!("body"), &json!("it")));
                detail["type"].as_str().unwrap().to_owned()
            });
            assert_eq!(told, expected, "{form:?} {value}");
        }
    }

    #[test]
    fn an_amount_that_cannot_be_counted_is_no_budget_and_refused() {
        for (name, form, value) in [
            ("max_budget", Form::Dollars, json!(1e308)),
            ("max_budget", Form::Dollars, json!("inf")),
            ("max_budget", Form::Dollars, json!("NaN")),
            ("max_budget", Form::Dollars, json!(9_300_000_000.0)),
            ("model_max_budget", Form::Map, json!({"m": {"budget_limit": 1e300, "time_period": "1d"}})),
            ("budget_limits", Form::Any, json!([{"budget_duration": "1d", "max_budget": 1e10}])),
        ] {
            let field = Field::new(name, form);
            let field = if form == Form::Dollars { field } else { field.with_amounts() };
            let failure = check(&field, &value).unwrap_err();
            assert_eq!(failure.status.as_u16(), 400, "{value}");
            let words = failure.body["error"]["message"].to_string();
            assert!(words.contains("at most 9223372036.854775807 dollars"), "{words}");
        }
        let most = json!(9_223_372_036.0);
        assert_eq!(check(&Field::new("max_budget", Form::Dollars), &most).unwrap(), most);
    }
}
