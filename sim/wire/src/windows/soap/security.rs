//! `wsse:Security`: how whoever enrolls proves who they are (MS-MDE2, 3.3; WS-Security 1.0).

use crate::lenient;
use crate::windows::xml::{Element, Reader, Writer, XmlError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

pub(in crate::windows) const SECEXT: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
/// How a `BinarySecurityToken` is encoded.
pub(in crate::windows) const BASE64_BINARY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd#base64binary";
const PASSWORD_TEXT: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText";
/// Windows' own, the same in each message.
const USERNAME_TOKEN_ID: &str = "uuid-cc1ccc1f-2fba-4bcf-b063-ffc0cac77917-4";
const USER_TOKEN: &str =
    "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentUserToken";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// What the policy and the enrollment request carry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential<'a> {
    /// `AuthPolicy` OnPremise: a name and a password.
    Password {
        /// `wsse:Username`: mostly a mail address.
        user: Cow<'a, str>,
        /// `wsse:Password`; empty in an automatic renewal, which TLS answers for.
        password: Cow<'a, str>,
    },
    /// `AuthPolicy` Federated: a token.
    Token {
        /// Whose.
        kind: TokenKind<'a>,
        /// Base64, as it was sent or is to be sent; [`Credential::token`] makes it.
        base64: Cow<'a, str>,
    },
}

/// Where a token comes from, as `ValueType` says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenKind<'a> {
    /// The `wresult` of a server's own web page.
    User,
    /// A JWT of Entra.
    Jwt,
    /// Another.
    Other(Cow<'a, str>),
}

impl TokenKind<'_> {
    fn value_type(&self) -> &str {
        match self {
            TokenKind::User => USER_TOKEN,
            TokenKind::Jwt => JWT,
            TokenKind::Other(other) => other,
        }
    }
}

impl Credential<'_> {
    /// A token of these bytes.
    pub fn token(kind: TokenKind<'_>, bytes: &[u8]) -> Credential<'static> {
        let kind = match kind {
            TokenKind::User => TokenKind::User,
            TokenKind::Jwt => TokenKind::Jwt,
            TokenKind::Other(other) => TokenKind::Other(Cow::Owned(other.into_owned())),
        };
        Credential::Token { kind, base64: Cow::Owned(STANDARD.encode(bytes)) }
    }

    /// The bytes of a token, from either alphabet: some clients use that for URLs.
    pub fn token_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Credential::Password { .. } => None,
            Credential::Token { base64, .. } => lenient::base64(base64.replace('-', "+").replace('_', "/")),
        }
    }

    pub(super) fn write(&self, w: &mut Writer<'_>) {
        match self {
            Credential::Password { user, password } => {
                w.element("wsse:UsernameToken", &[("u:Id", USERNAME_TOKEN_ID)], |w| {
                    w.text("wsse:Username", user);
                    w.text_with("wsse:Password", &[("wsse:Type", PASSWORD_TEXT)], password);
                });
            }
            Credential::Token { kind, base64 } => {
                let attributes = [("ValueType", kind.value_type()), ("EncodingType", BASE64_BINARY)];
                w.text_with("wsse:BinarySecurityToken", &attributes, base64);
            }
        }
    }
}

/// Of either direction: a request's credential, an answer's timestamp.
pub(super) fn read<'a>(
    xml: &mut Reader<'a>,
    credential: &mut Option<Credential<'a>>,
    timestamp: &mut Option<(Cow<'a, str>, Cow<'a, str>)>,
) -> Result<(), XmlError> {
    while let Some(child) = xml.child()? {
        match child.name() {
            "UsernameToken" => {
                let (user, password) = pair(xml, "Username", "Password")?;
                *credential = Some(Credential::Password { user, password });
            }
            "BinarySecurityToken" => {
                let kind = token_kind(&child);
                *credential = Some(Credential::Token { kind, base64: xml.word()? });
            }
            "Timestamp" => *timestamp = Some(pair(xml, "Created", "Expires")?),
            _ => xml.skip()?,
        }
    }
    Ok(())
}

fn token_kind<'a>(element: &Element<'_>) -> TokenKind<'a> {
    match element.attribute("ValueType").unwrap_or_default() {
        said if said == USER_TOKEN => TokenKind::User,
        said if said == JWT => TokenKind::Jwt,
        said => TokenKind::Other(Cow::Owned(said)),
    }
}

/// The texts of two children; empty where they are missing. A password keeps its blanks.
fn pair<'a>(xml: &mut Reader<'a>, first: &str, second: &str) -> Result<(Cow<'a, str>, Cow<'a, str>), XmlError> {
    let (mut one, mut two) = (Cow::Borrowed(""), Cow::Borrowed(""));
    while let Some(child) = xml.child()? {
        match child.name() {
            name if name == first => one = xml.word()?,
            name if name == second => two = xml.text()?,
            _ => xml.skip()?,
        }
    }
    Ok((one, two))
}
