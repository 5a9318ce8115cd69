//! The arrows between rooms, as DESIGN's list has them: a crate depends only on those above it. And the crates that
//! may not be in the tree at all.

use super::{Finding, relative};
use crate::House;
use anyhow::{Context, Result, ensure};
use cargo_metadata::{Dependency, DependencyKind, Package};
use std::path::Path;
use std::process::Command;

/// The rooms from the top of the house down.
pub(crate) const ROOMS: &[&str] = &[
    "droves-facts",
    "droves-wire",
    "droves-device",
    "droves-scenario",
    "droves-measure",
    "droves-shard",
    "droves-fleet",
    "droves-net",
    "droves-emulators",
    "droves-engine",
    "droves-views",
    "droves",
];

/// Around the house: they may use any room, no room may use them.
const OUTSIDE: &[&str] = &["xtask", "droves-e2e", "droves-benches"];

/// Tests that need a room below their own: (room, the room it tests with, why).
const LOOSER_IN_TESTS: &[(&str, &str, &str)] = &[];

/// Rooms that can't name a socket or a runtime.
const PURE: &[&str] =
    &["droves-facts", "droves-wire", "droves-device", "droves-scenario", "droves-measure", "droves-shard"];

/// What would let a pure room do I/O.
const IMPURE: &[&str] =
    &["tokio", "hyper", "hyper-util", "axum", "tokio-rustls", "socket2", "redb", "crossterm", "async-nats"];

/// Never in the tree: (crate, why).
const BANNED: &[(&str, &str)] = &[
    ("ring", "aws-lc-rs is the one cryptographic library: turn the default features of what brings ring off"),
    ("openssl", "aws-lc-rs is the one cryptographic library: choose the rustls feature of what brings openssl"),
    ("openssl-sys", "aws-lc-rs is the one cryptographic library: choose the rustls feature of what brings openssl"),
    ("rsa", "aws-lc-rs signs nine times faster and in constant time: turn off the feature that brings rsa"),
];

/// Every arrow that goes up the list, and every pure room that could do I/O.
pub(super) fn check(house: &House) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in house.metadata.workspace_packages() {
        let manifest = package.manifest_path.as_std_path();
        let text = std::fs::read_to_string(manifest).with_context(|| format!("{}", manifest.display()))?;
        for (line, what, cure) in arrows_of(package, &text) {
            findings.push(Finding::new(relative(&house.root(), manifest), line, what, cure));
        }
    }
    Ok(findings)
}

fn arrows_of(package: &Package, manifest: &str) -> Vec<(usize, String, String)> {
    let name = package.name.as_str();
    let rank = rank(name);
    if rank.is_none() && !OUTSIDE.contains(&name) {
        let cure = "give it its place in ROOMS (xtask/src/tidy/arrows.rs) and in ARCHITECTURE.md";
        return vec![(1, format!("{name} is in no list of rooms"), cure.to_owned())];
    }
    let mut found = Vec::new();
    for dependency in &package.dependencies {
        let line = line_of(manifest, &dependency.name);
        if let Some(rule) = broken_rule(name, rank, dependency) {
            found.push((line, rule.0, rule.1));
        }
    }
    found
}

fn broken_rule(name: &str, rank_of_name: Option<usize>, dependency: &Dependency) -> Option<(String, String)> {
    let other = dependency.name.as_str();
    let in_tests = dependency.kind == DependencyKind::Development;
    if OUTSIDE.contains(&other) && rank_of_name.is_some() {
        let cure = "move what is shared into the room that it belongs to";
        return Some((format!("{name} depends on {other}, which stands outside of the house"), cure.to_owned()));
    }
    if PURE.contains(&name) && !in_tests && IMPURE.contains(&other) {
        let cure = "hand the effect in, or do it in engine, net or fleet";
        return Some((format!("{name} is a pure room and depends on {other}"), cure.to_owned()));
    }
    let (mine, theirs) = (rank_of_name?, rank(other)?);
    let excused = in_tests && LOOSER_IN_TESTS.iter().any(|(room, with, _)| *room == name && *with == other);
    (theirs >= mine && !excused).then(|| {
        (
            format!("{name} depends on {other}, which stands below it"),
            format!("move the shared word up (into droves-facts at the top), or the user down to {other}"),
        )
    })
}

