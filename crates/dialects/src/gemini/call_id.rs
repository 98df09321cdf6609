//! Names for calls of tools: the API often gives none, and every other dialect needs one.

/// The name of a call: which answer it is in, and its place there. The same answer always gives the same names.
pub(super) fn of(answer: &str, choice: u32, place: usize) -> String {
    // Other dialects refuse more than these letters.
    let letters = answer.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).take(24);
    let answer: String = letters.collect();
    match choice {
        0 => format!("call_{answer}_{place}"),
        _ => format!("call_{answer}_{choice}_{place}"),
    }
}
