//! Periods of the calendar, as LiteLLM cuts them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::{Date, Time, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::rule::Window;

/// How long a period lasts. Its periods lie on a grid, so that everybody who knows the length knows the ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Every {
    /// Less than a day, from midnight on; the last one of a day ends with it. Longer ones count from 1970.
    Seconds(u64),
    /// Days; seven of them are a week from Monday on.
    Days(u32),
    /// Months; several from January on.
    Months(u32),
}

/// Where and when days begin.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    day_begins: Time,
}

/// One length in one calendar, and the period that runs.
#[derive(Debug)]
pub struct Cycle {
    name: Arc<str>,
    every: Every,
    calendar: Calendar,
    /// The end that was computed last, in Unix seconds.
    ends: AtomicU64,
}

const DAY: u64 = 86_400;

/// The Monday that grids of days are counted from.
const FIRST_MONDAY: Date = date(1970, 1, 5);

// === impl Every ===

impl Every {
    /// Reads `30s`, `15m`, `2h`, `1d`, `2w`, `1mo` and `hourly`, `daily`, `weekly`, `monthly`, `yearly`. `30d` is a month, as in
    /// LiteLLM.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = match text.as_str() {
            "hourly" => (1, "h"),
            "daily" => (1, "d"),
            "weekly" => (1, "w"),
            "monthly" => (1, "mo"),
            "yearly" => (12, "mo"),
            text => {
                (text.get(..digits)?.parse::<u32>().ok().filter(|number| *number > 0)?, text.get(digits..)?)
            }
        };
        let seconds = |unit: u64| Self::of_seconds(u64::from(number) * unit);
        match unit {
            "s" => seconds(1),
            "m" => seconds(60),
            "h" => seconds(3600),
            "d" if number == 30 => Some(Self::Months(1)),
            "d" => Some(Self::Days(number)),
            "w" => Some(Self::Days(number.checked_mul(7)?)),
            "mo" => Some(Self::Months(number)),
            _ => None,
        }
    }

    /// About how long that is: a month is a twelfth of a year here.
    pub fn about(self) -> Duration {
        match self {
            Self::Seconds(seconds) => Duration::from_secs(seconds),
            Self::Days(days) => Duration::from_secs(u64::from(days) * DAY),
            Self::Months(months) => Duration::from_secs(u64::from(months) * 365 * DAY / 12),
        }
    }

    /// Whole days are days, so that `24h` ends at midnight also where a day is longer.
    fn of_seconds(seconds: u64) -> Option<Self> {
        match seconds % DAY {
            0 => Some(Self::Days(u32::try_from(seconds / DAY).ok()?)),
            _ => Some(Self::Seconds(seconds)),
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(n) => write!(f, "{n}s"),
            Self::Days(n) => write!(f, "{n}d"),
            Self::Months(n) => write!(f, "{n}mo"),
        }
    }
}

// === impl Calendar ===

impl Default for Calendar {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, day_begins: Time::midnight() }
    }
}

impl Calendar {
    /// Days in this zone of the IANA's (`Europe/Berlin`).
    pub fn in_zone(name: &str) -> Option<Self> {
        let zone = TimeZone::get(name).ok()?;
        Some(Self { zone, day_begins: Time::midnight() })
    }

    /// Days that begin at this time (`HH:MM`).
    pub fn with_days_from(self, time: &str) -> Option<Self> {
        let (hour, minute) = time.trim().split_once(':')?;
        let day_begins = Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()?;
        Some(Self { day_begins, ..self })
    }

    /// When the period ends that runs now. Years from now where the calendar knows no such day.
    pub fn end(&self, every: Every, now: SystemTime) -> SystemTime {
        const NEVER: Duration = Duration::from_secs(100 * 366 * DAY);
        let end = Timestamp::try_from(now).ok().and_then(|now| self.end_after(every, now));
        end.map_or(now + NEVER, SystemTime::from)
    }

    /// The period that was over last: when it began and when it ended.
    pub fn last(&self, every: Every, now: SystemTime) -> (SystemTime, SystemTime) {
        let ended = self.last_end(every, now);
        (self.last_end(every, ended - Duration::from_secs(1)), ended)
    }

    /// The last end until now, looked for from before it on: only what follows a moment is known of a calendar.
    fn last_end(&self, every: Every, now: SystemTime) -> SystemTime {
        let before = 2 * every.about() + Duration::from_secs(2 * DAY);
        let mut at = now.checked_sub(before).unwrap_or(UNIX_EPOCH);
        loop {
            let end = self.end(every, at);
            if end > now || end <= at {
                return at;
            }
            at = end;
        }
    }

