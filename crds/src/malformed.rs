//! What may be told of a text that cannot be read: not what stands in it. Pure.

/// Words of serde's before a value between backticks; between others stand names of ours.
const BEFORE_VALUES: [&str; 6] = [
    "unknown variant ",
    "unknown field ",
    "integer ",
    "floating point ",
    "boolean ",
    "character ",
];

/// An error of serde's without the values that it quotes: somebody may have written a secret there.
#[must_use]
pub fn without_values(error: &str) -> String {
    let (mut told, mut rest) = (String::new(), error);
    while let Some(at) = rest.find(['"', '`']) {
        let (before, quoted) = rest.split_at(at);
        told.push_str(before);
        let is_value = BEFORE_VALUES.iter().any(|words| before.ends_with(words));
        rest = if quoted.starts_with('"') {
            told.push('…');
            after_string(quoted)
        } else if is_value {
            told.push('…');
            after_value(quoted)
        } else {
            let end = quoted[1..].find('`').map_or(quoted.len(), |end| end + 2);
            told.push_str(&quoted[..end]);
            &quoted[end..]
        };
    }
    told + rest
}

/// What follows a string between quotes, in which quotes are escaped; nothing where it does not end.
fn after_string(quoted: &str) -> &str {
    let mut escaped = false;
    for (at, letter) in quoted.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return &quoted[at + 1..],
            _ => escaped = letter == '\\' && !escaped,
        }
    }
    ""
}

/// What follows a value between backticks, which may hold backticks: what serde says after it; nothing where it says
/// nothing that we know.
fn after_value(quoted: &str) -> &str {
    let ends = ["`, expected", "`, there are no"].map(|end| quoted.rfind(end));
    let end = ends.into_iter().flatten().max();
    end.map_or("", |end| &quoted[end + 1..])
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shape {
        #[serde(rename = "kind")]
        _kind: Kind,
        #[serde(rename = "many")]
        _many: Option<u8>,
    }

    #[derive(Debug, Deserialize)]
    enum Kind {
        One,
        Other,
    }

    fn told<T: DeserializeOwned>(text: &str) -> String {
        let error = serde_json::from_str::<T>(text).map(drop).unwrap_err();
        without_values(&error.to_string())
    }

    #[test]
    fn a_value_of_any_type_is_left_out_and_what_was_expected_is_not() {
        assert_eq!(
            told::<bool>(r#""canary""#),
            "invalid type: string …, expected a boolean at line 1 column 8"
        );
        assert_eq!(
            told::<Shape>(r#"{"kind": "canary"}"#),
            "unknown variant …, expected `One` or `Other` at line 1 column 17"
        );
        assert_eq!(
            told::<Shape>(r#"{"canary": 1}"#),
            "unknown field …, expected `kind` or `many` at line 1 column 9"
        );
        assert_eq!(
            told::<Shape>(r#"{"kind": "One", "many": 4242}"#),
            "invalid value: integer …, expected u8 at line 1 column 28"
        );
        assert_eq!(
            told::<Shape>("{}"),
            "missing field `kind` at line 1 column 2"
        );
    }

    #[test]
    fn quotes_and_backticks_in_a_value_do_not_let_a_part_of_it_out() {
        for value in [
            r#"a\"canary\"b"#,
            r#"\\\"canary"#,
            "a`canary`b",
            "`, expected canary",
            "canary\\\\",
        ] {
            let texts = [
                told::<bool>(&format!("\"{value}\"")),
                told::<Shape>(&format!("{{\"kind\": \"{value}\"}}")),
                told::<Shape>(&format!("{{\"{value}\": 1}}")),
            ];
            for text in texts {
                assert!(!text.contains("canary"), "{text}");
                assert!(text.contains("expected"), "{text}");
            }
        }
    }
}
