//! What is seen of a run: plain progress lines, the live dashboard, the results folder. It measures nothing and touches
//! no device.

mod figures;
mod plain;
mod results;

pub use figures::utc;
pub use plain::Plain;
pub use results::{About, Results, ResultsError};