    /// When the first period ends of a budget that begins now. Days that make no whole week are counted from today, as
    /// LiteLLM counts them; the others lie on the grid.
    pub fn first_end(&self, every: Every, now: SystemTime) -> SystemTime {
        let counted = match every {
            Every::Days(days) if !matches!(days, 1 | 7) => self.days_after(now, u64::from(days)),
            _ => None,
        };
        counted.unwrap_or_else(|| self.end(every, now))
    }

    /// When the period ends that runs now, of a budget whose period was to end at `kept` when that was written.
    pub fn end_following(&self, every: Every, kept: SystemTime, now: SystemTime) -> SystemTime {
        let counted = match every {
            _ if kept > now => Some(kept),
            Every::Days(days) if !matches!(days, 1 | 7) => {
                let (step, over) = (u64::from(days), now.duration_since(kept).unwrap_or_default());
                let steps = over.as_secs() / (step * DAY);
                let end = |steps: u64| self.days_after(kept, steps.checked_mul(step)?);
                // A day may have an hour more or less.
                (steps..=steps + 2).filter_map(end).find(|end| *end > now)
            }
            _ => None,
        };
        counted.unwrap_or_else(|| self.end(every, now))
    }

    /// The beginning of the day so many days after the one of this moment.
    fn days_after(&self, from: SystemTime, days: u64) -> Option<SystemTime> {
        let today = self.day_of(&Timestamp::try_from(from).ok()?.to_zoned(self.zone.clone()))?;
        let hours = i64::try_from(days).ok()?.checked_mul(24)?;
        let day = today.checked_add(SignedDuration::from_hours(hours)).ok()?;
        Some(self.beginning(day)?.timestamp().into())
    }

    fn day_of(&self, local: &Zoned) -> Option<Date> {
        match local.time() < self.day_begins {
            true => local.date().yesterday().ok(),
            false => Some(local.date()),
        }
    }

    fn end_after(&self, every: Every, now: Timestamp) -> Option<Timestamp> {
        let today = self.day_of(&now.to_zoned(self.zone.clone()))?;
        match every {
            Every::Seconds(seconds) if seconds < DAY => {
                let begin = self.beginning(today)?;
                let passed = u64::try_from(now.duration_since(begin.timestamp()).as_secs()).ok()?;
                let next =
                    begin.timestamp().checked_add(seconds_of((passed / seconds + 1) * seconds)?).ok()?;
                Some(next.min(self.beginning(today.tomorrow().ok()?)?.timestamp()))
            }
            Every::Seconds(seconds) => {
                let passed = u64::try_from(now.as_second()).ok()?;
                Timestamp::UNIX_EPOCH.checked_add(seconds_of((passed / seconds + 1) * seconds)?).ok()
            }
            Every::Days(days) => {
                let passed = today.duration_since(FIRST_MONDAY).as_hours() / 24;
                let next = (passed.div_euclid(i64::from(days)) + 1) * i64::from(days);
                let next =
                    FIRST_MONDAY.checked_add(SignedDuration::from_hours(next.checked_mul(24)?)).ok()?;
                Some(self.beginning(next)?.timestamp())
            }
            Every::Months(months) => {
                let month = i64::from(today.year()) * 12 + i64::from(today.month()) - 1;
                let next = (month / i64::from(months) + 1) * i64::from(months);
                let (year, month) = (i16::try_from(next / 12).ok()?, i8::try_from(next % 12 + 1).ok()?);
                Some(self.beginning(Date::new(year, month, 1).ok()?)?.timestamp())
            }
        }
    }

    fn beginning(&self, day: Date) -> Option<Zoned> {
        day.to_datetime(self.day_begins).to_zoned(self.zone.clone()).ok()
    }
}

fn seconds_of(seconds: u64) -> Option<SignedDuration> {
    i64::try_from(seconds).ok().map(SignedDuration::from_secs)
}

// === impl Cycle ===

impl Cycle {
    /// Periods of this length.
    pub fn new(every: Every, calendar: Calendar) -> Self {
        Self { name: every.to_string().into(), every, calendar, ends: AtomicU64::new(0) }
    }

