//! Numbers in few characters.

use std::time::Duration;

/// At most six characters: in full below 100,000, else three digits and a letter for a power of 1,000.
pub fn count(value: u64) -> String {
    if value < 100_000 {
        return value.to_string();
    }
    let mut left = value as f64;
    for letter in ['k', 'M', 'G', 'T', 'P', 'E'] {
        left /= 1000.0;
        if left < 999.5 || letter == 'E' {
            let digits = if left < 9.995 { 2 } else { usize::from(left < 99.95) };
            return format!("{left:.digits$}{letter}");
        }
    }
    String::new()
}

/// The same for a rate; below ten with a digit behind the point.
pub fn rate(value: f64) -> String {
    if value > 0.0 && value < 9.95 { format!("{value:.1}") } else { count(value.round() as u64) }
}

/// The same where there may be none.
pub fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// Bytes, with units of 1,000.
pub fn bytes(value: u64) -> String {
    format!("{}B", count(value))
}

/// Hours, minutes and seconds, and days if there are any.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let clock = format!("{hours}:{minutes:02}:{:02}", seconds % 60);
    if days > 0 { format!("{days}d {clock}") } else { clock }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let counts = [
            (0, "0"),
            (99_999, "99999"),
            (100_000, "100k"),
            (999_499, "999k"),
            (999_500, "1.00M"),
            (9_994_999, "9.99M"),
            (9_996_000, "10.0M"),
            (99_960_000, "100M"),
            (1_234_567_890, "1.23G"),
            (u64::MAX, "18.4E"),
        ];
        for (value, wanted) in counts {
            assert_eq!(count(value), wanted, "{value}");
        }
        for (value, wanted) in [(0.0, "0"), (0.04, "0.0"), (9.94, "9.9"), (9.96, "10"), (123_456.0, "123k")] {
            assert_eq!(rate(value), wanted, "{value}");
        }
        for (seconds, wanted) in [(0, "0:00:00"), (3_661, "1:01:01"), (90_061, "1d 1:01:01")] {
            assert_eq!(time(Duration::from_secs(seconds)), wanted);
        }
        assert_eq!((bytes(7), bytes(20_000_000)), ("7B".to_owned(), "20.0MB".to_owned()));
    }
}
