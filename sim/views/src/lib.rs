//! What is seen of a run: plain progress lines, the live dashboard, the results folder. It measures nothing and touches
//! no device.

mod calibration;
mod dashboard;
mod figures;
mod junit;
mod outlook;
mod plain;
mod report;
mod results;

pub use calibration::calibration;
pub use dashboard::{Dashboard, Snapshots, Sort, View, Wish, draw};
pub use figures::utc;
pub use outlook::Outlook;
pub use plain::Plain;
pub use results::{About, Results, ResultsError};
