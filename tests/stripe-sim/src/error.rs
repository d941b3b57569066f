//! Stripe's error answers: status, type, code, sentence and the parameter to blame.
//!
//! Sentences and codes as on <https://docs.stripe.com/error-codes> and <https://docs.stripe.com/api/errors>.

use serde_json::{Map, Value, json};

/// An answer that is an error, as Stripe words it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    fields: Map<String, Value>,
}

impl ApiError {
    /// An error of a type of Stripe's: `invalid_request_error`, `api_error`, …
    pub(crate) fn new(status: u16, kind: &str, message: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert("type".to_owned(), json!(kind));
        fields.insert("message".to_owned(), json!(message.into()));
        Self { status, fields }
    }

    /// A request that cannot be served as it stands: 400 `invalid_request_error`.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    /// A required parameter that was not given.
    pub(crate) fn missing_param(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}."))
            .code("parameter_missing")
            .param(param)
    }

    /// No object under the id in the path: 404.
    pub(crate) fn no_such(noun: &str, id: &str) -> Self {
        let mut error = Self::invalid(format!("No such {noun}: '{id}'"))
            .code("resource_missing")
            .param("id");
        error.status = 404;
        error
    }

    /// No object under the id given as `param`: 400.
    pub(crate) fn no_such_reference(noun: &str, id: &str, param: &str) -> Self {
        Self::invalid(format!("No such {noun}: '{id}'"))
            .code("resource_missing")
            .param(param)
    }

    /// A refused card: 402 `card_error`.
    pub(crate) fn card(code: &str, decline_code: Option<&str>, message: &str) -> Self {
        let error = Self::new(402, "card_error", message).code(code);
        match decline_code {
            Some(decline) => error.with("decline_code", json!(decline)),
            None => error,
        }
    }

    /// Adds a code, and the page that explains it.
    pub(crate) fn code(self, code: &str) -> Self {
        let page = format!(
            "https://stripe.com/docs/error-codes/{}",
            code.replace('_', "-")
        );
        self.with("code", json!(code)).with("doc_url", json!(page))
    }

    /// Adds the parameter to blame.
    pub(crate) fn param(self, param: &str) -> Self {
        self.with("param", json!(param))
    }

    /// Adds any other field.
    pub(crate) fn with(mut self, field: &str, value: Value) -> Self {
        self.fields.insert(field.to_owned(), value);
        self
    }

    /// The value of `error` in the answer's body, also kept as `last_payment_error`.
    pub(crate) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// The sentence for people.
    pub(crate) fn message(&self) -> &str {
        self.fields
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The whole body of the answer.
    pub(crate) fn body(&self) -> Value {
        json!({ "error": self.fields })
    }
}
