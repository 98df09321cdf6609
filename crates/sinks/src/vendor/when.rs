//! Times of records in the forms that targets read.

use gatewright_core::Utc;

/// `2026-11-20T23:51:22.125Z`.
pub(super) fn iso(seconds: f64) -> String {
    let (second, micros) = split(seconds);
    format!("{}.{:03}Z", Utc(second).to_string().replace(' ', "T"), micros / 1000)
}

/// `2026-11-20` and `23-51-22-125000`.
pub(super) fn in_names(seconds: f64) -> (String, String) {
    let (second, micros) = split(seconds);
    let text = Utc(second).to_string();
    let (date, time) = text.split_once(' ').unwrap_or((&text, ""));
    (date.to_owned(), format!("{}-{micros:06}", time.replace(':', "-")))
}

/// Whole seconds, and the rest of them in microseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds since the Unix epoch")]
pub(super) fn split(seconds: f64) -> (u64, u64) {
    let micros = (seconds.max(0.0) * 1e6).round() as u64;
    (micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_are_read() {
        let at = 1_763_682_682.125;
        assert_eq!(iso(at), "2025-11-20T23:51:22.125Z");
        assert_eq!(in_names(at), ("2025-11-20".to_owned(), "23-51-22-125000".to_owned()));
        assert_eq!(split(1.999_999_9), (2, 0));
    }
}
