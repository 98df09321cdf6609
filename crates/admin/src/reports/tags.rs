//! What was spent with each tag. A call with two tags counts with both.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use gatewright_core::Money;
use gatewright_store::Dimension;
use serde_json::{Value, json};

use super::days;
use crate::ask::Ask;
use crate::failure::Result;
use crate::objects::dollars;

/// `GET /global/spend/tags`.
pub(crate) async fn spend_per_tag(ask: &mut Ask) -> Result<Value> {
    let asked = days::required(ask)?;
    let wanted = ask.params("tags");
    let rows = by_tag(ask, asked).await?;
    let rows = rows.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    let one = |(name, (count, spent)): (String, (i64, Money))| json!({"name": name, "spend": dollars(spent), "log_count": count});
    Ok(json!({"spend_per_tag": rows.map(one).collect::<Vec<_>>()}))
}

/// `GET /spend/tags`.
pub(crate) async fn tags(ask: &mut Ask) -> Result<Value> {
    let rows = by_tag(ask, days::asked(ask)?).await?;
    let one = |(name, (count, spent)): (String, (i64, Money))| json!({"individual_request_tag": name, "log_count": count, "total_spend": dollars(spent)});
    Ok(rows.into_iter().map(one).collect())
}

async fn by_tag(ask: &Ask, asked: RangeInclusive<u32>) -> Result<BTreeMap<String, (i64, Money)>> {
    let mut tags: BTreeMap<String, (i64, Money)> = BTreeMap::new();
    for row in days::sums(ask, asked, &[Dimension::Tags]).await? {
        for tag in listed(&days::name(&row, 0)) {
            let (count, spent) = tags.entry(tag).or_default();
            *count += row.sums.succeeded + row.sums.failed;
            *spent += row.sums.cost;
        }
    }
    Ok(tags)
}

/// The tags of a call, which are kept as one text.
pub(crate) fn listed(kept: &str) -> Vec<String> {
    serde_json::from_str(kept).unwrap_or_default()
}
