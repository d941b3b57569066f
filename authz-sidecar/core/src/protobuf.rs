//! As much of the protobuf wire format as a check needs (<https://protobuf.dev/programming-guides/encoding/>):
//! walking the fields of a message in place, and writing length-delimited ones. Knows no message.

use thiserror::Error;

/// The bytes are not a protobuf message. What they are is not told: they hold a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// A field goes on past the end of its message.
    #[error("a field is cut off")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("a number is longer than 64 bits")]
    Overlong,
    /// Field number 0 or one past 2^29 - 1, or a wire type that proto3 does not know.
    #[error("a field has an unknown number or type")]
    Unknown,
    /// A text that has to be UTF-8 and is not.
    #[error("a text is not UTF-8")]
    NotUtf8,
}

/// A field's value. Numbers of fixed width are skipped: nothing that is read has one.
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed,
    Bytes(&'a [u8]),
}

/// The fields of one message, in the order they came in.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The next field that holds bytes (a text, a message) and its number.
    pub(crate) fn next_bytes(&mut self) -> Result<Option<(u32, &'a [u8])>, Malformed> {
        while let Some((number, value)) = self.next()? {
            if let Value::Bytes(bytes) = value {
                return Ok(Some((number, bytes)));
            }
        }
        Ok(None)
    }

    /// The next field and its number.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed::Unknown)?;
        if !(1..1 << 29).contains(&number) {
            return Err(Malformed::Unknown);
        }
        let value = match tag & 7 {
            0 => self.varint().map(Value::Varint)?,
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed::Unknown),
        };
        Ok(Some((number, value)))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..70).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(Malformed::Truncated)?;
            self.0 = rest;
            if shift == 63 && byte > 1 {
                return Err(Malformed::Overlong);
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed::Overlong)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// Calls `read` with each field of `message` that holds bytes.
pub(crate) fn each<'a>(
    message: &'a [u8],
    mut read: impl FnMut(u32, &'a [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut fields = Fields::of(message);
    while let Some((number, bytes)) = fields.next_bytes()? {
        read(number, bytes)?;
    }
    Ok(())
}

/// A text field's value.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)
}

/// An entry of a map by texts: its key, and its value as it stands.
pub(crate) fn map_entry(message: &[u8]) -> Result<(&str, &[u8]), Malformed> {
    let (mut key, mut value) = ("", [].as_slice());
    each(message, |number, bytes| {
        match number {
            1 => key = text(bytes)?,
            2 => value = bytes,
            _ => {}
        }
        Ok(())
    })?;
    Ok((key, value))
}

/// A message that is being written.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// A number or an enum's value.
    pub(crate) fn number(&mut self, field: u32, value: u64) {
        self.varint(u64::from(field) << 3);
        self.varint(value);
    }

    /// A text.
    pub(crate) fn text(&mut self, field: u32, text: &str) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A message inside this one.
    pub(crate) fn message(&mut self, field: u32, body: impl FnOnce(&mut Self)) {
        self.varint(u64::from(field) << 3 | 2);
        let start = self.0.len();
        body(self);
        let end = self.0.len();
        // The length stands before the body, which is short: moving it there is less work than measuring first.
        self.varint((end - start) as u64);
        let length_of_length = self.0.len() - end;
        self.0[start..].rotate_right(length_of_length);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_at_every_length_of_its_length() {
        for length in [0, 1, 127, 128, 16_383, 16_384] {
            let mut writer = Writer::with_capacity(0);
            writer.number(1, u64::MAX);
            writer.message(2, |inner| inner.text(536_870_911, &"x".repeat(length)));
            let bytes = writer.finish();
            let mut fields = Fields::of(&bytes);
            let (number, message) = fields.next_bytes().unwrap().unwrap();
            assert_eq!(number, 2);
            let (number, text) = Fields::of(message).next_bytes().unwrap().unwrap();
            assert_eq!((number, text.len()), (536_870_911, length));
            assert!(fields.next_bytes().unwrap().is_none());
        }
    }

    #[test]
    fn cut_off_overlong_and_unknown_fields_are_refused() {
        let first = |bytes: &[u8]| Fields::of(bytes).next_bytes().err();
        assert_eq!(first(&[0x0a]), Some(Malformed::Truncated));
        assert_eq!(first(&[0x0a, 2, b'x']), Some(Malformed::Truncated));
        assert_eq!(first(&[0x09, 1, 2, 3]), Some(Malformed::Truncated));
        assert_eq!(first(&[0xff; 11]), Some(Malformed::Overlong));
        assert_eq!(first(&[0x02, 0]), Some(Malformed::Unknown));
        assert_eq!(first(&[0x0b]), Some(Malformed::Unknown));
        let huge = [
            0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
        ];
        assert_eq!(first(&huge), Some(Malformed::Truncated));
        assert_eq!(first(&[]), None);
    }
}
