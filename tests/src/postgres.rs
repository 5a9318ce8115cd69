//! A PostgreSQL of the case's own: a new cluster on a free port of loopback, trusted, not durable (it dies with the
//! case). PostgreSQL refuses to run as root: then it runs as the user `postgres`.

use crate::Error;
use crate::peer::postgres_bin;
use crate::process::{Running, answer_of};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The database's superuser, in the cluster.
const USER: &str = "droves";

/// A running database server.
pub struct Postgres {
    running: Running,
    bin: PathBuf,
    port: u16,
}

impl Postgres {
    /// Make a cluster in `dir` and start it. `dir` must be one that the user `postgres` can pass through, as a
    /// [`Ground`](crate::Ground) is.
    pub fn start(dir: &Path) -> Result<Postgres, Error> {
        let bin = postgres_bin()?;
        let owner = Owner::find()?;
        let data = dir.join("cluster");
        std::fs::create_dir_all(&data).map_err(Error::at(&data))?;
        owner.take(&data)?;
        let initdb = ["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"];
        answer_of(owner.command(&bin.join("initdb")).args(initdb).arg("--pgdata").arg(&data))?;
        let command = |port: u16| {
            let mut command = owner.command(&bin.join("postgres"));
            command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
            for setting in ["unix_socket_directories=", "fsync=off", "synchronous_commit=off", "max_connections=800"] {
                command.args(["-c", setting]);
            }
            command
        };
        let ready = |port: u16| {
            let mut is_ready = Command::new(bin.join("pg_isready"));
            answer_of(is_ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])).is_ok()
        };
        let (running, port) = Running::serve("postgres", dir, command, ready)?;
        Ok(Postgres { running, bin, port })
    }

    /// An empty database.
    pub fn create(&self, database: &str) -> Result<(), Error> {
        self.query("postgres", &format!("CREATE DATABASE {database}")).map(drop)
    }

    /// What a Go server takes as its data source.
    pub fn dsn(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Run a file of SQL, whole or not at all.
    pub fn load(&self, database: &str, sql: &Path) -> Result<(), Error> {
        answer_of(self.psql(database).arg("--single-transaction").arg("--file").arg(sql)).map(drop)
    }

    /// Rows of a query, columns as text.
    pub fn query(&self, database: &str, sql: &str) -> Result<Vec<Vec<String>>, Error> {
        let said = answer_of(
            self.psql(database)
                .args(["--tuples-only", "--no-align", "--field-separator", "\t"])
                .args(["--command", sql]),
        )?;
        Ok(said.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--host", "127.0.0.1", "--username", USER]);
        psql.args(["--port", &self.port.to_string(), "--dbname", database]);
        psql
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Killed outright it would leave its own children for a while: an immediate shutdown takes them along. What
        // then is left, `Running` kills.
        let quit = Command::new("kill").args(["-QUIT", &self.running.pid().to_string()]).status();
        if quit.is_ok_and(|status| status.success()) {
            crate::wait_until(std::time::Duration::from_secs(5), || !self.running.is_alive());
        }
    }
}

/// The user that the cluster belongs to: `postgres` if we are root, else ourselves.
struct Owner {
    ids: Option<(u32, u32)>,
}

impl Owner {
    fn find() -> Result<Owner, Error> {
        let id = |arguments: &[&str]| -> Result<u32, Error> {
            let said = answer_of(Command::new("id").args(arguments))?;
            said.trim().parse().map_err(|_| Error::Answer(format!("id said `{said}`")))
        };
        if id(&["-u"])? != 0 {
            return Ok(Owner { ids: None });
        }
        let left_out = |_| Error::LeftOut("root can't run PostgreSQL, and there is no user `postgres`".to_owned());
        let ids = (id(&["-u", "postgres"]).map_err(left_out)?, id(&["-g", "postgres"]).map_err(left_out)?);
        Ok(Owner { ids: Some(ids) })
    }

    fn take(&self, dir: &Path) -> Result<(), Error> {
        let Some((uid, gid)) = self.ids else { return Ok(()) };
        chown(dir, Some(uid), Some(gid)).map_err(Error::at(dir))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = self.ids {
            command.uid(uid).gid(gid).current_dir("/");
        }
        command
    }
}
