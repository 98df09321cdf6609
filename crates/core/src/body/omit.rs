//! Fields that are never sent, by paths into a body as LiteLLM writes them: `stop`, `metadata.note`, `tools[*].strict`,
//! `messages[0].name`.

use serde_json::Value;

use super::Json;
use crate::Result;

/// One step of a path.
enum Step<'a> {
    Field(&'a str),
    Item(usize),
    Every,
}

// === impl Json ===

impl Json {
    /// Takes out what the path leads to, where something is there.
    pub fn omit(&mut self, path: &str) -> Result<()> {
        let Some((first, rest)) = steps(path) else {
            self.remove(path);
            return Ok(());
        };
        if rest.is_empty() {
            self.remove(first);
            return Ok(());
        }
        let Some(mut value) = self.get::<Value>(first)? else { return Ok(()) };
        if cut(&mut value, &rest) {
            self.set(first, value.to_string());
        }
        Ok(())
    }
}

/// The field of the body that a path begins with, and the steps below it; `None` where it is no path.
fn steps(path: &str) -> Option<(&str, Vec<Step<'_>>)> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (name, mut places) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.is_empty() {
            return None;
        }
        steps.push(Step::Field(name));
        while !places.is_empty() {
            let (place, rest) = places.strip_prefix('[')?.split_once(']')?;
            steps.push(if place == "*" { Step::Every } else { Step::Item(place.parse().ok()?) });
            places = rest;
        }
    }
    match steps.remove(0) {
        Step::Field(first) => Some((first, steps)),
        Step::Item(_) | Step::Every => None,
    }
}

/// Whether something was taken out.
fn cut(value: &mut Value, steps: &[Step<'_>]) -> bool {
    match (value, steps) {
        (Value::Object(map), [Step::Field(name)]) => map.remove(*name).is_some(),
        (Value::Object(map), [Step::Field(name), rest @ ..]) => {
            map.get_mut(*name).is_some_and(|inner| cut(inner, rest))
        }
        (Value::Array(list), [Step::Item(at)]) if *at < list.len() => {
            list.remove(*at);
            true
        }
        (Value::Array(list), [Step::Item(at), rest @ ..]) => {
            list.get_mut(*at).is_some_and(|inner| cut(inner, rest))
        }
        (Value::Array(list), [Step::Every]) => !std::mem::take(list).is_empty(),
        (Value::Array(list), [Step::Every, rest @ ..]) => {
            let cuts = list.iter_mut().map(|inner| cut(inner, rest));
            cuts.filter(|done| *done).count() > 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::JsonLimits;

    #[test]
    fn a_path_leads_to_what_is_taken_out() {
        let body = json!({
            "a": {"b": {"c": 1}, "d": 2}, "list": [{"x": 1, "y": 1}, {"x": 2}, 3], "odd[": 1,
        });
        for (path, at, left) in [
            ("a", "/a", json!(null)),
            ("a.b", "/a", json!({"d": 2})),
            ("a.b.c", "/a/b", json!({})),
            ("list[*].x", "/list", json!([{"y": 1}, {}, 3])),
            ("list[1]", "/list", json!([{"x": 1, "y": 1}, 3])),
            ("list[0].x", "/list", json!([{"y": 1}, {"x": 2}, 3])),
            ("list[*]", "/list", json!([])),
            // What leads nowhere takes nothing.
            ("a.x.y", "/a", body["a"].clone()),
            ("list[9].x", "/list", body["list"].clone()),
            ("list.x", "/list", body["list"].clone()),
            ("a[0]", "/a", body["a"].clone()),
            // And what is no path is a name.
            ("odd[", "/odd[", json!(null)),
        ] {
            let mut edited = Json::parse(body.to_string().into(), JsonLimits::default()).unwrap();
            edited.omit(path).unwrap();
            let got: Value = serde_json::from_slice(&edited.to_bytes()).unwrap();
            assert_eq!(got.pointer(at).cloned().unwrap_or_default(), left, "{path}");
        }
    }
}
