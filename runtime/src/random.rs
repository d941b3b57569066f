//! Randomness from the operating system's generator. Pure code takes what it needs of it as an argument.

use std::time::Duration;

/// The alphabet of [`base62`], in ASCII order.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The operating system gave no randomness: nothing that needs to be unguessable can be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the operating system's random generator")]
pub struct RandomError(#[from] getrandom::Error);

/// Fills `bytes` from the operating system's generator.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the random generator"
)]
pub fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    Ok(getrandom::fill(bytes)?)
}

/// `N` random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// `length` characters of `[0-9A-Za-z]`, each equally likely: 5.95 bits a character.
pub fn base62(length: usize) -> Result<String, RandomError> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let drawn = bytes::<64>()?;
        let missing = length - text.len();
        text.extend(drawn.into_iter().filter_map(base62_digit).take(missing));
    }
    Ok(text)
}

/// The low six bits as a digit. 62 and 63 are thrown away instead of folded, which would favour two digits.
fn base62_digit(byte: u8) -> Option<char> {
    BASE62
        .get(usize::from(byte & 0x3f))
        .map(|&digit| char::from(digit))
}

/// A duration drawn evenly between half of `full` and `full`, so that many who wait do not come back at once.
/// Without randomness it is `full`: waiting needs no secret.
pub fn jitter(full: Duration) -> Duration {
    let share = bytes::<4>().map_or(u32::MAX, u32::from_ne_bytes);
    full / 2 + (full / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;

    #[test]
    fn base62_has_the_length_asked_for_and_no_other_characters() {
        for length in [0, 1, 32, 63, 64, 65, 1000] {
            let text = base62(length).unwrap();
            assert_eq!(text.len(), length);
            assert!(
                text.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{text}"
            );
        }
    }

    #[test]
    fn every_base62_digit_comes_from_the_same_number_of_bytes() {
        let mut sources = BTreeMap::<char, u32>::new();
        for digit in (0..=u8::MAX).filter_map(base62_digit) {
            *sources.entry(digit).or_default() += 1;
        }
        assert_eq!(sources.len(), 62);
        assert!(sources.values().all(|&count| count == 4), "{sources:?}");
    }

    #[test]
    fn no_two_drawn_values_are_alike() {
        let drawn: HashSet<String> = (0..1000).map(|_| base62(32).unwrap()).collect();
        assert_eq!(drawn.len(), 1000);
        assert_ne!(bytes::<32>().unwrap(), bytes::<32>().unwrap());
    }

    #[test]
    fn jitter_stays_between_half_and_the_whole_and_differs() {
        let full = Duration::from_secs(10);
        let drawn: HashSet<Duration> = (0..100).map(|_| jitter(full)).collect();
        assert!(
            drawn
                .iter()
                .all(|&duration| duration >= full / 2 && duration <= full)
        );
        assert!(drawn.len() > 90);
        assert_eq!(jitter(Duration::ZERO), Duration::ZERO);
    }
}
