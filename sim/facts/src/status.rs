//! Kinds of failure for HTTP statuses: a small fixed set of words, because they become labels.

/// An HTTP status as a kind of failure: one of a small fixed set of words.
pub fn status_kind(status: u16) -> &'static str {
    match status {
        400 => "status_400",
        401 => "status_401",
        403 => "status_403",
        404 => "status_404",
        405 => "status_405",
        408 => "status_408",
        409 => "status_409",
        410 => "status_410",
        413 => "status_413",
        415 => "status_415",
        429 => "status_429",
        402 | 406..=407 | 411..=412 | 414 | 416..=428 | 430..=499 => "status_4xx",
        500 => "status_500",
        501 => "status_501",
        502 => "status_502",
        503 => "status_503",
        504 => "status_504",
        505..=599 => "status_5xx",
        200..=299 => "status_2xx",
        300..=399 => "status_3xx",
        _ => "status",
    }
}
