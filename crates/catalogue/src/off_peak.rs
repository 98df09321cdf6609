//! Prices that hold at some hours only (`off_peak_pricing`).

use gatewright_core::Price;
use serde_json::{Map, Value};

use crate::Meter;
use crate::price::rates_of;

/// Rates that replace the usual ones at some hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OffPeak {
    rates: Vec<(Meter, Price)>,
    windows: Vec<Window>,
    /// What is added to UTC before the day of the week is told.
    offset: u64,
}

/// Hours of some days.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    /// Days of the week, Monday is 1; empty means all.
    days: Vec<u64>,
    /// Minutes of the UTC day, the second one excluded. A window may wrap past midnight; one that ends where it
    /// begins is the whole day.
    hours: Vec<(u64, u64)>,
}

// === impl OffPeak ===

impl OffPeak {
    /// Reads `off_peak_pricing`; `None` where no window can be read.
    pub(crate) fn read(block: &Map<String, Value>) -> Option<Self> {
        let every_day = Window { days: Vec::new(), hours: hours(block.get("hours_utc")) };
        let listed = block.get("windows").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let listed = listed.iter().map(|window| Window {
            days: days(window.get("weekdays")),
            hours: hours(window.get("hours_utc")),
        });
        let windows: Vec<Window> =
            listed.chain([every_day]).filter(|window| !window.hours.is_empty()).collect();
        let offset = offset(block.get("weekday_timezone").and_then(Value::as_str));
        (!windows.is_empty()).then(|| Self { rates: rates_of(block), windows, offset })
    }

    /// Whether it holds at this time, in Unix seconds.
    pub(crate) fn holds(&self, at: u64) -> bool {
        let minute = at % 86_400 / 60;
        // The first day of Unix time was a Thursday.
        let day = (at.saturating_add(self.offset) / 86_400 + 3) % 7 + 1;
        let inside = |&(from, to): &(u64, u64)| match from < to {
            true => from <= minute && minute < to,
            false => minute >= from || minute < to,
        };
        let fits = |w: &Window| (w.days.is_empty() || w.days.contains(&day)) && w.hours.iter().any(inside);
        self.windows.iter().any(fits)
    }

    pub(crate) fn rates(&self) -> &[(Meter, Price)] {
        &self.rates
    }
}

fn hours(value: Option<&Value>) -> Vec<(u64, u64)> {
    match value {
        Some(Value::String(one)) => span(one).into_iter().collect(),
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).filter_map(span).collect(),
        _ => Vec::new(),
    }
}

/// Reads `16:30-00:30`.
fn span(text: &str) -> Option<(u64, u64)> {
    let minute = |clock: &str| {
        let (hour, minute) = clock.trim().split_once(':')?;
        let (hour, minute) = (hour.parse::<u64>().ok()?, minute.parse::<u64>().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let (from, to) = text.split_once('-')?;
    Some((minute(from)?, minute(to)?))
}

fn days(value: Option<&Value>) -> Vec<u64> {
    value
        .and_then(Value::as_array)
        .map_or_else(Vec::new, |days| days.iter().filter_map(Value::as_u64).collect())
}

/// Seconds ahead of UTC of the one calendar that price lists name besides UTC; it has no summer time.
fn offset(zone: Option<&str>) -> u64 {
    match zone {
        Some("Asia/Shanghai") => 8 * 3600,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_told_by_the_named_calendar() {
        let block = serde_json::json!({
            "input_cost_per_token": 1e-7,
            "weekday_timezone": "Asia/Shanghai",
            "windows": [
                {"hours_utc": ["00:00-01:00", "10:00-16:30"], "weekdays": [1, 2, 3, 4, 5]},
                {"hours_utc": "00:00-00:00", "weekdays": [6, 7]},
            ],
        });
        let off_peak = OffPeak::read(block.as_object().unwrap()).unwrap();
        // 2026-11-23 is a Monday; 1_795_392_000 is its midnight in UTC.
        let monday = 1_795_392_000;
        for (at, expected) in [
            (monday, true),
            (monday + 59 * 60, true),
            (monday + 60 * 60, false),
            (monday + 10 * 3600 - 1, false),
            (monday + 10 * 3600, true),
            (monday + 86_399, false),
            // Saturday in UTC, all day.
            (monday + 5 * 86_400 + 2 * 3600, true),
            // Sunday 17:00 UTC is Monday in Shanghai, outside the hours of weekdays.
            (monday - 7 * 3600, false),
            // Friday 17:00 UTC is Saturday in Shanghai.
            (monday + 4 * 86_400 + 17 * 3600, true),
        ] {
            assert_eq!(off_peak.holds(at), expected, "{at}");
        }
    }

    #[test]
    fn hours_wrap_past_midnight() {
        let block = serde_json::json!({"input_cost_per_token": 1e-7, "hours_utc": "16:30-00:30"});
        let off_peak = OffPeak::read(block.as_object().unwrap()).unwrap();
        for (minute, expected) in
            [(0, true), (29, true), (30, false), (16 * 60 + 29, false), (16 * 60 + 30, true)]
        {
            assert_eq!(off_peak.holds(minute * 60), expected, "{minute}");
        }
    }
}
