//! The rules of `ApiKey`.

use glyph_crds::ApiKey;

use crate::table::{
    ACCEPTED, Changed, Made, check_changed, check_made, check_name_length, refused,
};

const CIDR: &str = "allowedCidrs must hold addresses with a prefix length, such as 203.0.113.0/24, 198.51.100.7/32 or 2001:db8::/32";
const EXPIRES: &str =
    "expiresAt must be an RFC 3339 time with its zone, such as 2027-01-31T00:00:00Z";
const OVERLAP: &str = "rotation.overlap must be from 0s to 720h (30 days), in hours, minutes and seconds such as 24h, 15m or 1h30m";
const REVISION: &str = "rotation.revision must be from 0 to 9007199254740991";
const SCOPES: &str = "scopes must hold words of letters, digits and '_', '.', ':', '/', '*', '-'";
const SECRET: &str = "secretName must be a resource name: lower-case letters, digits, '-' and '.', with a letter or digit at both ends";
const TTL: &str = "revealTtl must be from 1s to 720h (30 days), in hours, minutes and seconds such as 24h, 15m or 1h30m";

pub const MADE: &[Made] = &[
    ("{customerRef: {name: ada}}", ACCEPTED),
    (
        "{customerRef: {name: ada}, displayName: '   '}",
        refused(
            "spec.displayName",
            "displayName must not be empty; write a name that people know the key by, or leave it out",
        ),
    ),
    // What Go and other readers take as a time differs; only what all of them take is accepted.
    (
        "{customerRef: {name: ada}, expiresAt: '2027-01-31T00:00:00Z'}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, expiresAt: '2027-01-31T00:00:00.123456789+05:30'}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, expiresAt: '2028-02-29T23:59:59-08:00'}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, expiresAt: tomorrow}",
        refused("spec.expiresAt", EXPIRES),
    ),
    (
        "{customerRef: {name: ada}, expiresAt: '2027-01-31'}",
        refused("spec.expiresAt", EXPIRES),
    ),
    (
        "{customerRef: {name: ada}, expiresAt: '2027-01-31T00:00:00'}",
        refused("spec.expiresAt", EXPIRES),
    ),
    (
        "{customerRef: {name: ada}, expiresAt: '2027-02-30T00:00:00Z'}",
        refused("spec.expiresAt", EXPIRES),
    ),
    (
        "{customerRef: {name: ada}, expiresAt: '2027-01-31T25:00:00Z'}",
        refused("spec.expiresAt", EXPIRES),
    ),
    (
        "{customerRef: {name: ada}, expiresAt: '2027-01-31T00:00:00+99:00'}",
        refused("spec.expiresAt", EXPIRES),
    ),
    (
        "{customerRef: {name: ada}, expiresAt: ''}",
        refused("spec.expiresAt", EXPIRES),
    ),
    // Addresses.
    (
        "{customerRef: {name: ada}, allowedCidrs: [203.0.113.0/24, 198.51.100.7/32, '2001:db8::/32', '::/0']}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, allowedCidrs: [203.0.113.7/24]}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, allowedCidrs: [203.0.113.7]}",
        refused("spec.allowedCidrs", CIDR),
    ),
    (
        "{customerRef: {name: ada}, allowedCidrs: [203.0.113.0/33]}",
        refused("spec.allowedCidrs", CIDR),
    ),
    (
        "{customerRef: {name: ada}, allowedCidrs: [10.0.0.0/8, 203.0.113/24]}",
        refused("spec.allowedCidrs", CIDR),
    ),
    (
        "{customerRef: {name: ada}, allowedCidrs: [203.0.113.0/024]}",
        refused("spec.allowedCidrs", CIDR),
    ),
    (
        "{customerRef: {name: ada}, allowedCidrs: ['fe80::%eth0/64']}",
        refused("spec.allowedCidrs", CIDR),
    ),
    (
        "{customerRef: {name: ada}, allowedCidrs: ['']}",
        refused("spec.allowedCidrs", CIDR),
    ),
    // Scopes.
    (
        "{customerRef: {name: ada}, scopes: ['schemas:read', 'files/*']}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, scopes: ['read write']}",
        refused("spec.scopes", SCOPES),
    ),
    (
        "{customerRef: {name: ada}, scopes: ['']}",
        refused("spec.scopes", SCOPES),
    ),
    // Rotation. The shortest overlap ends the old key at once.
    ("{customerRef: {name: ada}, rotation: {}}", ACCEPTED),
    (
        "{customerRef: {name: ada}, rotation: {revision: 3, overlap: 0s}}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, rotation: {revision: -1}}",
        refused("spec.rotation.revision", REVISION),
    ),
    (
        "{customerRef: {name: ada}, rotation: {overlap: 721h}}",
        refused("spec.rotation.overlap", OVERLAP),
    ),
    (
        "{customerRef: {name: ada}, rotation: {overlap: ''}}",
        refused("spec.rotation.overlap", OVERLAP),
    ),
    // The Secret.
    (
        "{customerRef: {name: ada}, secretName: ada.key-1}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, secretName: Ada_key}",
        refused("spec.secretName", SECRET),
    ),
    (
        "{customerRef: {name: ada}, secretName: ''}",
        refused("spec.secretName", SECRET),
    ),
    ("{customerRef: {name: ada}, revealTtl: 1s}", ACCEPTED),
    ("{customerRef: {name: ada}, revealTtl: 1h30m5s}", ACCEPTED),
    ("{customerRef: {name: ada}, revealTtl: 43200m}", ACCEPTED),
    ("{customerRef: {name: ada}, revealTtl: 2592000s}", ACCEPTED),
    (
        "{customerRef: {name: ada}, revealTtl: 0s}",
        refused("spec.revealTtl", TTL),
    ),
    (
        "{customerRef: {name: ada}, revealTtl: 2592001s}",
        refused("spec.revealTtl", TTL),
    ),
    (
        "{customerRef: {name: ada}, revealTtl: 30d}",
        refused("spec.revealTtl", TTL),
    ),
    (
        "{customerRef: {name: ada}, revealTtl: '3600'}",
        refused("spec.revealTtl", TTL),
    ),
    (
        "{customerRef: {name: ada}, revealTtl: -1h}",
        refused("spec.revealTtl", TTL),
    ),
    (
        "{customerRef: {name: ada}, revealTtl: 1.5h}",
        refused("spec.revealTtl", TTL),
    ),
    (
        "{customerRef: {name: ada}, revealTtl: PT1H}",
        refused("spec.revealTtl", TTL),
    ),
    (
        "{customerRef: {name: ada}, revealTtl: 99999h999999m99999999s}",
        refused("spec.revealTtl", TTL),
    ),
    (
        "{customerRef: {name: ada}, revealTtl: 1h 30m}",
        refused("spec.revealTtl", TTL),
    ),
    // A limit of its own.
    (
        "{customerRef: {name: ada}, rateLimit: {requestsPerSecond: 5, burst: 10}}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, rateLimit: {requestsPerSecond: 0}}",
        refused(
            "spec.rateLimit.requestsPerSecond",
            "requestsPerSecond must be from 1 to 1000000",
        ),
    ),
];

