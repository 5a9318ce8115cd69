//! What a request says before its message is read.

use crate::push::Request;
use http::header;

/// The project to whose messages it adds one, if it does.
pub(crate) fn project<'a>(request: &Request<'a>) -> Option<&'a str> {
    let project = request.path.strip_prefix("/v1/projects/")?.strip_suffix("/messages:send")?;
    (request.method == "POST" && !project.is_empty() && !project.contains('/')).then_some(project)
}

/// The access token in its header.
pub(crate) fn bearer<'a>(request: &Request<'a>) -> Option<&'a str> {
    request.headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
