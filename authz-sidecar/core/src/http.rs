//! A check as a gateway asks it over HTTP, and the answer as it takes it. Three dialects of one question: Envoy's
//! `http_service`, nginx' `auth_request`, Traefik's `forwardAuth`. No transport: names, values and bytes.
//!
//! Which dialect it is is said by the path that the gateway is configured with, never by anything a caller sends. What
//! was asked originally is believed as it stands: only gateways may reach the listener.
//!
//! | dialect | path | method, URI, host of the original | an answer that refuses |
//! |---|---|---|---|
//! | Envoy | `/envoy` and the original URI | those of the check itself | as it is |
//! | nginx | `/nginx` | `X-Original-Method`, `X-Original-URI`, `Host` | 401 or 403, the rest in `X-Glyph-…` headers |
//! | Traefik | `/traefik` | `X-Forwarded-Method`, `-Uri`, `-Host` | as it is |
//!
//! The caller's address is the last one in `X-Forwarded-For`: the gateway's own word.

use std::net::IpAddr;

use crate::request::{Field, RequestView};
use crate::upstream;
use crate::verdict::{Denial, Permit, Verdict};

/// Response header by which Envoy is told what to take away from a request (of its raw HTTP client).
const ENVOY_REMOVES: &str = "x-envoy-auth-headers-to-remove";
/// Response header with the true status, where the gateway takes 401 and 403 only.
const STATUS: &str = "x-glyph-status";
/// Response header with the problem document, for the same gateways.
const PROBLEM: &str = "x-glyph-problem";

/// How a gateway asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Envoy's ext_authz with `http_service`.
    Envoy,
    /// nginx' `auth_request`.
    AuthRequest,
    /// Traefik's `forwardAuth`.
    ForwardAuth,
}

/// A check over HTTP, as far as it was read.
pub struct Check<'a> {
    /// How to answer.
    pub dialect: Dialect,
    /// What is asked about.
    pub request: Result<RequestView<'a>, Denial>,
}

/// Reads a check: its method, its path with the query, its header fields in the order they came.
pub fn read<'a>(
    method: &'a str,
    target: &'a str,
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Check<'a> {
    let mut view = RequestView::default();
    let mut original = Original::default();
    for (name, value) in headers {
        view.add_header(name, value);
        original.add(name, value);
    }
    view.client = original.client();
    let asked = |dialect, request| Check { dialect, request };
    if let Some(uri) = below(target, "/envoy") {
        view.method = method;
        view.path = uri.as_bytes();
        let host = original.host.text("Host");
        let request = host.map(|host| RequestView { host, ..view });
        return asked(Dialect::Envoy, request);
    }
    match path_of(target) {
        "/nginx" => asked(Dialect::AuthRequest, original.of_nginx(view)),
        "/traefik" => asked(Dialect::ForwardAuth, original.of_traefik(view)),
        _ => asked(
            Dialect::Envoy,
            Err(Denial::unavailable(
                "a gateway asks at a path that is neither /nginx nor /traefik nor below /envoy",
            )),
        ),
    }
}

fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// What follows `prefix`, if it is a path.
fn below<'a>(target: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = target.strip_prefix(prefix)?;
    (rest.starts_with('/') || rest.starts_with('?')).then_some(rest)
}

/// What a gateway says of the original request in header fields.
#[derive(Default)]
struct Original<'a> {
    host: Once<'a>,
    original_method: Once<'a>,
    original_uri: Once<'a>,
    forwarded_method: Once<'a>,
    forwarded_uri: Once<'a>,
    forwarded_host: Once<'a>,
    forwarded_for: Option<&'a [u8]>,
}

/// A field that the gateway sets, and so comes once.
#[derive(Default)]
struct Once<'a>(Field<'a>);

impl<'a> Once<'a> {
    /// Its value.
    fn bytes(&self, name: &str) -> Result<&'a [u8], Denial> {
        match self.0 {
            Field::Once(value) => Ok(value),
            Field::Absent => Err(Denial::unavailable(format!("the gateway sends no {name}"))),
            Field::Repeated => Err(Denial::unavailable(format!("the gateway sends two {name}"))),
        }
    }

    fn text(&self, name: &str) -> Result<&'a str, Denial> {
        std::str::from_utf8(self.bytes(name)?)
            .map_err(|_| Denial::unavailable(format!("{name} of a check is not UTF-8")))
    }
}

