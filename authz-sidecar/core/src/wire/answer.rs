//! Writes a `CheckResponse`. Field numbers are those of Envoy's `service/auth/v3/external_auth.proto` and
//! `config/core/v3/base.proto`.

use bytes::Bytes;

use crate::protobuf::Writer;
use crate::upstream;
use crate::verdict::{Denial, Permit, Verdict};

/// `HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD`. Always written: what an absent one means differs between versions.
const OVERWRITE: u64 = 2;
/// `google.rpc.Code.PERMISSION_DENIED`. Anything but 0 denies; the caller sees the HTTP status beside it.
const PERMISSION_DENIED: u64 = 7;
/// Where Envoy keeps the metadata of this filter, which goes to its access log and nowhere else.
pub(super) const METADATA: &str = "envoy.filters.http.ext_authz";
/// Name of the receipt in it.
pub(super) const RECEIPT: &str = "receipt";
/// Longer than all but a few answers, so that writing one allocates once.
const USUAL_LENGTH: usize = 768;

/// A `CheckResponse`, encoded. Only a verdict makes one.
#[derive(Clone)]
pub struct Answer(Bytes);

impl Answer {
    /// The answer that says `verdict`.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Self {
        Self(written(verdict).finish().into())
    }

    /// The answer that says `verdict`, with a receipt for the access log.
    #[must_use]
    pub fn with_receipt(verdict: &Verdict, receipt: &str) -> Self {
        let mut writer = written(verdict);
        // `dynamic_metadata`, a `Struct` with one text.
        writer.message(4, |metadata| {
            metadata.message(1, |entry| {
                entry.text(1, RECEIPT);
                entry.message(2, |value| value.text(3, receipt));
            });
        });
        Self(writer.finish().into())
    }

    /// The message.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

fn written(verdict: &Verdict) -> Writer {
    let mut writer = Writer::with_capacity(USUAL_LENGTH);
    match verdict {
        Ok(permit) => ok(&mut writer, permit),
        Err(denial) => denied(&mut writer, denial),
    }
    writer
}

/// `status {code: OK}` and `OkHttpResponse`.
fn ok(response: &mut Writer, permit: &Permit) {
    response.message(1, |_| {});
    response.message(3, |ok| {
        for (name, value) in upstream::identity(permit) {
            if let Some(value) = value {
                header(ok, 2, name, value);
            }
        }
        for name in upstream::removed(permit) {
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