pub const CHANGED: &[Changed] = &[
    (
        "{customerRef: {name: ada}}",
        "{customerRef: {name: eve}}",
        refused(
            "spec.customerRef",
            "customerRef cannot be changed; make another ApiKey for another customer",
        ),
    ),
    (
        "{customerRef: {name: ada}, environment: dev}",
        "{customerRef: {name: ada}, environment: dev, scopes: [a]}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, environment: dev}",
        "{customerRef: {name: ada}, environment: live}",
        refused(
            "spec.environment",
            "environment cannot be changed; make another ApiKey for another environment",
        ),
    ),
    (
        "{customerRef: {name: ada}, environment: dev}",
        "{customerRef: {name: ada}}",
        refused(
            "spec.environment",
            "environment cannot be changed; make another ApiKey for another environment",
        ),
    ),
    (
        "{customerRef: {name: ada}}",
        "{customerRef: {name: ada}, revoked: true}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, revoked: true}",
        "{customerRef: {name: ada}, revoked: true, displayName: Old}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, revoked: true}",
        "{customerRef: {name: ada}, revoked: false}",
        refused(
            "spec.revoked",
            "a revoked key stays revoked; make another ApiKey",
        ),
    ),
    (
        "{customerRef: {name: ada}, revoked: true}",
        "{customerRef: {name: ada}}",
        refused(
            "spec.revoked",
            "a revoked key stays revoked; make another ApiKey",
        ),
    ),
    (
        "{customerRef: {name: ada}, rotation: {revision: 3}}",
        "{customerRef: {name: ada}, rotation: {revision: 4}}",
        ACCEPTED,
    ),
    (
        "{customerRef: {name: ada}, rotation: {revision: 3}}",
        "{customerRef: {name: ada}, rotation: {revision: 2}}",
        refused(
            "spec.rotation.revision",
            "rotation.revision can only grow; add 1 to replace the key",
        ),
    ),
    (
        "{customerRef: {name: ada}, rotation: {revision: 3}}",
        "{customerRef: {name: ada}}",
        refused(
            "spec.rotation.revision",
            "rotation.revision can only grow; add 1 to replace the key",
        ),
    ),
];

#[tokio::test]
async fn a_key_is_refused_with_a_sentence_or_accepted() {
    check_made::<ApiKey>(MADE).await;
    check_name_length::<ApiKey>("{customerRef: {name: ada}}").await;
}

#[tokio::test]
async fn a_key_keeps_its_customer_its_environment_its_end_and_its_revision() {
    check_changed::<ApiKey>(CHANGED).await;
}
