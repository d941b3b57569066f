//! One spelling for each path, and templates of paths.
//!
//! A gateway and the API behind it may read one path in two ways. What can be read in two ways is refused; what is only
//! spelled in another way (RFC 3986 section 6.2.2) is matched in its normal form, and known not to be exact.

use std::borrow::Cow;

use thiserror::Error;

/// Why a path can be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotNormal {
    /// `*`, an absolute URL, nothing.
    #[error("it must begin with /")]
    Relative,
    /// `.` or `..`, also escaped, also before `;`.
    #[error("it must hold no dot segments")]
    DotSegment,
    /// `//`
    #[error("it must hold no empty segments")]
    EmptySegment,
    /// `\`, `%2F` or `%5C`.
    #[error("it must hold no backslashes and no escaped slashes")]
    Slash,
    /// A control character, also escaped, or a letter that is not ASCII.
    #[error("it must hold printable ASCII characters only, escaped as RFC 3986 says")]
    Character,
    /// `%` without two hexadecimal digits.
    #[error("a % in it must stand before two hexadecimal digits")]
    Escape,
}

/// A path in its normal form.
pub(super) struct Spelling<'a> {
    pub(super) path: Cow<'a, str>,
    /// It came like that.
    pub(super) exact: bool,
}

/// The normal form of the path of `target`, which may have a query.
pub(super) fn spelling(target: &[u8]) -> Result<Spelling<'_>, NotNormal> {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let raw = target.get(..end.unwrap_or(target.len())).unwrap_or(target);
    if raw.first() != Some(&b'/') {
        return Err(NotNormal::Relative);
    }
    for byte in raw {
        match byte {
            b'\\' => return Err(NotNormal::Slash),
            0x21..=0x7e => {}
            _ => return Err(NotNormal::Character),
        }
    }
    let text = std::str::from_utf8(raw).map_err(|_| NotNormal::Character)?;
    let path = unescaped(text)?;
    let segments = path.get(1..).unwrap_or_default();
    let mut rest = segments.split('/').peekable();
    while let Some(segment) = rest.next() {
        let name = segment.split(';').next().unwrap_or_default();
        if name == "." || name == ".." {
            return Err(NotNormal::DotSegment);
        }
        if segment.is_empty() && rest.peek().is_some() {
            return Err(NotNormal::EmptySegment);
        }
    }
    let exact = matches!(path, Cow::Borrowed(_));
    Ok(Spelling { path, exact })
}

/// `text` without the escapes of characters that may stand in a path as they are.
fn unescaped(text: &str) -> Result<Cow<'_, str>, NotNormal> {
    let Some(first) = text.find('%') else {
        return Ok(Cow::Borrowed(text));
    };
    let (before, mut rest) = text.split_at(first);
    let (mut path, mut changed) = (before.to_owned(), false);
    while let Some(at) = rest.find('%') {
        path.push_str(rest.get(..at).unwrap_or_default());
        let digits = rest.get(at + 1..at + 3).ok_or(NotNormal::Escape)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NotNormal::Escape);
        }
        match u8::from_str_radix(digits, 16).map_err(|_| NotNormal::Escape)? {
            b'/' | b'\\' => return Err(NotNormal::Slash),
            0..=0x1f | 0x7f => return Err(NotNormal::Character),
            plain if stands_in_a_path(plain) => {
                path.push(char::from(plain));
                changed = true;
            }
            _ => {
                path.push('%');
                path.push_str(digits);
            }
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    path.push_str(rest);
    Ok(if changed {
        Cow::Owned(path)
    } else {
        Cow::Borrowed(text)
    })
}

/// `pchar` of RFC 3986 section 3.3, without the percent sign.
fn stands_in_a_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// A template as `matchit` takes it, with parameters named by their place, so that two templates for the same paths are
/// the same text. `None` when it is no template, as the schema says what one is.
pub(super) fn shape(template: &str) -> Option<String> {
    let segments = template.strip_prefix('/')?;
    let mut shape = String::with_capacity(template.len());
    let mut rest = segments.split('/').enumerate().peekable();
    while let Some((place, segment)) = rest.next() {
        let last = rest.peek().is_none();
        let parameter = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        shape.push('/');
        match parameter {
            Some(name) => match name.strip_prefix('*') {
                Some(name) if last && is_name(name) => shape.push_str(&format!("{{*p{place}}}")),
                None if is_name(name) => shape.push_str(&format!("{{p{place}}}")),
                Some(_) | None => return None,
            },
            None if segment.is_empty() && last => {}
            None if is_literal(segment) => shape.push_str(segment),
            None => return None,
        }
    }
    Some(shape)
}

fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !name.is_empty() && name.bytes().all(is_part)
}

fn is_literal(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default();
    let plain = |byte: u8| stands_in_a_path(byte) && !matches!(byte, b'*' | b'\'');
    !segment.is_empty() && name != "." && name != ".." && segment.bytes().all(plain)
}
