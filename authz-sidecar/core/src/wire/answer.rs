//! Writes a `CheckResponse`. Field numbers are those of Envoy's `service/auth/v3/external_auth.proto` and
//! `config/core/v3/base.proto`.

use bytes::Bytes;

use crate::protobuf::Writer;
use crate::request::{CREDENTIAL_HEADERS, CUSTOMER, KEY_ID, SUBJECT, TIER};
use crate::verdict::{Denial, Identity, Permit, Verdict};

/// `HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD`. Always written: what an absent one means differs between versions.
const OVERWRITE: u64 = 2;
/// `google.rpc.Code.PERMISSION_DENIED`. Anything but 0 denies; the caller sees the HTTP status beside it.
const PERMISSION_DENIED: u64 = 7;
/// Longer than all but a few answers, so that writing one allocates once.
const USUAL_LENGTH: usize = 768;

/// A `CheckResponse`, encoded. Only a verdict makes one.
#[derive(Clone)]
pub struct Answer(Bytes);

impl Answer {
    /// The answer that says `verdict`.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Self {
        let mut writer = Writer::with_capacity(USUAL_LENGTH);
        match verdict {
            Ok(permit) => ok(&mut writer, permit),
            Err(denial) => denied(&mut writer, denial),
        }
        Self(writer.finish().into())
    }

    /// The message.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// `status {code: OK}` and `OkHttpResponse`.
fn ok(response: &mut Writer, permit: &Permit) {
    let identity = permit.identity();
    let identity = [
        (CUSTOMER, identity.map(|known| known.customer().as_str())),
        (SUBJECT, identity.and_then(Identity::subject)),
        (TIER, identity.map(|known| known.tier().name())),
        (KEY_ID, identity.map(Identity::key_id)),
    ];
    response.message(1, |_| {});
    response.message(3, |ok| {
        for (name, value) in identity {
            if let Some(value) = value {
                header(ok, 2, name, value);
            }
        }
        // Envoy sets first and removes last: a header that was just set must not be named here.
        let kept = |name: &str| {
            identity
                .iter()
                .any(|(set, value)| value.is_some() && *set == name)
        };
        let absent = identity
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| *name);
        for name in CREDENTIAL_HEADERS.into_iter().chain(absent) {
            ok.text(5, name);
        }
        for name in permit.inbound_headers().iter().filter(|name| !kept(name)) {
            ok.text(5, name);
        }
        permit
            .limits()
            .fields(|name, value| header(ok, 6, name, value));
    });
}

/// `status {code: PERMISSION_DENIED}` and `DeniedHttpResponse`.
fn denied(response: &mut Writer, denial: &Denial) {
    response.message(1, |status| status.number(1, PERMISSION_DENIED));
    response.message(2, |denied| {
        denied.message(1, |status| {
            status.number(1, u64::from(denial.code().status()))
        });
        denial.fields(|name, value| header(denied, 2, name, value));
        denied.text(3, &denial.body());
    });
}

/// `HeaderValueOption`
fn header(writer: &mut Writer, field: u32, name: &str, value: &str) {
    writer.message(field, |option| {
        option.message(1, |header| {
            header.text(1, name);
            header.text(2, value);
        });
        option.number(3, OVERWRITE);
    });
}