impl<'a> Original<'a> {
    fn add(&mut self, name: &str, value: &'a [u8]) {
        if name.eq_ignore_ascii_case("x-forwarded-for") {
            self.forwarded_for = Some(value);
            return;
        }
        let fields = [
            ("host", &mut self.host),
            ("x-original-method", &mut self.original_method),
            ("x-original-uri", &mut self.original_uri),
            ("x-forwarded-method", &mut self.forwarded_method),
            ("x-forwarded-uri", &mut self.forwarded_uri),
            ("x-forwarded-host", &mut self.forwarded_host),
        ];
        for (known, field) in fields {
            if name.eq_ignore_ascii_case(known) {
                field.0.add(value);
            }
        }
    }

    /// The address that the gateway put last.
    fn client(&self) -> Option<IpAddr> {
        let all = std::str::from_utf8(self.forwarded_for?).ok()?;
        let last = all.rsplit(',').next()?.trim();
        let address: IpAddr = last.parse().ok()?;
        Some(address.to_canonical())
    }

    fn of_nginx(&self, view: RequestView<'a>) -> Result<RequestView<'a>, Denial> {
        Ok(RequestView {
            method: self.original_method.text("X-Original-Method")?,
            path: self.original_uri.bytes("X-Original-URI")?,
            host: self.host.text("Host")?,
            ..view
        })
    }

    fn of_traefik(&self, view: RequestView<'a>) -> Result<RequestView<'a>, Denial> {
        Ok(RequestView {
            method: self.forwarded_method.text("X-Forwarded-Method")?,
            path: self.forwarded_uri.bytes("X-Forwarded-Uri")?,
            host: self.forwarded_host.text("X-Forwarded-Host")?,
            ..view
        })
    }
}

/// An answer over HTTP. Only a verdict makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl HttpAnswer {
    /// The answer that says `verdict` to a gateway that asked in `dialect`.
    #[must_use]
    pub fn of(dialect: Dialect, verdict: &Verdict) -> Self {
        match verdict {
            Ok(permit) => permitted(dialect, permit),
            Err(denial) => denied(dialect, denial),
        }
    }

    /// Status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Its header fields; each value is visible ASCII.
    #[must_use]
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// Its body.
    #[must_use]
    pub fn into_body(self) -> String {
        self.body
    }
}

fn permitted(dialect: Dialect, permit: &Permit) -> HttpAnswer {
    let mut headers = Vec::new();
    for (name, value) in upstream::identity(permit) {
        if let Some(value) = value {
            headers.push((name, visible(value)));
        }
    }
    if dialect == Dialect::Envoy {
        let removed: Vec<_> = upstream::removed(permit).collect();
        headers.push((ENVOY_REMOVES, removed.join(",")));
    }
    permit
        .limits()
        .fields(|name, value| headers.push((name, visible(value))));
    HttpAnswer {
        status: 200,
        headers,
        body: String::new(),
    }
}

fn denied(dialect: Dialect, denial: &Denial) -> HttpAnswer {
    let (status, body) = (denial.code().status(), denial.body());
    let mut headers = Vec::new();
    denial.fields(|name, value| headers.push((name, visible(value))));
    let status = match dialect {
        Dialect::Envoy | Dialect::ForwardAuth => status,
        // Any other status is an error of its own to nginx, and the body is not read.
        Dialect::AuthRequest => {
            headers.push((STATUS, status.to_string()));
            headers.push((PROBLEM, visible(&body)));
            if status == 401 { 401 } else { 403 }
        }
    };
    HttpAnswer {
        status,
        headers,
        body,
    }
}

/// `text` in the characters that a header field may hold; others as JSON escapes them.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, ' '..='~') {
            visible.push(letter);
            continue;
        }
        let mut units = [0; 2];
        for unit in letter.encode_utf16(&mut units) {
            visible.push_str(&format!("\\u{unit:04x}"));
        }
    }
    visible
}

#[cfg(test)]
mod tests;
