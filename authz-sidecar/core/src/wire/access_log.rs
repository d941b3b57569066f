//! Reads the parts of a `StreamAccessLogsMessage` that usage needs. Field numbers are those of Envoy's
//! `service/accesslog/v3/als.proto`, `data/accesslog/v3/accesslog.proto`, `config/core/v3/base.proto` and protobuf's
//! `struct.proto`, as they stand in the crate `envoy-types` 0.7.7.
//!
//! Of a request nothing is looked at but the receipt that our own answer to its check has put into its metadata.

use crate::protobuf::{Fields, Malformed, Value, each, map_entry, text};
use crate::wire::answer::{METADATA, RECEIPT};

/// Flags that say that the API (or the way to it) broke off: `upstream_remote_reset`, `upstream_connection_failure`,
/// `upstream_connection_termination`, `upstream_protocol_error`. Not the timeouts: a caller who reads slowly can cause one.
const API_BROKE_OFF: [u32; 4] = [5, 6, 7, 24];
/// Flags that say that the caller did: `downstream_connection_termination`, `downstream_protocol_error`,
/// `downstream_remote_reset`.
const CALLER_BROKE_OFF: [u32; 3] = [15, 19, 28];
/// `AccessLogType`: those that are written when a request has ended.
const NOT_SET: u64 = 0;
const DOWNSTREAM_END: u64 = 6;

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logged<'a> {
    /// The status that the caller was sent; 0 when none was.
    pub status: u64,
    /// The API broke off.
    pub api_broke_off: bool,
    /// The caller broke off.
    pub caller_broke_off: bool,
    /// When it began, seconds since 1970; 0 when that is not said.
    pub began: u64,
    /// What our answer has put into the request's metadata. Not believed before it was opened.
    pub receipt: Option<&'a str>,
    /// Envoy's `AccessLogType`.
    pub log_type: u64,
}

impl Logged<'_> {
    /// Whether the request has ended: Envoy can be told to write of others too.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.log_type, NOT_SET | DOWNSTREAM_END)
    }
}

/// Calls `take` with each HTTP entry of a `StreamAccessLogsMessage`, or with what is wrong with it.
///
/// # Errors
/// [`Malformed`] when the message is none; the entries before that were told.
pub fn read_access_log<'a>(
    message: &'a [u8],
    mut take: impl FnMut(Result<Logged<'a>, Malformed>),
) -> Result<(), Malformed> {
    each(message, |number, logs| match number {
        2 => each(logs, |number, entry| {
            if number == 1 {
                take(read_entry(entry));
            }
            Ok(())
        }),
        _ => Ok(()),
    })
}

/// `HTTPAccessLogEntry`
fn read_entry(entry: &[u8]) -> Result<Logged<'_>, Malformed> {
    let mut logged = Logged::default();
    each(entry, |number, bytes| match number {
        1 => common(&mut logged, bytes),
        // `HTTPResponseProperties.response_code`, a `UInt32Value`
        4 => each(bytes, |number, bytes| {
            if number == 1 {
                logged.status = number_in(bytes, 1)?;
            }
            Ok(())
        }),
        _ => Ok(()),
    })?;
    Ok(logged)
}

/// `AccessLogCommon`
fn common<'a>(logged: &mut Logged<'a>, message: &'a [u8]) -> Result<(), Malformed> {
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            // `google.protobuf.Timestamp.seconds`
            (5, Value::Bytes(time)) => logged.began = number_in(time, 1)?,
            (16, Value::Bytes(flags)) => response_flags(logged, flags)?,
            (17, Value::Bytes(metadata)) => metadata_of(logged, metadata)?,
            (33, Value::Varint(log_type)) => logged.log_type = log_type,
            _ => {}
        }
    }
    Ok(())
}

fn response_flags(logged: &mut Logged<'_>, message: &[u8]) -> Result<(), Malformed> {
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        if let Value::Varint(1) = value {
            logged.api_broke_off |= API_BROKE_OFF.contains(&number);
            logged.caller_broke_off |= CALLER_BROKE_OFF.contains(&number);
        }
    }
    Ok(())
}

/// `Metadata.filter_metadata`: `map<string, Struct>`, whose entry of the ext_authz filter is ours.
fn metadata_of<'a>(logged: &mut Logged<'a>, message: &'a [u8]) -> Result<(), Malformed> {
    each(message, |number, entry| {
        if number == 1
            && let (METADATA, fields) = map_entry(entry)?
        {
            each(fields, |number, entry| {
                if number == 1
                    && let (RECEIPT, value) = map_entry(entry)?
                {
                    // `Value.string_value`
                    each(value, |number, bytes| {
                        if number == 3 {
                            logged.receipt = Some(text(bytes)?);
                        }
                        Ok(())
                    })?;
                }
                Ok(())
            })?;
        }
        Ok(())
    })
}

/// The number in a field of a message; 0 when it is not there.
fn number_in(message: &[u8], field: u32) -> Result<u64, Malformed> {
    let (mut fields, mut found) = (Fields::of(message), 0);
    while let Some((number, value)) = fields.next()? {
        if let Value::Varint(value) = value
            && number == field
        {
            found = value;
        }
    }
    Ok(found)
}
