//! `droves doctor`: what on this machine stands in the way of a large fleet.

use crate::cli::DoctorArgs;
use crate::say;
use droves_net::files::OpenFiles;
use droves_net::machine::{Here, limits};
use droves_scenario::plan::Plan;
use std::io::Write;

pub(crate) fn doctor(args: &DoctorArgs) -> anyhow::Result<u8> {
    let limits = limits(&Here, OpenFiles::read().ok(), args.connections, args.connections);
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

/// Warns of what is too low for a plan that is run in so many processes, or in this one, before anything is sent.
pub(crate) fn warn(plan: &Plan, processes: Option<u32>) {
    let connections = u64::from(plan.bounds.connections_max);
    let is_here = plan.target.url.is_none();
    let a_process = match processes {
        // Where the server is in this process, so is its end of each connection.
        Some(processes) => {
            if is_here {
                connections
            } else {
                connections.div_ceil(u64::from(processes))
            }
        }
        None => connections * if is_here { 2 } else { 1 },
    };
    for limit in limits(&Here, OpenFiles::read().ok(), connections, a_process) {
        if let Some(cure) = &limit.cure {
            say(&format!("warning: {}: {}: {}; cure: {cure}", limit.what, limit.is, limit.means));
        }
    }
}

fn mark(is_fine: bool) -> &'static str {
    if is_fine { "ok" } else { "low" }
}
