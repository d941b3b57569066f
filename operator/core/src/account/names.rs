//! Names of the resources that the account API makes. The same wish has the same name, so that it is granted once
//! however often, and through however many replicas, it is made.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Longest name of a customer that is part of other names as it is: what follows it has room in a label (63).
const LONGEST_BASE: usize = 40;
/// Hexadecimal digits of a digest that stand for a text in a name: 80 bits.
const DIGITS: usize = 20;

/// The GlyphCustomer of the Cognito user `sub`.
#[must_use]
pub fn customer(sub: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = !sub.is_empty() && sub.len() < LONGEST_BASE - 2 && !sub.ends_with('-');
    if fits && sub.bytes().all(plain) {
        format!("u-{sub}")
    } else {
        format!("u-{}", short_digest(&[sub]))
    }
}

/// What the names of a customer's things begin with.
#[must_use]
pub fn base(customer: &str) -> String {
    if customer.len() <= LONGEST_BASE {
        return customer.to_owned();
    }
    let cut = customer
        .get(..LONGEST_BASE - DIGITS - 1)
        .unwrap_or_default();
    format!(
        "{}-{}",
        cut.trim_end_matches(['-', '.']),
        short_digest(&[customer])
    )
}

/// The `number`th Subscription of a customer: the next one only when the last has ended.
#[must_use]
pub fn subscription(customer: &str, number: usize) -> String {
    format!("{}-s{number}", base(customer))
}

/// The purchase that a customer asked for under an idempotency key.
#[must_use]
pub fn purchase(customer: &str, idempotency_key: &str) -> String {
    let digits = short_digest(&[customer, "purchase", idempotency_key]);
    format!("{}-p{digits}", base(customer))
}

/// The idempotency key of a purchase that came without one: the `number`th of this pack and quantity.
#[must_use]
pub fn purchase_number(pack: &str, quantity: u32, number: usize) -> String {
    // No key of a caller's can hold a line break.
    format!("{pack}\n{quantity}\n{number}")
}

/// A digest of texts, as hexadecimal digits. No two lists of texts share one.
#[must_use]
pub fn digest(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    let mut digits = String::with_capacity(64);
    for byte in hasher.finalize() {
        // Writing to a String does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

fn short_digest(texts: &[&str]) -> String {
    let mut digits = digest(texts);
    digits.truncate(DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUB: &str = "3f2b9a10-0c57-4a3e-9d0c-1f6b1c0a7e55";

    #[test]
    fn a_customer_is_named_by_its_sub_and_any_other_sub_by_its_digest() {
        assert_eq!(customer(SUB), format!("u-{SUB}"));
        for odd in ["UPPER", "", "with space", &"a".repeat(60), "ends-"] {
            let name = customer(odd);
            assert_eq!(name.len(), 2 + DIGITS, "{odd}");
        }
        assert_ne!(customer("A"), customer("B"));
    }

    #[test]
    fn every_name_fits_a_label() {
        for name in [customer(SUB), "c".repeat(63)] {
            for made in [subscription(&name, 9999), purchase(&name, "a key")] {
                assert!(made.len() <= 63, "{made}");
                assert!(
                    made.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
                    "{made}"
                );
            }
        }
        let long = ["c".repeat(62) + "a", "c".repeat(62) + "b"];
        assert_ne!(base(&long[0]), base(&long[1]));
    }

    #[test]
    fn the_borders_between_texts_count() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["a"]), digest(&["a"]));
    }
}
