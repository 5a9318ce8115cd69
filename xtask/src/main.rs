//! The upkeep of the house behind one door: `cargo xtask <task>`. CI calls the same tasks (`.ci/run`).

#![expect(clippy::print_stdout, reason = "what a task prints is what it is for")]

mod peers;
mod test;
mod tidy;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// The upkeep of Droves.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check what compilers do not: arrows between rooms, banned crates, dead files, lengths, clippy.toml, scenarios.
    Tidy,
    /// Install the peers, build, run every suite, and say what was left out and why.
    Test {
        /// Run only this suite (repeatable): `unit`, `doc`, or the name of a test target such as `servers`.
        #[arg(long, value_name = "SUITE")]
        only: Vec<String>,
    },
    /// Install the real servers and clients that the tests talk to, and stop there.
    Peers,
    /// Demand of this checkout's machines what they answered in a run with `--tape`.
    Replay {
        /// Tapes.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Play whole configurations drawn from seeds in virtual time, and see that they come to a good end (`--help`).
    #[command(disable_help_flag = true)]
    Sim {
        /// Flags of the suite `sim`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<String>,
    },
    /// Measure what Droves costs, each figure against a floor of the same run; `bench --help` has its flags.
    #[command(disable_help_flag = true)]
    Bench {
        /// Handed on to the bench.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let done = house().and_then(|house| match Cli::parse().task {
        Task::Tidy => tidy::tidy(&house).map(exit_code),
        Task::Test { only } => test::test(&house, &only).map(exit_code),
        Task::Sim { flags } => sim(&house, &flags).map(exit_code),
        Task::Bench { flags } => bench(&house, &flags),
        Task::Replay { files } => replay(&house, &files).map(exit_code),
        Task::Peers => peers::install_all(&house).map(|installed| exit_code(installed.left_out().is_empty())),
    });
    done.unwrap_or_else(|error| {
        println!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Builds and runs the suite `sim`, from the same build as all suites.
fn sim(house: &House, flags: &[String]) -> Result<bool> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(house.root())
        .args(["test", "--quiet", "--workspace", "--test", "sim", "--"])
        .args(flags)
        .status()
        .context("cargo test")?;
    Ok(status.success())
}

fn exit_code(clean: bool) -> ExitCode {
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Builds and runs the bench of the program, which reads its flags and prints its figures itself. Its exit code is this
/// program's, 112 among them.
fn bench(house: &House, flags: &[OsString]) -> Result<ExitCode> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(house.root())
        .args(["bench", "--quiet", "--package", "droves", "--bench", "figures", "--"])
        .args(flags)
        .status()
        .context("cargo bench")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Builds the program and has it replay the tapes, which are named from where this was called.
fn replay(house: &House, files: &[PathBuf]) -> Result<bool> {
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(house.root())
        .args(["build", "--quiet", "--workspace", "--bin", "droves"])
        .status()
        .context("cargo build")?;
    let program = house.metadata.target_directory.join("debug/droves");
    let replays = || Command::new(&program).arg("replay").args(files).status().context(program.to_string());
    Ok(built.success() && replays()?.success())
}

/// The workspace: its root, its packages, its target folder.
struct House {
    metadata: Metadata,
}

impl House {
    fn root(&self) -> PathBuf {
        self.metadata.workspace_root.clone().into_std_path_buf()
    }

    /// Where peers are installed: `DROVES_PEERS`, else `peers` in the target folder (which honours `CARGO_TARGET_DIR`).
    fn peers_dir(&self) -> PathBuf {
        std::env::var_os("DROVES_PEERS")
            .map_or_else(|| self.metadata.target_directory.join("peers").into_std_path_buf(), PathBuf::from)
    }
}

fn house() -> Result<House> {
    // Cargo says at run time where the package is that it runs. What was compiled in may be another checkout, where two
    // share one target folder.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let manifest = PathBuf::from(package).join("../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().context("cargo metadata failed")?;
    Ok(House { metadata })
}
