//! Identifiers that look like Stripe's: a prefix and base62 characters, drawn from a seed and a counter.

use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The source of every identifier and secret of one simulator. A reset does not turn it back, so that an id is never
/// given out twice.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    drawn: u64,
}

impl Ids {
    /// Two sources with the same seed give the same ids.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// `prefix` followed by `length` base62 characters.
    pub(crate) fn next(&mut self, prefix: &str, length: usize) -> String {
        let mut id = String::from(prefix);
        while id.len() < prefix.len() + length {
            self.drawn += 1;
            let mut hash = Sha256::new();
            hash.update(self.seed.to_be_bytes());
            hash.update(self.drawn.to_be_bytes());
            let wanted = prefix.len() + length - id.len();
            id.extend(
                hash.finalize()
                    .iter()
                    .take(wanted)
                    .map(|byte| char::from(ALPHABET[usize::from(*byte) % 62])),
            );
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_their_prefix_and_never_repeat() {
        let mut ids = Ids::new(7);
        let first = ids.next("cus_", 14);
        assert!(first.starts_with("cus_") && first.len() == 18);
        assert_ne!(first, ids.next("cus_", 14));
        assert_eq!(ids.next("cs_test_", 58).len(), 66);
    }
}
