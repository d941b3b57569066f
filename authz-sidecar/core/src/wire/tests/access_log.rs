//! The access log against `envoy-types`, and against bytes that are no message at all.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::data::accesslog::v3 as log;
use envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message as stream;
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::google::protobuf::value::Kind as Word;
use envoy_types::pb::google::protobuf::{Struct, Timestamp, UInt32Value, Value};
use proptest::prelude::*;
use prost::Message as _;

use super::{admitted, check, http, verdict};
use crate::fixtures::{KEY, World};
use crate::wire::{Answer, Logged, Malformed, read_access_log};

/// An entry with all that is read, and much that is not.
fn entry(receipt: &str) -> log::HttpAccessLogEntry {
    let texts = |fields: &[(&str, &str)]| Struct {
        fields: fields
            .iter()
            .map(|(name, value)| {
                let kind = Some(Word::StringValue(value.to_string()));
                (name.to_string(), Value { kind })
            })
            .collect(),
    };
    let filters = HashMap::from([
        ("other".to_owned(), texts(&[("receipt", "a lie")])),
        (
            "envoy.filters.http.ext_authz".to_owned(),
            texts(&[("ext_authz_duration", "3"), ("receipt", receipt)]),
        ),
    ]);
    log::HttpAccessLogEntry {
        common_properties: Some(log::AccessLogCommon {
            sample_rate: 1.0,
            start_time: Some(Timestamp {
                seconds: 1_800_000_000,
                nanos: 5,
            }),
            metadata: Some(Metadata {
                filter_metadata: filters,
                ..Metadata::default()
            }),
            response_flags: Some(log::ResponseFlags {
                upstream_remote_reset: true,
                upstream_retry_limit_exceeded: true,
                ..log::ResponseFlags::default()
            }),
            access_log_type: log::AccessLogType::DownstreamEnd as i32,
            ..log::AccessLogCommon::default()
        }),
        request: Some(log::HttpRequestProperties {
            path: "/v1/items".to_owned(),
            ..log::HttpRequestProperties::default()
        }),
        response: Some(log::HttpResponseProperties {
            response_code: Some(UInt32Value { value: 502 }),
            response_code_details: "via_upstream".to_owned(),
            ..log::HttpResponseProperties::default()
        }),
        ..log::HttpAccessLogEntry::default()
    }
}

fn message(entries: Vec<log::HttpAccessLogEntry>) -> Vec<u8> {
    let entries = stream::HttpAccessLogEntries { log_entry: entries };
    let message = StreamAccessLogsMessage {
        identifier: Some(stream::Identifier {
            log_name: "glyph".to_owned(),
            ..stream::Identifier::default()
        }),
        log_entries: Some(stream::LogEntries::HttpLogs(entries)),
    };
    message.encode_to_vec()
}

fn read(message: &[u8]) -> Vec<Result<Logged<'_>, Malformed>> {
    let mut all = Vec::new();
    read_access_log(message, |entry| all.push(entry)).unwrap();
    all
}

#[test]
fn each_entry_is_read_as_envoy_writes_it() {
    let bytes = message(vec![entry("one"), entry("two")]);
    let all = read(&bytes);
    let receipts: Vec<_> = all.iter().map(|entry| entry.unwrap().receipt).collect();
    assert_eq!(receipts, [Some("one"), Some("two")]);
    let first = all[0].unwrap();
    assert_eq!((first.status, first.began), (502, 1_800_000_000));
    assert!(first.api_broke_off && !first.caller_broke_off && first.has_ended());
}

#[test]
fn what_is_not_said_is_nothing_and_a_request_that_goes_on_has_not_ended() {
    let bytes = message(vec![log::HttpAccessLogEntry::default()]);
    assert_eq!(read(&bytes), [Ok(Logged::default())]);
    assert!(Logged::default().has_ended());
    let mut started = entry("one");
    let common = started.common_properties.as_mut().unwrap();
    common.access_log_type = log::AccessLogType::DownstreamStart as i32;
    assert!(!read(&message(vec![started]))[0].unwrap().has_ended());
    let mut aborted = entry("one");
    let common = aborted.common_properties.as_mut().unwrap();
    common.response_flags = Some(log::ResponseFlags {
        downstream_connection_termination: true,
        ..log::ResponseFlags::default()
    });
    let aborted = message(vec![aborted]);
    let aborted = read(&aborted)[0].unwrap();
    assert!(aborted.caller_broke_off && !aborted.api_broke_off);
}

#[test]
fn a_broken_entry_spoils_no_other_and_tcp_entries_are_none() {
    let (one, two) = (entry("one").encode_to_vec(), entry("two").encode_to_vec());
    let cut = &one[..one.len() - 1];
    let mut entries = Vec::new();
    for entry in [cut, &two] {
        prost::encoding::bytes::encode(1, &entry.to_vec(), &mut entries);
    }
    let mut bytes = Vec::new();
    prost::encoding::bytes::encode(2, &entries, &mut bytes);
    let all = read(&bytes);
    assert!(all[0].is_err());
    assert_eq!(all[1].unwrap().receipt, Some("two"));
    let tcp = StreamAccessLogsMessage {
        log_entries: Some(stream::LogEntries::TcpLogs(Default::default())),
        ..StreamAccessLogsMessage::default()
    };
    assert_eq!(read(&tcp.encode_to_vec()), []);
}

#[test]
fn a_receipt_is_metadata_of_any_verdict_and_changes_nothing_else() {
    let message = check(http(&[("x-api-key", KEY)])).encode_to_vec();
    let passed = verdict(&World::usual(), &message, admitted());
    let refused = verdict(&World::empty(), &message, admitted());
    for verdict in [passed, refused] {
        let decode = |answer: Answer| CheckResponse::decode(answer.into_bytes()).unwrap();
        let mut told = decode(Answer::with_receipt(&verdict, "signed and sealed"));
        let metadata = told.dynamic_metadata.take().unwrap();
        let receipt = metadata.fields["receipt"].kind.clone();
        assert_eq!(
            receipt,
            Some(Word::StringValue("signed and sealed".to_owned()))
        );
        assert_eq!(told, decode(Answer::of(&verdict)));
    }
}

proptest! {
    #[test]
    fn bytes_that_are_no_message_are_an_error_or_entries_and_never_more(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = read_access_log(&bytes, |_| ());
    }

    #[test]
    fn a_message_with_a_byte_changed_is_read_or_refused(at in 0_usize..400, to in any::<u8>()) {
        let mut bytes = message(vec![entry("one"), entry("two")]);
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = read_access_log(&bytes, |_| ());
    }
}
