//! Whatever comes in: requests drawn from the served OpenAPI document, right and wrong. No answer is a 5xx, each has a
//! status that the document declares, and a body of the declared form.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use glyph_harness::net::Answer;
use http::{HeaderMap, Method};
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::site::{Site, headers};

/// Requests drawn for each operation.
const DRAWN: u64 = 40;
/// Requests under way at once.
const AT_ONCE: usize = 8;

/// Texts that somebody will send.
const TEXTS: [&str; 16] = [
    "",
    " ",
    "ada@example.com",
    "starter",
    "extra",
    "null",
    "\u{0}",
    "../../etc/passwd",
    "${jndi:ldap://x}",
    "' OR 1=1 --",
    "<script>",
    "ｆｕｌｌ",
    "\u{202e}abc",
    "{}",
    "2026-13-45T99:99:99Z",
    "glyph_sk_live_0123456789abcdefghijklmnopqrstuv",
];

/// Draws the same requests every time.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        // Knuth's MMIX; the low bits are poor.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn text(&mut self) -> String {
        match self.below(20) {
            0 => "x".repeat(5000),
            1 => "é".repeat(300),
            2 => format!("{}@example.com", self.next()),
            _ => TEXTS[usize::try_from(self.below(TEXTS.len() as u64)).unwrap()].to_owned(),
        }
    }

    fn anything(&mut self, depth: u32) -> Value {
        match self.below(if depth == 0 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.next()),
            3 => json!(-1.5e300),
            4 | 5 => json!(self.text()),
            6 => (0..self.below(4))
                .map(|_| self.anything(depth - 1))
                .collect(),
            _ => json!({self.text(): self.anything(depth - 1)}),
        }
    }

    /// What a schema asks for, mostly.
    fn of(&mut self, document: &Value, schema: &Value) -> Value {
        if self.below(12) == 0 {
            return self.anything(2);
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
            return self.of(document, schema);
        }
        if let Some(all) = schema["oneOf"].as_array() {
            let at = usize::try_from(self.below(all.len() as u64)).unwrap();
            return self.of(document, &all[at]);
        }
        if let Some(words) = schema["enum"].as_array() {
            return words[usize::try_from(self.below(words.len() as u64)).unwrap()].clone();
        }
        let kind = schema["type"].to_string();
        if kind.contains("object") {
            self.object(document, schema)
        } else if kind.contains("array") {
            (0..self.below(4))
                .map(|_| self.of(document, &schema["items"]))
                .collect()
        } else if kind.contains("integer") {
            let edges = [0, 1, 100, 101, 255, 256, 4_294_967_295_i64, -1];
            json!(edges[usize::try_from(self.below(8)).unwrap()])
        } else {
            match (schema["format"].as_str(), self.below(2)) {
                (Some("date-time"), 0) => json!("2099-01-01T00:00:00Z"),
                (Some("password"), 0) => json!("Correct-horse-7"),
                _ => json!(self.text()),
            }
        }
    }

    fn object(&mut self, document: &Value, schema: &Value) -> Value {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let mut fields = Map::new();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let needed = required.iter().any(|one| one == name.as_str());
            if self.below(if needed { 12 } else { 2 }) != 0 {
                fields.insert(name.clone(), self.of(document, field));
            }
        }
        if self.below(8) == 0 {
            fields.insert(self.text(), self.anything(1));
        }
        fields.into()
    }

    fn body(&mut self, document: &Value, operation: &Value) -> Vec<u8> {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        match self.below(16) {
            0 => Vec::new(),
            1 => b"{\"a\": ".to_vec(),
            2 => vec![0xff, 0xfe, 0x00],
            3 => "[".repeat(2000).into_bytes(),
            4 => self.anything(3).to_string().into_bytes(),
            _ if schema.is_null() => b"{}".to_vec(),
            _ => self.of(document, schema).to_string().into_bytes(),
        }
    }

    fn headers(&mut self, token: &str) -> HeaderMap {
        let mut chosen = vec![(
            "content-type",
            if self.below(12) == 0 {
                "text/plain"
            } else {
                "application/json"
            },
        )];
        match self.below(8) {
            0 => chosen.push(("idempotency-key", "a key")),
            1 => chosen.push(("idempotency-key", "k1")),
            2 => chosen.extend([("idempotency-key", "k1"), ("idempotency-key", "k2")]),
            3 => chosen.push(("x-forwarded-for", "nonsense, , ::1, 1.2.3.4:99")),
            4 => chosen.push(("origin", "https://evil.example")),
            _ => {}
        }
        match self.below(10) {
            0 => headers(None, &chosen),
            1 => headers(Some("a.b.c"), &chosen),
            _ => headers(Some(token), &chosen),
        }
    }

    fn path(&mut self, path: &str, operation: &Value, own: &[String]) -> String {
        let parts = path.split('/').map(|part| {
            if !part.starts_with('{') {
                return part.to_owned();
            }
            match self.below(3) {
                0 => encoded(&self.text()),
                1 => "%ff%00".to_owned(),
                _ => own[usize::try_from(self.below(own.len() as u64)).unwrap()].clone(),
            }
        });
        let path = parts.collect::<Vec<_>>().join("/");
        let parameters = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut query = String::new();
        for parameter in parameters.iter().filter(|one| one["in"] == "query") {
            if self.below(2) == 0 {
                let name = parameter["name"].as_str().unwrap();
                let value = if self.below(2) == 0 {
                    self.below(200).to_string()
                } else {
                    encoded(&self.text())
                };
                query.push_str(&format!("&{name}={value}"));
            }
        }
        match (self.below(10), query.is_empty()) {
            (0, _) => format!("{path}?{}", encoded(&self.text())),
            (_, true) => path,
            _ => format!("{path}?{}", &query[1..]),
        }
    }
}

