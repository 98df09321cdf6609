//! The forms of a model's name under which a price list may have it.

/// What stands before a model's name to say where it is served, and changes its price.
const REGIONS: [&str; 9] =
    ["us.", "eu.", "apac.", "global.", "jp.", "au.", "us-gov.", "ca.", "global-standard/"];

/// The name itself, without a region, and both without a date.
pub(crate) fn forms(name: &str) -> Vec<&str> {
    let mut names = vec![name];
    names.extend(REGIONS.iter().find_map(|region| name.strip_prefix(region)));
    names.extend(names.clone().into_iter().filter_map(undated));
    names
}

/// A name without the date or the `-latest` at its end (`-2024-08-06`, `-20250929`, `@20250929`).
fn undated(name: &str) -> Option<&str> {
    if let Some(base) = name.strip_suffix("-latest") {
        return Some(base);
    }
    let long = name.len().checked_sub(10).filter(|from| name.get(*from..).is_some_and(is_dashed_date));
    let short = || name.len().checked_sub(8).filter(|from| name.get(*from..).is_some_and(is_digits));
    let (base, _) = name.split_at_checked(long.or_else(short)?)?;
    base.strip_suffix(['-', '@']).filter(|base| !base.is_empty())
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn is_dashed_date(text: &str) -> bool {
    let mut parts = text.split('-').map(|part| (part.len(), is_digits(part)));
    (parts.next(), parts.next(), parts.next()) == (Some((4, true)), Some((2, true)), Some((2, true)))
}
