//! Spans of time and moments as LiteLLM writes them. When budgets begin anew is the calendar's of the limits.

use std::time::SystemTime;

use gatewright_limits::Calendar;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

/// A number of seconds, minutes, hours, days or months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    many: i64,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Month,
}

/// The time, and where and when days begin.
#[derive(Clone, Copy, Debug)]
pub struct Times<'a> {
    /// The time.
    pub now: SystemTime,
    /// Where and when days begin.
    pub calendar: &'a Calendar,
}

/// The longest number that a period may have: with months the longest that a moment can be away.
const MOST: i64 = 90_000;

// === impl Period ===

impl Period {
    /// Reads `30s`, `15m`, `2h`, `7d`, `2w`, `1mo`, `hourly`, `daily`, `weekly`, `monthly`, `yearly`.
    pub fn parse(text: &str) -> Option<Self> {
        let of = |many, unit| Some(Self { many, unit });
        match text.trim() {
            "hourly" => return of(1, Unit::Hour),
            "daily" => return of(1, Unit::Day),
            "weekly" => return of(7, Unit::Day),
            "monthly" => return of(1, Unit::Month),
            "yearly" => return of(12, Unit::Month),
            _ => {}
        }
        let text = text.trim();
        let (number, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
        let many: i64 = number.parse().ok()?;
        let (times, unit) = match unit {
            "s" => (1, Unit::Second),
            "m" => (1, Unit::Minute),
            "h" => (1, Unit::Hour),
            "d" => (1, Unit::Day),
            "w" => (7, Unit::Day),
            "mo" => (1, Unit::Month),
            _ => return None,
        };
        let most = if unit == Unit::Second { MOST * 86_400 } else { MOST };
        (0 < many && many <= most / times).then_some(Self { many: many * times, unit })
    }

    /// So long after a moment.
    pub fn after(self, start: SystemTime) -> SystemTime {
        let end = civil(start).checked_add(self.span()).unwrap_or(DateTime::MAX);
        moment(end)
    }

    fn span(self) -> Span {
        match self.unit {
            Unit::Second => self.many.seconds(),
            Unit::Minute => self.many.minutes(),
            Unit::Hour => self.many.hours(),
            Unit::Day => self.many.days(),
            Unit::Month => self.many.months(),
        }
    }
}

/// As LiteLLM writes moments: `2026-11-20T23:50:19.507000Z`.
pub(crate) fn printed(at: SystemTime) -> String {
    stamp(at).strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Reads a moment; one without an offset is in UTC.
pub(crate) fn read(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let whole = text.parse::<Timestamp>().ok();
    let local = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    whole.or_else(local).map(SystemTime::from)
}

fn stamp(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or_default()
}

fn civil(at: SystemTime) -> DateTime {
    TimeZone::UTC.to_datetime(stamp(at))
}

fn moment(at: DateTime) -> SystemTime {
    TimeZone::UTC.to_timestamp(at).map_or(SystemTime::UNIX_EPOCH, SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "1", "d", "-1d", "0d", "1y", "1.5h", "99999999999999999999s", "90001d", "é"] {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_lasts_from_the_moment_it_is_made() {
        let now = read("2026-01-31T10:00:00").unwrap();
        for (text, ends) in
            [("90s", "2026-01-31T10:01:30"), ("1mo", "2026-02-28T10:00:00"), ("2w", "2026-02-14T10:00:00")]
        {
            assert_eq!(printed(Period::parse(text).unwrap().after(now)), format!("{ends}.000000Z"), "{text}");
        }
    }
}