fn rank(name: &str) -> Option<usize> {
    ROOMS.iter().position(|room| *room == name)
}

fn line_of(manifest: &str, dependency: &str) -> usize {
    let named = |line: &str| {
        line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
            || line.strip_prefix('"').and_then(|line| line.strip_prefix(dependency)).is_some()
    };
    manifest.lines().position(named).map_or(1, |index| index + 1)
}

/// Banned crates that the resolved tree of this machine holds, in any kind of dependency.
pub(super) fn banned_crates(root: &Path) -> Result<Vec<Finding>> {
    let arguments = ["tree", "--workspace", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}"];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(root).output().context("cargo tree")?;
    ensure!(output.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(banned_in(&String::from_utf8_lossy(&output.stdout)))
}

fn banned_in(tree: &str) -> Vec<Finding> {
    let present = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    BANNED
        .iter()
        .filter(|(name, _)| present(name))
        .map(|(name, why)| {
            Finding::new("Cargo.toml", 1, format!("{name} is in the tree"), format!("{why} (`cargo tree -i {name}`)"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(package: &str, other: &str, kind: DependencyKind, expected: Option<&str>) {
        let json = format!(
            r#"{{"name":"{other}","source":null,"req":"*","kind":{},"optional":false,"uses_default_features":true,
                "features":[],"target":null,"rename":null,"registry":null}}"#,
            if kind == DependencyKind::Development { "\"dev\"" } else { "null" }
        );
        let dependency: Dependency = serde_json_of(&json);
        let rule = broken_rule(package, rank(package), &dependency).map(|(what, _)| what);
        assert_eq!(rule.as_deref(), expected, "{package} -> {other}");
    }

    fn serde_json_of(json: &str) -> Dependency {
        cargo_metadata::MetadataCommand::parse(format!(
            r#"{{"packages":[{{"name":"p","version":"0.1.0","id":"p","dependencies":[{json}],"targets":[],
                "features":{{}},"manifest_path":"/p/Cargo.toml"}}],"workspace_members":["p"],"resolve":null,
                "workspace_root":"/p","target_directory":"/t","version":1,"workspace_default_members":[]}}"#
        ))
        .map(|metadata| metadata.packages[0].dependencies[0].clone())
        .unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn arrows_go_up_the_house_only() {
        use DependencyKind::{Development, Normal};
        check("droves-engine", "droves-net", Normal, None);
        check("droves-engine", "tokio", Normal, None);
        check(
            "droves-net",
            "droves-engine",
            Normal,
            Some("droves-net depends on droves-engine, which stands below it"),
        );
        check(
            "droves-net",
            "droves-views",
            Development,
            Some("droves-net depends on droves-views, which stands below it"),
        );
        check("droves-wire", "xtask", Normal, Some("droves-wire depends on xtask, which stands outside of the house"));
        check("xtask", "droves", Normal, None);
        check("droves-device", "tokio", Normal, Some("droves-device is a pure room and depends on tokio"));
        check("droves-device", "tokio", Development, None);
    }

    #[test]
    fn banned_crates_are_found_by_their_whole_name() {
        let tree = "untrusted v0.9.0\nring v0.17.14\nspring v1.0.0\nrsa-pool v0.1.0\n";
        let names: Vec<String> = banned_in(tree).into_iter().map(|finding| finding.what).collect();
        assert_eq!(names, ["ring is in the tree"]);
    }

    #[test]
    fn the_line_of_a_dependency_is_its_own() {
        let manifest = "[dependencies]\nserde_json.workspace = true\nserde = \"1\"\n";
        assert_eq!(line_of(manifest, "serde"), 3);
        assert_eq!(line_of(manifest, "absent"), 1);
    }
}
