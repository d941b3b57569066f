//! Reads the parts of a `CheckRequest` that a decision needs. Field numbers are those of Envoy's
//! `service/auth/v3/attribute_context.proto` and `config/core/v3/{base,address}.proto`.
//!
//! A message that comes in several parts is one message (protobuf merges them), so every part is read; a header map
//! that names a field twice has it twice, and is not resolved to the last one.

use std::net::IpAddr;

use crate::protobuf::{Malformed, each, map_entry, text};
use crate::request::RequestView;

/// Reads a `CheckRequest`.
///
/// # Errors
/// [`Malformed`] when it is none. The request must then be refused.
pub fn read_check(message: &[u8]) -> Result<RequestView<'_>, Malformed> {
    let mut view = RequestView::default();
    each(message, |number, bytes| match number {
        1 => attributes(&mut view, bytes),
        _ => Ok(()),
    })?;
    Ok(view)
}

/// `AttributeContext`
fn attributes<'a>(view: &mut RequestView<'a>, message: &'a [u8]) -> Result<(), Malformed> {
    each(message, |number, bytes| match number {
        1 => source(view, bytes),
        4 => each(bytes, |number, bytes| match number {
            2 => http_request(view, bytes),
            _ => Ok(()),
        }),
        10 => context_extension(view, bytes),
        _ => Ok(()),
    })
}

/// `AttributeContext.Peer`: `address.socket_address.address`, which Envoy writes as a number, never as a name.
fn source<'a>(view: &mut RequestView<'a>, peer: &'a [u8]) -> Result<(), Malformed> {
    let [mut address, mut socket_address]: [&[u8]; 2] = Default::default();
    each(peer, |number, bytes| {
        if number == 1 {
            address = bytes;
        }
        Ok(())
    })?;
    each(address, |number, bytes| {
        if number == 1 {
            socket_address = bytes;
        }
        Ok(())
    })?;
    each(socket_address, |number, bytes| {
        if number == 2 {
            let parsed = text(bytes)?.parse::<IpAddr>().ok();
            view.client = parsed.map(|address| address.to_canonical());
        }
        Ok(())
    })
}

/// `AttributeContext.HttpRequest`
fn http_request<'a>(view: &mut RequestView<'a>, message: &'a [u8]) -> Result<(), Malformed> {
    each(message, |number, bytes| {
        match number {
            2 => view.method = text(bytes)?,
            3 => {
                let (name, value) = map_entry(bytes)?;
                view.add_header(name, value);
            }
            4 => view.path = bytes,
            5 => view.host = text(bytes)?,
            13 => header_map(view, bytes)?,
            _ => {}
        }
        Ok(())
    })
}

/// `HeaderMap`: what Envoy sends instead of the map with `encode_raw_headers`.
fn header_map<'a>(view: &mut RequestView<'a>, message: &'a [u8]) -> Result<(), Malformed> {
    each(message, |number, bytes| {
        if number == 1 {
            let (name, value) = header_value(bytes)?;
            view.add_header(name, value);
        }
        Ok(())
    })
}

/// `HeaderValue`: `raw_value`, or `value` where that is absent.
fn header_value(message: &[u8]) -> Result<(&str, &[u8]), Malformed> {
    let (mut name, mut value, mut raw_value) = ("", [].as_slice(), [].as_slice());
    each(message, |number, bytes| {
        match number {
            1 => name = text(bytes)?,
            2 => value = bytes,
            3 => raw_value = bytes,
            _ => {}
        }
        Ok(())
    })?;
    let value = if raw_value.is_empty() {
        value
    } else {
        raw_value
    };
    Ok((name, value))
}

/// The gateway's own words on a route: `context_extensions: {glyph.cost: "5", glyph.scopes: "items:write"}`.
fn context_extension<'a>(view: &mut RequestView<'a>, entry: &'a [u8]) -> Result<(), Malformed> {
    let (key, value) = map_entry(entry)?;
    match key {
        "glyph.cost" => view.cost = Some(value),
        "glyph.scopes" => view.scopes = Some(value),
        _ => {}
    }
    Ok(())
}
