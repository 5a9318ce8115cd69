//! The reader.

use super::{Account, Auth, Certificate, Document, Level, Place, Renewal, Setting, Store};
use crate::lenient;
use crate::windows::xml::{Broken, Reader, XmlError};
use droves_facts::Limits;
use std::sync::Arc;

pub(super) fn document(bytes: &[u8], limits: &Limits) -> Result<Document, XmlError> {
    let mut xml = Reader::new(bytes, limits)?;
    xml.root("wap-provisioningdoc")?;
    let mut document = Document::default();
    while let Some(node) = next(&mut xml)? {
        let Node::Inside(kind) = node else { continue };
        if kind.eq_ignore_ascii_case("CertificateStore") {
            certificate_store(&mut xml, &mut document)?;
        } else if kind.eq_ignore_ascii_case("APPLICATION") && document.account.is_none() {
            document.account = Some(account(&mut xml)?);
        } else {
            settings(&mut xml, &mut vec![kind.into()], &mut document.settings)?;
        }
    }
    xml.finish()?;
    Ok(document)
}

/// What a characteristic holds.
enum Node {
    /// A characteristic of this type, which is open.
    Inside(String),
    /// A parameter.
    Parm(Parm),
}

struct Parm {
    name: String,
    value: Option<String>,
    datatype: Option<String>,
}

impl Parm {
    fn text(self) -> String {
        self.value.unwrap_or_default()
    }

    fn number<N: std::str::FromStr>(self, xml: &Reader<'_>, name: &'static str) -> Result<N, XmlError> {
        self.text().trim_ascii().parse().map_err(|_| xml.error(Broken::Value(name)))
    }
}

/// The next node of the characteristic that is open; `None` at its end.
fn next(xml: &mut Reader<'_>) -> Result<Option<Node>, XmlError> {
    while let Some(child) = xml.child()? {
        match child.name() {
            "characteristic" => return Ok(Some(Node::Inside(child.attribute("type").unwrap_or_default()))),
            "parm" => {
                let name = child.attribute("name").unwrap_or_default();
                xml.skip()?;
                let (value, datatype) = (child.attribute("value"), child.attribute("datatype"));
                return Ok(Some(Node::Parm(Parm { name, value, datatype })));
            }
            _ => xml.skip()?,
        }
    }
    Ok(None)
}

fn certificate_store(xml: &mut Reader<'_>, document: &mut Document) -> Result<(), XmlError> {
    while let Some(node) = next(xml)? {
        let Node::Inside(kind) = node else { continue };
        let store = match kind.to_ascii_lowercase().as_str() {
            "root" => Store::Root,
            "ca" => Store::Ca,
            "my" => Store::My,
            _ => {
                xml.skip()?;
                continue;
            }
        };
        while let Some(node) = next(xml)? {
            let Node::Inside(kind) = node else { continue };
            match (kind.to_ascii_lowercase().as_str(), store) {
                ("system", _) => certificates(xml, store, Place::System, &mut document.certificates)?,
                ("user", _) => certificates(xml, store, Place::User, &mut document.certificates)?,
                ("wstep", Store::My) => document.renewal = renewal(xml)?,
                _ => xml.skip()?,
            }
        }
    }
    Ok(())
}

/// Characteristics without a certificate (`PrivateKeyContainer`, inside or beside) say nothing.
fn certificates(
    xml: &mut Reader<'_>,
    store: Store,
    place: Place,
    found: &mut Vec<Certificate>,
) -> Result<(), XmlError> {
    while let Some(node) = next(xml)? {
        let Node::Inside(thumbprint) = node else { continue };
        let mut encoded = None;
        while let Some(node) = next(xml)? {
            match node {
                Node::Inside(_) => xml.skip()?,
                Node::Parm(parm) if parm.name.eq_ignore_ascii_case("EncodedCertificate") => encoded = Some(parm.text()),
                Node::Parm(_) => {}
            }
        }
        if let Some(encoded) = encoded {
            let der = lenient::base64(encoded).ok_or_else(|| xml.error(Broken::Value("EncodedCertificate")))?;
            found.push(Certificate { store, place, thumbprint, der });
        }
    }
    Ok(())
}

