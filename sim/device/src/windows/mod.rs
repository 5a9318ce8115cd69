//! Windows PCs: Microsoft's MDM protocol (MS-MDE2, MS-MDM) as a device speaks it.
//!
//! The management tree is in [`tree`], what its nodes mean in [`csp`], what the PC is made of in [`hardware`].

mod csp;
mod hardware;
mod tree;
