//! A check as Envoy sends it. Field numbers are those of Envoy's `service/auth/v3/attribute_context.proto` and
//! `config/core/v3/base.proto`.

/// The check of a GET with the usual header fields and this `Authorization`.
pub(crate) fn with_bearer(credential: &str) -> Vec<u8> {
    let headers = [
        (":method", "GET"),
        (":path", "/v1/items/7?fields=name"),
        (":authority", "api.example.com"),
        (":scheme", "https"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-request-id", "b8e1c7a2-5d0f-4b0c-9a51-2f6a6f2f7f10"),
        ("authorization", &format!("Bearer {credential}")),
    ];
    let headers: Vec<u8> = headers
        .iter()
        .flat_map(|(name, value)| {
            let pair = [field(1, name.as_bytes()), field(3, value.as_bytes())].concat();
            field(1, &pair)
        })
        .collect();
    let http = [
        field(2, b"GET"),
        field(4, b"/v1/items/7?fields=name"),
        field(5, b"api.example.com"),
        field(13, &headers),
    ];
    field(1, &field(4, &field(2, &http.concat())))
}

/// A field of bytes: number, length, content.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut written = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        written.push(length as u8 | 0x80);
        length >>= 7;
    }
    written.push(length as u8);
    written.extend_from_slice(content);
    written
}
