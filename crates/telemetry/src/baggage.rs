//! W3C baggage: members that a client sends along, told as attributes and passed on where that is asked for.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::attributes::Attributes;
use crate::environment::percent_decoded;

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// What the specification asks everybody to carry; more is not carried.
const MOST_BYTES: usize = 8192;
const MOST_MEMBERS: usize = 64;

/// The longest value that becomes an attribute.
const LONGEST_VALUE: usize = 256;

/// The client's list, where it is whole and within the bounds: what is passed on is passed on as it came.
pub(crate) fn passed(headers: &HeaderMap) -> Option<HeaderValue> {
    let list = list(headers)?;
    let members = list.split(',').filter(|member| !member.trim().is_empty());
    let (count, valid) =
        members.fold((0, true), |(count, valid), text| (count + 1, valid && member(text).is_some()));
    let carried = valid && (1..=MOST_MEMBERS).contains(&count);
    carried.then(|| HeaderValue::from_str(&list).ok()).flatten()
}

/// Writes it, in place of whatever the headers said before.
pub(crate) fn write(list: &HeaderValue, headers: &mut HeaderMap) {
    headers.insert(BAGGAGE, list.clone());
}

/// The selected members as attributes `baggage.{name}`.
pub(crate) fn told(headers: &HeaderMap, selected: &[Arc<str>], told: &mut Attributes) {
    if selected.is_empty() {
        return;
    }
    let Some(list) = list(headers) else { return };
    for (name, value) in list.split(',').take(MOST_MEMBERS).filter_map(member) {
        if let (true, Some(value)) = (selected.iter().any(|known| &**known == name), percent_decoded(value)) {
            let end = value.floor_char_boundary(LONGEST_VALUE);
            told.put(&format!("baggage.{name}"), value.get(..end).unwrap_or_default());
        }
    }
}

/// Several headers are one list.
fn list(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let mut lines = headers.get_all(BAGGAGE).iter().map(HeaderValue::to_str);
    let mut list = Cow::Borrowed(lines.next()?.ok()?);
    for line in lines {
        let list = list.to_mut();
        list.push(',');
        list.push_str(line.ok()?);
        if list.len() > MOST_BYTES {
            return None;
        }
    }
    (list.len() <= MOST_BYTES).then_some(list)
}

/// Name and value of a member, which may have properties behind them.
fn member(text: &str) -> Option<(&str, &str)> {
    let (pair, _properties) = text.split_once(';').unwrap_or((text, ""));
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_token = |letter: u8| letter.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&letter);
    let is_octet =
        |letter: u8| matches!(letter, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    (!name.is_empty() && name.bytes().all(is_token) && value.bytes().all(is_octet)).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Value;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (BAGGAGE, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn a_list_is_passed_on_whole_or_not_at_all() {
        let many = vec!["a=1"; MOST_MEMBERS + 1].join(",");
        let long = format!("a={}", "x".repeat(MOST_BYTES));
        for (lines, passed_on) in [
            (&["a=1;p, b=%20"][..], Some("a=1;p, b=%20")),
            (&["a=1", "b=2"], Some("a=1,b=2")),
            (&["a=1,no pair"], None),
            (&["a b=1"], None),
            (&["a=\"quoted\""], None),
            (&[&many], None),
            (&[&long], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(passed(&headers(lines)), passed_on.map(HeaderValue::from_static), "{lines:?}");
        }
    }

    #[test]
    fn only_selected_members_are_told() {
        let selected = ["tenant".into(), "long".into()];
        let said = headers(&[&format!("tenant=a%20b;p=1,secret=x,long={}", "y".repeat(999))]);
        let mut attributes = Attributes::of_event();
        told(&said, &[], &mut attributes);
        assert_eq!(attributes.told().count(), 0);
        told(&said, &selected, &mut attributes);
        let long = "y".repeat(LONGEST_VALUE);
        let expected = [("baggage.tenant", Value::Text("a b")), ("baggage.long", Value::Text(&long))];
        assert_eq!(attributes.told().collect::<Vec<_>>(), expected);
    }
}
