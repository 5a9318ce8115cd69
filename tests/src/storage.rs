//! What nanomdm believes, read from its PostgreSQL tables. The schema is the one in its own Go module, of the version
//! that the program was built from.

use crate::process::answer_of;
use crate::server::{Results, Witness};
use crate::{Error, Postgres, program};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

const MODULE: &str = "github.com/micromdm/nanomdm";

/// A database with nanomdm's tables.
pub struct NanomdmTables {
    postgres: Arc<Postgres>,
    database: String,
}

impl NanomdmTables {
    /// Make the database and load the schema.
    pub fn create(postgres: Arc<Postgres>, database: &str) -> Result<NanomdmTables, Error> {
        postgres.create(database)?;
        postgres.load(database, &schema()?)?;
        Ok(NanomdmTables { postgres, database: database.to_owned() })
    }

    /// For `-storage-dsn`.
    pub fn dsn(&self) -> String {
        self.postgres.dsn(&self.database)
    }

    /// Rows of a query of the case's own.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<String>>, Error> {
        self.postgres.query(&self.database, sql)
    }
}

impl Witness for NanomdmTables {
    fn enrolled(&self) -> Result<u64, Error> {
        let rows = self.query("SELECT count(*) FROM enrollments WHERE enabled")?;
        let count = rows.first().and_then(|row| row.first()).and_then(|count| count.parse().ok());
        count.ok_or_else(|| Error::Answer(format!("count(*) gave {rows:?}")))
    }

    /// A row holds one status, the last; the table counts how often `NotNow` came before it.
    fn results(&self) -> Result<Results, Error> {
        let rows = self.query("SELECT id, command_uuid, status, not_now_tally FROM command_results")?;
        let mut results = Results::new();
        for row in rows {
            let [id, command, status, not_now] = row.as_slice() else {
                return Err(Error::Answer(format!("a row of command_results is {row:?}")));
            };
            let before = not_now.parse().unwrap_or(0) - usize::from(status == "NotNow" && not_now != "0");
            let mut statuses = vec!["NotNow".to_owned(); before];
            statuses.push(status.clone());
            results.insert((id.clone(), command.clone()), statuses);
        }
        Ok(results)
    }

    /// A second result overwrites the row of the first.
    fn duplicates(&self) -> Result<Option<u64>, Error> {
        Ok(None)
    }
}

/// `storage/pgsql/schema.sql` in the module cache, fetched if it is not there.
fn schema() -> Result<PathBuf, Error> {
    let go =
        program("go").map_err(|_| Error::LeftOut("no Go: the schema of nanomdm is in its Go module".to_owned()))?;
    let built_from = answer_of(Command::new(&go).args(["version", "-m"]).arg(program("nanomdm")?))?;
    let version = module_version(&built_from).ok_or_else(|| Error::Answer(format!("go version -m: {built_from}")))?;
    // Outside of any module, so that no go.mod of a folder above has a say.
    let said = answer_of(
        Command::new(&go).args(["mod", "download", "-json", &format!("{MODULE}@{version}")]).current_dir("/"),
    )?;
    let module: serde_json::Value =
        serde_json::from_str(&said).map_err(|error| Error::Answer(format!("go mod download: {error}")))?;
    let dir = module["Dir"].as_str().ok_or_else(|| Error::Answer(format!("go mod download: {said}")))?;
    Ok(PathBuf::from(dir).join("storage/pgsql/schema.sql"))
}

fn module_version(build_info: &str) -> Option<&str> {
    let of_module = |line: &'_ str| line.trim_start().starts_with("mod\t");
    build_info.lines().find(|line| of_module(line))?.split('\t').rfind(|field| field.starts_with('v'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `go version -m` of Go 1.26 over nanomdm v0.9.0.
    #[test]
    fn the_version_is_that_of_the_main_module() {
        let info = "nanomdm: go1.26.8\n\tpath\tgithub.com/micromdm/nanomdm/cmd/nanomdm\n\
                    \tmod\tgithub.com/micromdm/nanomdm\tv0.9.0\th1:pXzThrNLLS4zip0yT7BlKkFNwXNpQowMmuYx4hXSDWw=\n\
                    \tdep\tgithub.com/google/btree\tv1.0.0\th1:0udJVsspx3VBr5FwtLhQQtuAsVc79tTq0ocGIPAU6qo=\n";
        assert_eq!(module_version(info), Some("v0.9.0"));
        assert_eq!(module_version("nanomdm: go1.26.8\n"), None);
    }
}
