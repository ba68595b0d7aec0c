//! `Retry-After` (RFC 9110 §10.2.3): so many seconds, or a date.

use countersign_base::{Duration, UnixTime};
use http::{HeaderMap, header};
use std::time::UNIX_EPOCH;

/// When a receiver wants to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Not before this time.
    At(UnixTime),
    /// Not before so long has passed.
    In(Duration),
}

impl RetryAfter {
    /// What the header fields say; nothing where they say it in no form that the standard has, or twice.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::RETRY_AFTER).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let text = value.to_str().ok()?.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // More seconds than fit are as many as fit: whoever reads this has a bound of its own.
            let seconds = text.parse().unwrap_or(u64::MAX);
            return Some(Self::In(Duration::from_secs(seconds)));
        }
        let date = httpdate::parse_http_date(text).ok()?;
        let seconds = date.duration_since(UNIX_EPOCH).ok()?.as_secs();
        Some(Self::At(UnixTime(i64::try_from(seconds).ok()?)))
    }

    /// The time it means, if it was said now.
    #[must_use]
    pub fn time(self, now: UnixTime) -> UnixTime {
        match self {
            Self::At(time) => time,
            Self::In(span) => now.plus(span),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RetryAfter;
    use countersign_base::{Duration, UnixTime};
    use http::{HeaderMap, HeaderValue, header};

    fn read(values: &[&str]) -> Option<RetryAfter> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::RETRY_AFTER, HeaderValue::from_str(value).unwrap());
        }
        RetryAfter::of(&headers)
    }

    #[test]
    fn seconds_and_dates_are_read_and_nothing_else() {
        let seconds = |seconds| Some(RetryAfter::In(Duration::from_secs(seconds)));
        assert_eq!(read(&["120"]), seconds(120));
        assert_eq!(read(&["0"]), seconds(0));
        assert_eq!(read(&["99999999999999999999999"]), seconds(u64::MAX));
        // The example of RFC 9110 §5.6.7, in its three forms.
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(
                read(&[date]),
                Some(RetryAfter::At(UnixTime(784_111_777))),
                "{date}"
            );
        }
        for not in ["", "soon", "-1", "1.5", "12 s", "Sun, 06 Nov 1994"] {
            assert_eq!(read(&[not]), None, "{not}");
        }
        assert_eq!(read(&["1", "2"]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn it_means_a_time() {
        let now = UnixTime(1_000);
        assert_eq!(
            RetryAfter::In(Duration::from_secs(5)).time(now),
            UnixTime(1_005)
        );
        assert_eq!(RetryAfter::At(UnixTime(7)).time(now), UnixTime(7));
        assert_eq!(
            RetryAfter::In(Duration::from_secs(u64::MAX)).time(now),
            UnixTime(i64::MAX)
        );
    }
}
