//! The forms of a model's name under which a price list may have it.

/// What stands before a model's name to say where it is served, and changes its price.
const REGIONS: [&str; 9] =
    ["us.", "eu.", "apac.", "global.", "jp.", "au.", "us-gov.", "ca.", "global-standard/"];

/// The name itself, without the operation and the place that LiteLLM lets stand before a model of Bedrock, out of an
/// ARN, without a region, and all without a date.
pub(crate) fn forms(name: &str) -> Vec<&str> {
    let name = ["converse/", "invoke/"].iter().find_map(|way| name.strip_prefix(way)).unwrap_or(name);
    let mut names = vec![name];
    names.extend(name.split_once('/').filter(|(place, _)| is_place(place)).map(|(_, model)| model));
    names.extend(in_arn(names.last().unwrap_or(&name)));
    let name = *names.last().unwrap_or(&name);
    names.extend(REGIONS.iter().find_map(|region| name.strip_prefix(region)));
    names.extend(names.clone().into_iter().filter_map(undated));
    names
}

/// The model that an ARN of Amazon's names; one of an operator's own profile names none.
fn in_arn(name: &str) -> Option<&str> {
    let resource = name.strip_prefix("arn:")?.splitn(5, ':').last()?;
    let kinds = ["foundation-model/", "inference-profile/"];
    kinds.iter().find_map(|kind| resource.strip_prefix(kind))
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

/// `us-east-1`.
fn is_place(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    (3..=4).contains(&parts.len()) && parts.last().is_some_and(|last| last.len() == 1 && is_digits(last))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn is_dashed_date(text: &str) -> bool {
    let mut parts = text.split('-').map(|part| (part.len(), is_digits(part)));
    (parts.next(), parts.next(), parts.next()) == (Some((4, true)), Some((2, true)), Some((2, true)))
}