fn encoded(text: &str) -> String {
    // A part of a path is not empty.
    if text.is_empty() {
        "%20".to_owned()
    } else {
        text.bytes()
            .take(600)
            .map(|byte| format!("%{byte:02x}"))
            .collect()
    }
}

/// The forms of answers, by operation, status and media type.
struct Declared {
    validators: BTreeMap<(String, String), Validator>,
}

impl Declared {
    fn new(document: &Value) -> Self {
        let mut validators = BTreeMap::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let (_, content) = response["content"]
                        .as_object()
                        .unwrap()
                        .iter()
                        .next()
                        .unwrap();
                    let schema =
                        json!({"components": document["components"], "allOf": [content["schema"]]});
                    let validator = jsonschema::validator_for(&schema).unwrap();
                    validators.insert((format!("{method} {path}"), status.clone()), validator);
                }
            }
        }
        Self { validators }
    }

    fn check(&self, operation: &str, request: &str, answer: &Answer) {
        let text = answer.text();
        assert!(answer.status < 500, "{request}: {} {text}", answer.status);
        let key = (operation.to_owned(), answer.status.to_string());
        let validator = self.validators.get(&key);
        let validator = validator
            .unwrap_or_else(|| panic!("{request}: {} is not declared: {text}", answer.status));
        let media_type = if answer.status < 300 {
            "application/json"
        } else {
            "application/problem+json"
        };
        assert_eq!(
            answer.header("content-type"),
            media_type,
            "{request}: {text}"
        );
        let body: Value = answer.json().unwrap();
        let wrong: Vec<_> = validator
            .iter_errors(&body)
            .map(|error| error.to_string())
            .collect();
        assert!(
            wrong.is_empty(),
            "{request}: {} {text} {wrong:?}",
            answer.status
        );
    }
}

/// CASE 62
#[tokio::test]
async fn whatever_comes_in_the_answer_is_declared_and_never_a_5xx() {
    let many = |settings: glyph_harness::Settings| {
        settings
            .set("GLYPH_ACCOUNT_ATTEMPTS_PER_ADDRESS", "100000")
            .set("GLYPH_ACCOUNT_ATTEMPTS_PER_EMAIL", "100000")
            .set("GLYPH_ACCOUNT_TRUSTED_PROXIES", "3")
            .set("GLYPH_ACCOUNT_MAX_KEYS", "50")
    };
    let site = Site::with("any", many).await;
    let document: Value = site.get("/openapi.json", None).await.json().unwrap();
    let declared = Declared::new(&document);
    let mut member = site.member("ada").await;
    site.subscribe(&member, "starter").await;
    let (_, key) = site.key(&member, "first").await;
    let checkout = site
        .post(
            "/billing/checkout",
            Some(&member.token),
            &json!({"credit_pack": "extra"}),
        )
        .await;
    let own = vec![
        key,
        checkout.json::<Value>().unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned(),
    ];
    let mut draw = Draw(62);
    let mut answered = 0;
    let mut statuses = BTreeMap::<u16, u32>::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            let ends = matches!(name.as_str(), "post /auth/logout" | "delete /auth/me");
            let requests: Vec<_> = (0..if ends { 12 } else { DRAWN })
                .map(|_| {
                    (
                        draw.path(path, operation, &own),
                        draw.headers(&member.token),
                        draw.body(&document, operation),
                    )
                })
                .collect();
            let verb: Method = method.to_uppercase().parse().unwrap();
            let site = &site;
            let answers = requests.into_iter().map(|(path, headers, body)| {
                let verb = verb.clone();
                async move {
                    let answer = site.ask(verb, &path, &headers, body.clone()).await;
                    (
                        format!("{path} {headers:?} {}", String::from_utf8_lossy(&body)),
                        answer,
                    )
                }
            });
            let answers = futures::stream::iter(answers)
                .buffer_unordered(AT_ONCE)
                .collect::<Vec<_>>()
                .await;
            for (request, answer) in &answers {
                declared.check(&name, request, answer);
                *statuses.entry(answer.status).or_default() += 1;
                answered += 1;
            }
            if ends {
                member = site.member(&format!("ada{answered}")).await;
            }
        }
    }
    assert!(answered > 800, "{answered}");
    for status in [200, 400, 401, 404, 422] {
        assert!(
            statuses.get(&status).is_some_and(|count| *count > 10),
            "{status}: {statuses:?}"
        );
    }
    println!("{answered} answers: {statuses:?}");
}
