//! Which passwords a user pool takes
//! (<https://docs.aws.amazon.com/cognito/latest/developerguide/managing-users-passwords.html>). It is judged here, before
//! the pool is asked: the pool speaks of a weak password only where the address is new, which would tell that it is.

/// The longest password that Cognito takes, in characters.
pub const LONGEST: usize = 256;

/// A pool's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordRules {
    /// Least characters.
    pub length: usize,
    /// An upper-case letter is needed.
    pub upper: bool,
    /// A lower-case letter is needed.
    pub lower: bool,
    /// A digit is needed.
    pub digit: bool,
    /// A symbol is needed.
    pub symbol: bool,
}

impl Default for PasswordRules {
    /// Those of a pool that says nothing.
    fn default() -> Self {
        Self {
            length: 8,
            upper: true,
            lower: true,
            digit: true,
            symbol: true,
        }
    }
}

impl PasswordRules {
    /// Whether `password` is taken; if not, the sentence that says what is.
    ///
    /// # Errors
    /// What a password needs.
    pub fn check(&self, password: &str) -> Result<(), String> {
        let length = password.chars().count();
        let has = |is: fn(&char) -> bool| password.chars().any(|letter| is(&letter));
        let holds = (self.length..=LONGEST).contains(&length)
            && (!self.upper || has(|letter| letter.is_ascii_uppercase()))
            && (!self.lower || has(|letter| letter.is_ascii_lowercase()))
            && (!self.digit || has(|letter| letter.is_ascii_digit()))
            && (!self.symbol || has(|letter| letter.is_ascii_punctuation() || *letter == ' '));
        if holds { Ok(()) } else { Err(self.sentence()) }
    }

    fn sentence(&self) -> String {
        let needs = [
            (self.upper, "an upper-case letter"),
            (self.lower, "a lower-case letter"),
            (self.digit, "a digit"),
            (self.symbol, "a symbol"),
        ];
        let needs: Vec<&str> = needs
            .iter()
            .filter(|need| need.0)
            .map(|need| need.1)
            .collect();
        let with = match needs.as_slice() {
            [] => String::new(),
            [one] => format!(", with {one}"),
            [first @ .., last] => format!(", with {} and {last}", first.join(", ")),
        };
        format!(
            "The password must have {} to {LONGEST} characters{with}.",
            self.length
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_all_that_is_needed() {
        let refused = PasswordRules::default().check("short").unwrap_err();
        assert_eq!(
            refused,
            "The password must have 8 to 256 characters, with an upper-case letter, a lower-case letter, a digit and a symbol."
        );
        let plain = PasswordRules {
            length: 12,
            upper: false,
            lower: false,
            digit: false,
            symbol: false,
        };
        let refused = plain.check("eleven char").unwrap_err();
        assert_eq!(refused, "The password must have 12 to 256 characters.");
        assert_eq!(plain.check("twelve chars"), Ok(()));
    }

    #[test]
    fn each_rule_counts() {
        let rules = PasswordRules::default();
        assert_eq!(rules.check("Correct-horse-7"), Ok(()));
        for weak in [
            "correct-horse-7",
            "CORRECT-HORSE-7",
            "Correct-horse-x",
            "Correcthorse7",
            "Aa1-",
        ] {
            assert!(rules.check(weak).is_err(), "{weak}");
        }
        assert!(rules.check(&"Aa1-".repeat(65)).is_err());
    }
}
