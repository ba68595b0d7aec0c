//! Days and months of the Gregorian calendar in UTC, for quotas that people read off a calendar. No leap seconds: Unix time has none.

use countersign_base::UnixTime;

const DAY: i64 = 86_400;

/// A window that begins at midnight UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CalendarWindow {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

impl CalendarWindow {
    /// The number of the window that `now` lies in, counted from 1970; what lies before is in the first.
    pub(super) fn index(self, now: UnixTime) -> u64 {
        let days = now.0.max(0).div_euclid(DAY);
        let index = match self {
            Self::Day => days,
            Self::Month => {
                let (year, month) = civil(days);
                (year - 1970) * 12 + month - 1
            }
        };
        u64::try_from(index).unwrap_or(0)
    }

    /// When the window of this number ends.
    pub(super) fn end(self, index: u64) -> UnixTime {
        let next = i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1);
        let days = match self {
            Self::Day => next,
            Self::Month => first_of_month(1970 + next.div_euclid(12), next.rem_euclid(12) + 1),
        };
        UnixTime(days.saturating_mul(DAY))
    }
}

/// Year and month of a day since 1970. Years are counted from March, so that the leap day is the last of them.
const fn civil(days: i64) -> (i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let year = year_of_era + era * 400;
    if month_from_march < 10 {
        (year, month_from_march + 3)
    } else {
        (year + 1, month_from_march - 9)
    }
}

/// The day since 1970 on which a month begins.
const fn first_of_month(year: i64, month: i64) -> i64 {
    let (year, month_from_march) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month_from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts days one by one.
    fn slow(day: i64) -> (i64, i64) {
        let (mut year, mut month, mut left) = (1970, 1, day);
        loop {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            if left < length {
                return (year, month);
            }
            left -= length;
            (year, month) = if month == 12 {
                (year + 1, 1)
            } else {
                (year, month + 1)
            };
        }
    }

    #[test]
    fn months_agree_with_counting_days_for_four_centuries() {
        // Every tenth day and the days around it: all month ends are near one of them sooner or later.
        for day in (0..146_097 + 365).step_by(7) {
            assert_eq!(civil(day), slow(day), "{day}");
        }
        for (day, expected) in [
            (58, (1970, 2)),
            (59, (1970, 3)),
            (11_015, (2000, 2)),
            (11_016, (2000, 2)),
            (11_017, (2000, 3)),
        ] {
            assert_eq!((civil(day), slow(day)), (expected, expected), "{day}");
        }
    }

    #[test]
    fn a_window_ends_where_the_next_begins() {
        for window in [CalendarWindow::Day, CalendarWindow::Month] {
            for index in 0..2_000 {
                let end = window.end(index);
                assert_eq!(window.index(end), index + 1);
                assert_eq!(window.index(UnixTime(end.0 - 1)), index);
            }
        }
        // 2028-02-29T23:59:59Z lies in February of a leap year.
        assert_eq!(
            CalendarWindow::Month.end(CalendarWindow::Month.index(UnixTime(1_835_481_599))),
            UnixTime(1_835_481_600)
        );
    }
}
