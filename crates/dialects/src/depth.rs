//! How deep a provider's JSON may be: what is deeper than any answer harms whoever reads it level by level.

use gatewright_core::{Error, ErrorKind, Result, end_of_string};
use memchr::memchr_iter;

/// The deepest nesting that is taken of a provider: what the readers of typed clients stand.
const DEEPEST: usize = 128;

/// Refuses JSON that is nested too deeply. Any other text passes.
pub fn check_depth(text: &[u8]) -> Result<()> {
    // As many brackets as that are rare, and counting them is fast.
    let brackets = |text| memchr_iter(b'{', text).count() + memchr_iter(b'[', text).count();
    if text.len() <= DEEPEST || brackets(text) <= DEEPEST || is_shallow(text) {
        return Ok(());
    }
    let detail = format!("the limit is {DEEPEST} levels");
    Err(Error::new(ErrorKind::BadGateway, "the upstream's JSON is nested too deeply").with_detail(detail))
}

fn is_shallow(text: &[u8]) -> bool {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => match end_of_string(text, at) {
                Some(end) => at = end,
                None => return true,
            },
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(open: &str, close: &str, levels: usize) -> String {
        format!("{}1{}", open.repeat(levels), close.repeat(levels))
    }

    #[test]
    fn only_what_is_nested_counts() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"\\\"\":", "}]")] {
            let levels = open.matches(['[', '{']).count();
            let text = |depth| nested(open, close, depth / levels);
            assert!(check_depth(text(DEEPEST).as_bytes()).is_ok(), "{open}");
            assert!(check_depth(text(DEEPEST + levels).as_bytes()).is_err(), "{open}");
            assert!(check_depth(text(100_000).as_bytes()).is_err(), "{open}");
        }
        let wide = format!("[{}1]", "[{}],".repeat(1000));
        let quoted = format!("[\"{}\", \"\\\"{0}\"]", "[".repeat(1000));
        let unfinished = format!("[\"{}", "[".repeat(1000));
        for text in [wide, quoted, unfinished] {
            assert!(check_depth(text.as_bytes()).is_ok(), "{text}");
        }
    }
}