/// Of the `WSTEP` that is open.
fn renewal(xml: &mut Reader<'_>) -> Result<Option<Renewal>, XmlError> {
    let mut found = None;
    while let Some(node) = next(xml)? {
        let Node::Inside(kind) = node else { continue };
        if !kind.eq_ignore_ascii_case("Renew") {
            xml.skip()?;
            continue;
        }
        let renewal: &mut Renewal = found.get_or_insert_default();
        while let Some(node) = next(xml)? {
            let parm = match node {
                Node::Inside(_) => {
                    xml.skip()?;
                    continue;
                }
                Node::Parm(parm) => parm,
            };
            match parm.name.to_ascii_lowercase().as_str() {
                "robosupport" => renewal.automatic = matches!(parm.text().to_ascii_lowercase().as_str(), "true" | "1"),
                "renewperiod" => renewal.period_days = Some(parm.number(xml, "RenewPeriod")?),
                "retryinterval" => renewal.retry_days = Some(parm.number(xml, "RetryInterval")?),
                _ => {}
            }
        }
    }
    Ok(found)
}

fn account(xml: &mut Reader<'_>) -> Result<Account, XmlError> {
    let mut account = Account::default();
    while let Some(node) = next(xml)? {
        match node {
            Node::Inside(kind) if kind == "APPAUTH" => account.auths.push(auth(xml)?),
            Node::Inside(kind) if kind == "APPADDR" => app_address(xml, &mut account)?,
            Node::Inside(_) => xml.skip()?,
            Node::Parm(parm) => account_parm(xml, &mut account, parm)?,
        }
    }
    Ok(account)
}

/// These names are in upper case, and case counts (w7 APPLICATION CSP).
fn account_parm(xml: &Reader<'_>, account: &mut Account, parm: Parm) -> Result<(), XmlError> {
    match parm.name.as_str() {
        "PROVIDER-ID" => account.provider = parm.text(),
        "NAME" => account.name = parm.value,
        "ADDR" => account.address = parm.text(),
        "CONNRETRYFREQ" => account.tries = Some(parm.number(xml, "CONNRETRYFREQ")?),
        "INITIALBACKOFFTIME" => account.backoff_ms = Some(parm.number(xml, "INITIALBACKOFFTIME")?),
        "MAXBACKOFFTIME" => account.backoff_ms_max = Some(parm.number(xml, "MAXBACKOFFTIME")?),
        "BACKCOMPATRETRYDISABLED" => account.compatible_retries_disabled = true,
        "DEFAULTENCODING" => account.encoding = parm.value,
        "USEHWDEVID" => account.by_hardware_id = true,
        "SSLCLIENTCERTSEARCHCRITERIA" => account.certificate_search = parm.value,
        "ROLE" => account.role = parm.value,
        "ServerList" => account.server_list = parm.value,
        _ => {}
    }
    Ok(())
}

fn app_address(xml: &mut Reader<'_>, account: &mut Account) -> Result<(), XmlError> {
    while let Some(node) = next(xml)? {
        match node {
            Node::Parm(parm) if parm.name == "ADDR" => account.address = parm.text(),
            Node::Parm(_) => {}
            Node::Inside(_) => {
                while let Some(node) = next(xml)? {
                    match node {
                        Node::Parm(parm) if parm.name == "PORTNBR" => account.port = Some(parm.number(xml, "PORTNBR")?),
                        Node::Parm(_) => {}
                        Node::Inside(_) => xml.skip()?,
                    }
                }
            }
        }
    }
    Ok(())
}

fn auth(xml: &mut Reader<'_>) -> Result<Auth, XmlError> {
    let mut auth = Auth::default();
    while let Some(node) = next(xml)? {
        let parm = match node {
            Node::Inside(_) => {
                xml.skip()?;
                continue;
            }
            Node::Parm(parm) => parm,
        };
        match parm.name.as_str() {
            "AAUTHLEVEL" => {
                auth.level = match parm.text().as_str() {
                    "APPSRV" => Some(Level::Device),
                    "CLIENT" => Some(Level::Server),
                    _ => None,
                }
            }
            "AAUTHTYPE" => auth.kind = parm.value,
            "AAUTHNAME" => auth.name = parm.value,
            "AAUTHSECRET" => auth.secret = parm.value,
            "AAUTHDATA" => auth.nonce = parm.value,
            _ => {}
        }
    }
    Ok(auth)
}

/// Everything in the characteristic that is open. Recurses; the reader's depth is bounded.
fn settings(xml: &mut Reader<'_>, path: &mut Vec<Arc<str>>, found: &mut Vec<Setting>) -> Result<(), XmlError> {
    while let Some(node) = next(xml)? {
        match node {
            Node::Inside(kind) => {
                path.push(kind.into());
                settings(xml, path, found)?;
                path.pop();
            }
            Node::Parm(Parm { name, value, datatype }) => {
                found.push(Setting { path: path.clone(), name, value, datatype });
            }
        }
    }
    Ok(())
}
