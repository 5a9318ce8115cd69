//! Windows' MDM: enrollment over SOAP (MS-MDE2, with MS-XCEP and MS-WSTEP inside), management over SyncML (MS-MDM), and
//! the wake by WNS.
//!
//! What is written has the shape of recorded messages of Windows 10 21H1, and of the servers that it took them from; what
//! is read is taken with whatever prefix, order and case the field was seen to use.

pub mod csr;
pub mod discovery;
pub mod issue;
pub mod policy;
pub mod provisioning;
pub mod soap;
pub mod syncml;
pub mod values;
pub mod wns;
mod xml;

pub use xml::{Broken, XmlError};
