//! The rules of `GlyphApi`.

use glyph_crds::GlyphApi;

use crate::table::{ACCEPTED, Made, check_made, check_name_length, refused};

const HOSTS: &str =
    "hosts must hold names such as api.example.com or *.example.com, without a scheme or a port";
const NAME: &str = "name must be letters, digits, '_', '.' and '-' with a letter or digit at both ends, and not unmatched or other";
const PATH: &str = "path must hold segments of letters, digits and -._~!$&()+,;=:@, parameters such as {id} that are whole segments, or {*rest} at its end, and no query, escapes, dot segments or //";
const COST: &str = "cost must be from 0 to 9007199254740991";
const SCOPES: &str = "scopes must hold words of letters, digits and '_', '.', ':', '/', '-'";

pub const MADE: &[Made] = &[
    ("{endpoints: []}", ACCEPTED),
    (
        "{hosts: [api.example.com, '*.Example.com', localhost, 127.0.0.1], endpoints: [], unmatched: Deny}",
        ACCEPTED,
    ),
    (
        "{hosts: ['https://api.example.com'], endpoints: []}",
        refused("spec.hosts", HOSTS),
    ),
    (
        "{hosts: ['api.example.com:443'], endpoints: []}",
        refused("spec.hosts", HOSTS),
    ),
    (
        "{hosts: ['*'], endpoints: []}",
        refused("spec.hosts", HOSTS),
    ),
    (
        "{hosts: ['a.*.example.com'], endpoints: []}",
        refused("spec.hosts", HOSTS),
    ),
    (
        "{endpoints: [{name: items.list_2-b, path: /, methods: [GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE]}]}",
        ACCEPTED,
    ),
    (
        "{endpoints: [{name: a, path: /a}, {name: b, path: /b}, {name: a, path: /c}]}",
        refused(
            "spec.endpoints",
            "endpoints must have names of their own; usage and metrics tell them apart by name",
        ),
    ),
    (
        "{endpoints: [{name: a b, path: /a}]}",
        refused("spec.endpoints[0].name", NAME),
    ),
    (
        "{endpoints: [{name: unmatched, path: /a}]}",
        refused("spec.endpoints[0].name", NAME),
    ),
    (
        "{endpoints: [{name: a, path: '/v1/items/{item-id}/x;y=1/{*rest}'}]}",
        ACCEPTED,
    ),
    (
        "{endpoints: [{name: a, path: '/v1/users/me:go/'}]}",
        ACCEPTED,
    ),
    (
        "{endpoints: [{name: a, path: v1}]}",
        refused("spec.endpoints[0].path", "path must begin with /"),
    ),
    (
        "{endpoints: [{name: a, path: //a}]}",
        refused("spec.endpoints[0].path", PATH),
    ),
    (
        "{endpoints: [{name: a, path: /a/../b}]}",
        refused("spec.endpoints[0].path", PATH),
    ),
    (
        "{endpoints: [{name: a, path: '/a/..;x'}]}",
        refused("spec.endpoints[0].path", PATH),
    ),
    (
        "{endpoints: [{name: a, path: '/a?b=c'}]}",
        refused("spec.endpoints[0].path", PATH),
    ),
    (
        "{endpoints: [{name: a, path: /a%20b}]}",
        refused("spec.endpoints[0].path", PATH),
    ),
    (
        "{endpoints: [{name: a, path: '/{id}.json'}]}",
        refused("spec.endpoints[0].path", PATH),
    ),
    (
        "{endpoints: [{name: a, path: '/{*rest}/a'}]}",
        refused("spec.endpoints[0].path", PATH),
    ),
    (
        "{endpoints: [{name: a, path: '/{}'}]}",
        refused("spec.endpoints[0].path", PATH),
    ),
    ("{endpoints: [{name: a, path: /a, cost: 0}]}", ACCEPTED),
    (
        "{endpoints: [{name: a, path: /a, cost: 9007199254740991, auth: Optional}]}",
        ACCEPTED,
    ),
    (
        "{endpoints: [{name: a, path: /a, cost: -1}]}",
        refused("spec.endpoints[0].cost", COST),
    ),
    (
        "{endpoints: [{name: a, path: /a, cost: 9007199254740992}]}",
        refused("spec.endpoints[0].cost", COST),
    ),
    (
        "{endpoints: [{name: a, path: /a, scopes: ['items:write', a/b.c_d-e]}]}",
        ACCEPTED,
    ),
    (
        "{endpoints: [{name: a, path: /a, scopes: ['items:*']}]}",
        refused("spec.endpoints[0].scopes", SCOPES),
    ),
    (
        "{endpoints: [{name: a, path: /a, auth: None, scopes: []}]}",
        ACCEPTED,
    ),
    (
        "{endpoints: [{name: a, path: /a, auth: Optional, scopes: [x]}]}",
        refused(
            "spec.endpoints[0]",
            "scopes need auth: Required, because a caller without a key has none; remove scopes, or set auth: Required",
        ),
    ),
    (
        "{endpoints: [{name: a, path: /a, auth: None, cost: 1}]}",
        refused(
            "spec.endpoints[0]",
            "cost needs a key that pays it; remove cost, or set auth: Required or Optional",
        ),
    ),
    (
        "{endpoints: [{name: a, path: /a, chargeOn: Success}, {name: b, path: /b, auth: Optional, chargeOn: Always}]}",
        ACCEPTED,
    ),
    (
        "{endpoints: [{name: a, path: /a, auth: None, chargeOn: Success}]}",
        refused(
            "spec.endpoints[0]",
            "chargeOn needs a key that pays; remove chargeOn, or set auth: Required or Optional",
        ),
    ),
];

#[tokio::test]
async fn an_api_is_refused_with_a_sentence_or_accepted() {
    check_made::<GlyphApi>(MADE).await;
    check_name_length::<GlyphApi>("{endpoints: []}").await;
}

/// What the schema accepts as a path is what the matcher takes for a template.
#[test]
fn the_schemas_paths_are_the_matchers_templates() {
    for (spec, refusal) in MADE {
        let spec: glyph_crds::GlyphApiSpec = match serde_saphyr::from_str(spec) {
            Ok(spec) => spec,
            Err(_) => continue,
        };
        let unfit = glyph_crds::routing::first_that_is_no_template(&spec);
        let of_path = refusal.is_some_and(|(field, _)| field.ends_with(".path"));
        assert_eq!(unfit.is_some(), of_path, "{spec:?}");
    }
}
