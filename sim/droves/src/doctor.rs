//! `droves doctor`: what on this machine stands in the way of a large fleet.

use crate::cli::DoctorArgs;
use crate::say;
use droves_net::files::OpenFiles;
use droves_net::machine::{Here, limits};
use droves_scenario::plan::Plan;
use std::io::Write;

pub(crate) fn doctor(args: &DoctorArgs) -> anyhow::Result<u8> {
    let limits = limits(&Here, OpenFiles::read().ok(), args.connections);
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&limits)?)?;
    } else {
        writeln!(out, "for {} connections at once:", args.connections)?;
        for limit in &limits {
            writeln!(out, "{:<4} {}: {}: {}", mark(limit.cure.is_none()), limit.what, limit.is, limit.means)?;
            if let Some(cure) = &limit.cure {
                writeln!(out, "       cure: {cure}")?;
            }
        }
    }
    Ok(u8::from(limits.iter().any(|limit| limit.cure.is_some())))
}

/// Warns of what is too low for a plan, before anything is sent.
pub(crate) fn warn(plan: &Plan) {
    // Both ends of each connection are in this process where the server is.
    let ends = if plan.target.url.is_none() { 2 } else { 1 };
    let connections = u64::from(plan.bounds.connections_max) * ends;
    for limit in limits(&Here, OpenFiles::read().ok(), connections) {
        if let Some(cure) = &limit.cure {
            say(&format!("warning: {}: {}: {}; cure: {cure}", limit.what, limit.is, limit.means));
        }
    }
}

fn mark(is_fine: bool) -> &'static str {
    if is_fine { "ok" } else { "low" }
}
