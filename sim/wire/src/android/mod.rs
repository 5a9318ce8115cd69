//! Android's MDM. Of Google, what its REST interfaces have in common, as the Android Management API, Pub/Sub and FCM speak
//! them: errors (`google.rpc.Status`), the JSON forms of protocol buffers' types, field masks, partial responses, resource
//! names.
//! Of servers with an agent of their own: MQTT, and what Headwind MDM and its agent say to each other.
//!
//! Google's resources are JSON objects and are not modelled here: a policy has a thousand fields, and whoever plays Google
//! hands most of them back as they came.

pub mod adp;
pub mod batch;
pub mod fcm;
pub mod fields;
pub mod headwind;
pub mod image;
pub mod mask;
pub mod mqtt;
pub mod name;
pub mod pubsub;
pub mod report;
pub mod status;
pub mod value;

pub use fields::{Fields, FieldsError};
pub use mask::{FieldMask, MaskError};
pub use status::{Code, Status};