    /// The period that runs now. The calendar is asked once a period.
    pub fn window(&self, now: SystemTime) -> Window {
        let known = UNIX_EPOCH + Duration::from_secs(self.ends.load(Ordering::Relaxed));
        if now < known {
            return Window::Period { name: Arc::clone(&self.name), ends: known };
        }
        let ends = self.calendar.end(self.every, now);
        let seconds = ends.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.ends.store(seconds, Ordering::Relaxed);
        Window::Period { name: Arc::clone(&self.name), ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    #[test]
    fn lengths_are_read_as_litellm_writes_them() {
        for (text, every) in [
            ("30s", Some(Every::Seconds(30))),
            ("90m", Some(Every::Seconds(5400))),
            ("2h", Some(Every::Seconds(7200))),
            ("hourly", Some(Every::Seconds(3600))),
            ("24h", Some(Every::Days(1))),
            ("daily", Some(Every::Days(1))),
            ("7d", Some(Every::Days(7))),
            ("1w", Some(Every::Days(7))),
            ("Weekly", Some(Every::Days(7))),
            ("14d", Some(Every::Days(14))),
            ("30d", Some(Every::Months(1))),
            ("1mo", Some(Every::Months(1))),
            ("monthly", Some(Every::Months(1))),
            ("3mo", Some(Every::Months(3))),
            ("yearly", Some(Every::Months(12))),
            ("0d", None),
            ("d", None),
            ("1y", None),
            ("-1d", None),
            ("1.5h", None),
            ("", None),
            ("99999999999d", None),
        ] {
            assert_eq!(Every::parse(text), every, "{text}");
        }
    }

    #[test]
    fn periods_end_where_the_calendar_says() {
        for (zone, begins, every, now, end) in [
            ("UTC", "00:00", "1d", "2026-11-20T23:51:22Z", "2026-11-21T00:00:00Z"),
            ("UTC", "00:00", "1d", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
            // 20 November 2026 is a Friday.
            ("UTC", "00:00", "7d", "2026-11-20T12:00:00Z", "2026-11-23T00:00:00Z"),
            ("UTC", "00:00", "weekly", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("UTC", "00:00", "30d", "2026-11-20T12:00:00Z", "2026-12-01T00:00:00Z"),
            ("UTC", "00:00", "1mo", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
            ("UTC", "00:00", "1mo", "2028-02-29T08:00:00Z", "2028-03-01T00:00:00Z"),
            ("UTC", "00:00", "3mo", "2026-11-20T12:00:00Z", "2027-01-01T00:00:00Z"),
            ("UTC", "00:00", "2d", "2026-11-20T12:00:00Z", "2026-11-21T00:00:00Z"),
            ("UTC", "00:00", "2d", "2026-11-21T12:00:00Z", "2026-11-23T00:00:00Z"),
            ("UTC", "00:00", "1h", "2026-11-20T12:34:56Z", "2026-11-20T13:00:00Z"),
            ("UTC", "00:00", "6h", "2026-11-20T12:00:00Z", "2026-11-20T18:00:00Z"),
            ("UTC", "00:00", "5h", "2026-11-20T21:00:00Z", "2026-11-21T00:00:00Z"),
            ("UTC", "00:00", "15m", "2026-11-20T12:31:00Z", "2026-11-20T12:45:00Z"),
            ("UTC", "00:00", "30s", "2026-11-20T12:31:29Z", "2026-11-20T12:31:30Z"),
            ("UTC", "00:00", "36h", "1970-01-01T00:00:00Z", "1970-01-02T12:00:00Z"),
            ("Europe/Berlin", "00:00", "1d", "2026-11-20T23:51:22Z", "2026-11-21T23:00:00Z"),
            ("Asia/Kolkata", "00:00", "1h", "2026-11-20T12:10:00Z", "2026-11-20T12:30:00Z"),
            // The clocks go forward on 28 March 2027 and back on 31 October 2027.
            ("Europe/Berlin", "00:00", "1d", "2027-03-27T23:30:00Z", "2027-03-28T22:00:00Z"),
            ("Europe/Berlin", "00:00", "24h", "2027-10-30T22:30:00Z", "2027-10-31T23:00:00Z"),
            ("Europe/Berlin", "02:30", "1d", "2027-03-27T12:00:00Z", "2027-03-28T01:30:00Z"),
            ("America/New_York", "00:00", "1mo", "2026-12-01T02:00:00Z", "2026-12-01T05:00:00Z"),
            ("UTC", "06:30", "1d", "2026-11-20T06:29:59Z", "2026-11-20T06:30:00Z"),
            ("UTC", "06:30", "1mo", "2026-12-01T06:00:00Z", "2026-12-01T06:30:00Z"),
            ("UTC", "06:30", "7d", "2026-11-23T06:00:00Z", "2026-11-23T06:30:00Z"),
        ] {
            let calendar = Calendar::in_zone(zone).unwrap().with_days_from(begins).unwrap();
            let got = Timestamp::try_from(calendar.end(Every::parse(every).unwrap(), at(now))).unwrap();
            assert_eq!(got.to_string(), end, "{every} at {now} in {zone} from {begins}");
        }
    }

    #[test]
    fn the_last_period_is_the_one_before_the_one_that_runs() {
        for (zone, every, now, began, ended) in [
            ("UTC", "1d", "2026-11-20T23:51:22Z", "2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z"),
            ("UTC", "1d", "2026-11-20T00:00:00Z", "2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z"),
            ("UTC", "7d", "2026-11-20T12:00:00Z", "2026-11-09T00:00:00Z", "2026-11-16T00:00:00Z"),
            ("UTC", "30d", "2026-03-20T12:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("UTC", "3mo", "2026-11-20T12:00:00Z", "2026-07-01T00:00:00Z", "2026-10-01T00:00:00Z"),
            ("Europe/Berlin", "1d", "2027-03-28T22:30:00Z", "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"),
        ] {
            let calendar = Calendar::in_zone(zone).unwrap();
            let last = calendar.last(Every::parse(every).unwrap(), at(now));
            assert_eq!(last, (at(began), at(ended)), "{every} at {now} in {zone}");
        }
    }

    #[test]
    fn a_budget_counts_from_its_first_day_where_no_calendar_cuts_it() {
        for (zone, every, now, first, later, following) in [
            (
                "UTC",
                "3d",
                "2026-11-20T23:50:20Z",
                "2026-11-23T00:00:00Z",
                "2026-11-30T05:00:00Z",
                "2026-12-02T00:00:00Z",
            ),
            (
                "UTC",
                "10d",
                "2026-11-20T08:00:00Z",
                "2026-11-30T00:00:00Z",
                "2026-11-29T08:00:00Z",
                "2026-11-30T00:00:00Z",
            ),
            (
                "UTC",
                "14d",
                "2026-11-20T08:00:00Z",
                "2026-12-04T00:00:00Z",
                "2026-12-04T00:00:00Z",
                "2026-12-18T00:00:00Z",
            ),
            (
                "UTC",
                "1d",
                "2026-11-20T08:00:00Z",
                "2026-11-21T00:00:00Z",
                "2026-11-30T05:00:00Z",
                "2026-12-01T00:00:00Z",
            ),
            (
                "UTC",
                "7d",
                "2026-11-20T08:00:00Z",
                "2026-11-23T00:00:00Z",
                "2026-11-30T05:00:00Z",
                "2026-12-07T00:00:00Z",
            ),
            (
                "UTC",
                "30d",
                "2026-11-20T08:00:00Z",
                "2026-12-01T00:00:00Z",
                "2026-12-30T05:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
            (
                "UTC",
                "5h",
                "2026-11-20T08:00:00Z",
                "2026-11-20T10:00:00Z",
                "2026-11-20T10:00:00Z",
                "2026-11-20T15:00:00Z",
            ),
            // The clocks go forward on 28 March 2027.
            (
                "Europe/Berlin",
                "2d",
                "2027-03-26T12:00:00Z",
                "2027-03-27T23:00:00Z",
                "2027-03-29T21:59:59Z",
                "2027-03-29T22:00:00Z",
            ),
            (
                "Europe/Berlin",
                "2d",
                "2027-03-26T12:00:00Z",
                "2027-03-27T23:00:00Z",
                "2027-03-29T22:00:00Z",
                "2027-03-31T22:00:00Z",
            ),
        ] {
            let (calendar, every) = (Calendar::in_zone(zone).unwrap(), Every::parse(every).unwrap());
            let told = |at: SystemTime| Timestamp::try_from(at).unwrap().to_string();
            let begun = calendar.first_end(every, at(now));
            assert_eq!(told(begun), first, "{every} from {now} in {zone}");
            assert_eq!(
                told(calendar.end_following(every, begun, at(later))),
                following,
                "{every} at {later} in {zone}"
            );
        }
    }

    #[test]
    fn what_is_no_zone_or_time_is_refused() {
        assert!(Calendar::in_zone("Europe/Nowhere").is_none());
        for time in ["24:00", "6", "six", "06:60"] {
            assert!(Calendar::default().with_days_from(time).is_none(), "{time}");
        }
    }

    #[test]
    fn a_cycle_names_one_period_until_it_ends() {
        let cycle = Cycle::new(Every::Days(1), Calendar::default());
        let ends = |now| match cycle.window(at(now)) {
            Window::Period { name, ends } if &*name == "1d" => Timestamp::try_from(ends).unwrap().to_string(),
            other => panic!("{other:?}"),
        };
        for (now, end) in [
            ("2026-11-20T12:00:00Z", "2026-11-21T00:00:00Z"),
            ("2026-11-20T23:59:59Z", "2026-11-21T00:00:00Z"),
            ("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
        ] {
            assert_eq!(ends(now), end, "{now}");
        }
    }
}
