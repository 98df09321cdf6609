//! Spans of time as LiteLLM writes them, and the moments at which budgets begin anew.

use std::time::SystemTime;

use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

/// A number of seconds, minutes, hours, days or months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
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

/// The longest number that a period may have: with months the longest that a moment can be away.
const MOST: i64 = 90_000;

// === impl Period ===

impl Period {
    /// Reads `30s`, `15m`, `2h`, `7d`, `2w`, `1mo`, `hourly`, `daily`, `weekly`, `monthly`, `yearly`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
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
    pub(crate) fn after(self, start: SystemTime) -> SystemTime {
        let end = civil(start).checked_add(self.span()).unwrap_or(DateTime::MAX);
        moment(end)
    }

    /// When a budget for this time ends next: at the next midnight, Monday or first of a month for `1d`, `7d`, `30d`
    /// and months, on the grid of the day for hours and less, else so many days after this one.
    pub(crate) fn next(self, now: SystemTime) -> SystemTime {
        let now = civil(now);
        let midnight = now.date().to_datetime(jiff::civil::Time::midnight());
        let next = match (self.unit, self.many) {
            (Unit::Day, 7) => {
                let monday = now.date().nth_weekday(1, Weekday::Monday);
                monday.map(|date| date.to_datetime(jiff::civil::Time::midnight()))
            }
            (Unit::Day, 30) => first_of_month(midnight, 1),
            (Unit::Day, days) => midnight.checked_add(days.days()),
            (Unit::Month, months) => first_of_month(midnight, months),
            (Unit::Hour, many) => grid(midnight, now, many * 3600),
            (Unit::Minute, many) => grid(midnight, now, many * 60),
            (Unit::Second, many) => grid(midnight, now, many),
        };
        moment(next.unwrap_or(DateTime::MAX))
    }

    /// When the time ends that runs now, where it was to end at `kept` when that was written.
    pub(crate) fn current(self, kept: SystemTime, now: SystemTime) -> SystemTime {
        if kept > now {
            return kept;
        }
        match (self.unit, self.many) {
            (Unit::Day, days) if !matches!(days, 1 | 7 | 30) => {
                let step = std::time::Duration::from_secs(days.unsigned_abs() * 86_400);
                let over = now.duration_since(kept).unwrap_or_default().as_secs() / step.as_secs();
                let steps = u32::try_from(over + 1).unwrap_or(u32::MAX);
                step.checked_mul(steps).and_then(|all| kept.checked_add(all)).unwrap_or(now)
            }
            _ => self.next(now),
        }
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

fn grid(midnight: DateTime, now: DateTime, step: i64) -> Result<DateTime, jiff::Error> {
    let since = i64::from(now.hour()) * 3600 + i64::from(now.minute()) * 60 + i64::from(now.second());
    midnight.checked_add(((since / step + 1) * step).seconds())
}

fn first_of_month(midnight: DateTime, months: i64) -> Result<DateTime, jiff::Error> {
    midnight.first_of_month().checked_add(months.months())
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
    fn budgets_begin_anew_by_the_calendar() {
        let now = read("2026-11-20T23:50:20.698Z").unwrap();
        for (text, next) in [
            ("1d", "2026-11-21T00:00:00"),
            ("daily", "2026-11-21T00:00:00"),
            ("7d", "2026-11-23T00:00:00"),
            ("1w", "2026-11-23T00:00:00"),
            ("30d", "2026-12-01T00:00:00"),
            ("1mo", "2026-12-01T00:00:00"),
            ("monthly", "2026-12-01T00:00:00"),
            ("2mo", "2027-01-01T00:00:00"),
            ("3d", "2026-11-23T00:00:00"),
            ("1h", "2026-11-21T00:00:00"),
            ("5h", "2026-11-21T01:00:00"),
            ("15m", "2026-11-21T00:00:00"),
            ("7m", "2026-11-20T23:55:00"),
            ("30s", "2026-11-20T23:50:30"),
        ] {
            let told = printed(Period::parse(text).unwrap().next(now));
            assert_eq!(told, format!("{next}.000000Z"), "{text}");
        }
        for text in ["", "1", "d", "-1d", "0d", "1y", "1.5h", "99999999999999999999s", "90001d", "é"] {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_that_is_over_is_followed_by_the_one_that_runs() {
        let (kept, now) = (read("2026-11-20T00:00:00Z").unwrap(), read("2026-11-30T05:00:00Z").unwrap());
        for (text, ends) in [("3d", "2026-12-02"), ("1d", "2026-12-01"), ("10d", "2026-12-10")] {
            let told = printed(Period::parse(text).unwrap().current(kept, now));
            assert_eq!(told, format!("{ends}T00:00:00.000000Z"), "{text}");
        }
        assert_eq!(Period::parse("3d").unwrap().current(now, kept), now, "it still runs");
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
