//! Errors: `{"error": {"code": 404, "message": .., "status": "NOT_FOUND", "details": [..]}}` (Google, AIP-193;
//! `google/rpc/status.proto`, `code.proto`, `error_details.proto`).

use serde_json::{Value, json};

/// An answer with an error is never longer.
pub const STATUS_BYTES_MAX: usize = 64 << 10;

/// A code of `google.rpc.Code`. What it is called and which status of HTTP goes with it is Google's choice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the names are Google's, and say it")]
pub enum Code {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    /// All of them, by number.
    pub const ALL: [Code; 16] = [
        Code::Cancelled,
        Code::Unknown,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unauthenticated,
    ];

    /// The number, as an operation's error and gRPC have it.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The code of this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Code::ALL.into_iter().find(|code| i64::from(code.number()) == number)
    }

    /// The status of HTTP that goes with it.
    pub fn http(self) -> u16 {
        self.row().1
    }

    /// As `status` has it.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    fn row(self) -> (&'static str, u16) {
        match self {
            Code::Cancelled => ("CANCELLED", 499),
            Code::Unknown => ("UNKNOWN", 500),
            Code::InvalidArgument => ("INVALID_ARGUMENT", 400),
            Code::DeadlineExceeded => ("DEADLINE_EXCEEDED", 504),
            Code::NotFound => ("NOT_FOUND", 404),
            Code::AlreadyExists => ("ALREADY_EXISTS", 409),
            Code::PermissionDenied => ("PERMISSION_DENIED", 403),
            Code::ResourceExhausted => ("RESOURCE_EXHAUSTED", 429),
            Code::FailedPrecondition => ("FAILED_PRECONDITION", 400),
            Code::Aborted => ("ABORTED", 409),
            Code::OutOfRange => ("OUT_OF_RANGE", 400),
            Code::Unimplemented => ("UNIMPLEMENTED", 501),
            Code::Internal => ("INTERNAL", 500),
            Code::Unavailable => ("UNAVAILABLE", 503),
            Code::DataLoss => ("DATA_LOSS", 500),
            Code::Unauthenticated => ("UNAUTHENTICATED", 401),
        }
    }
}

/// What went wrong, for a program and for a person.
#[derive(Clone, PartialEq, Debug)]
pub struct Status {
    /// The kind.
    pub code: Code,
    /// For a person.
    pub message: String,
    /// For a program: objects with an `@type` each.
    pub details: Vec<Value>,
}

impl Status {
    /// Without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Status { code, message: message.into(), details: Vec::new() }
    }

    /// A field of the request is wrong (`google.rpc.BadRequest`).
    pub fn bad_field(field: &str, description: impl Into<String>) -> Self {
        let description = description.into();
        let message = format!("Invalid value at '{field}': {description}");
        Status { message, ..Status::bad_request(field, description) }
    }

    /// The same, of an interface that says no more in its message than in its detail.
    pub fn bad_request(field: &str, description: impl Into<String>) -> Self {
        let description = description.into();
        let detail = json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": field, "description": description }],
        });
        Status::new(Code::InvalidArgument, description).with(detail)
    }

    /// With why, as a machine may ask (`google.rpc.ErrorInfo`).
    #[must_use]
    pub fn because(self, reason: &str, metadata: &Value) -> Self {
        self.with(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
            "metadata": metadata,
        }))
    }

    fn with(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }

    /// The reason of its `ErrorInfo`.
    pub fn reason(&self) -> Option<&str> {
        self.details.iter().find_map(|detail| detail.get("reason")?.as_str())
    }

    /// As an answer has it.
    pub fn write(&self) -> Vec<u8> {
        let (code, status) = (self.code.http(), self.code.name());
        let mut error = json!({ "code": code, "message": self.message, "status": status });
        if !self.details.is_empty() {
            error["details"] = Value::from(self.details.clone());
        }
        serde_json::to_vec(&json!({ "error": error })).unwrap_or_default()
    }

    /// Reads an answer; `None` if it is no such error. A status that nobody knows is told by its number.
    pub fn read(json: &[u8]) -> Option<Self> {
        if json.len() > STATUS_BYTES_MAX {
            return None;
        }
        let mut answer: Value = serde_json::from_slice(json).ok()?;
        let error = answer.get_mut("error")?.as_object_mut()?;
        let named = |name: &str| Code::ALL.into_iter().find(|code| code.name() == name);
        let numbered = |number: u64| Code::ALL.into_iter().find(|code| u64::from(code.http()) == number);
        let status = error.get("status").and_then(Value::as_str).and_then(named);
        let code = status.or_else(|| numbered(error.get("code")?.as_u64()?)).unwrap_or(Code::Unknown);
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        let details = match error.remove("details") {
            Some(Value::Array(details)) => details,
            _ => Vec::new(),
        };
        Some(Status { code, message, details })
    }
}

/// What a fuzzer drives: what could be read is written and read again as the same.
pub fn target(bytes: &[u8]) {
    if let Some(status) = Status::read(bytes) {
        let written = status.write();
        assert!(written.len() > STATUS_BYTES_MAX || Status::read(&written).as_ref() == Some(&status));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_error_has_googles_shape() {
        let quota = Status::new(Code::ResourceExhausted, "Quota exceeded")
            .because("RATE_LIMIT_EXCEEDED", &json!({ "service": "androidmanagement.googleapis.com" }));
        let expected = json!({ "error": {
            "code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED",
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED",
                "domain": "googleapis.com", "metadata": { "service": "androidmanagement.googleapis.com" },
            }],
        }});
        assert_eq!(serde_json::from_slice::<Value>(&quota.write()).ok(), Some(expected));
        assert_eq!(quota.reason(), Some("RATE_LIMIT_EXCEEDED"));
        let bad = Status::bad_field("policy.version", "not a number");
        assert_eq!(Status::read(&bad.write()), Some(bad.clone()));
        assert_eq!(bad.details[0]["fieldViolations"][0]["field"], "policy.version");
    }

    #[test]
    fn an_error_without_a_status_is_told_by_its_number() {
        let code = |json: &[u8]| Status::read(json).map(|status| status.code);
        assert_eq!(code(br#"{"error":{"code":404}}"#), Some(Code::NotFound));
        assert_eq!(code(br#"{"error":{"code":418,"details":3}}"#), Some(Code::Unknown));
        assert_eq!(code(br#"{"error":"invalid_grant"}"#), None);
        assert_eq!(Code::from_number(4), Some(Code::DeadlineExceeded));
        assert_eq!(Code::from_number(17), None);
    }

    #[test]
    fn the_corpus_does_no_harm() {
        crate::corpus::drive("google_status", target);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number in 1_i64..17, message in "\\PC{0,40}", field in "[a-z.]{0,9}") {
            let code = Code::from_number(number).unwrap_or(Code::Unknown);
            let status = Status::new(code, message.as_str()).because("WHY", &json!({ field: message }));
            prop_assert_eq!(Status::read(&status.write()), Some(status));
        }

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            target(&bytes);
        }
    }
}
